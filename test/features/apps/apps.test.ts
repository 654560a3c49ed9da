import t from 'tap'
import { expectProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, call, createClient, startService } from '../../helpers/service.ts'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const API_KEY = /^hg_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/
const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'

t.test('apps and their keys', async (t) => {
  const service = await startService(t, { worker: false })
  const get = (path: string, key = ADMIN_KEY) => call(service.url, 'GET', path, { key })
  const post = (path: string, body: unknown) => call(service.url, 'POST', path, { key: ADMIN_KEY, body })
  const remove = (path: string) => call(service.url, 'DELETE', path, { key: ADMIN_KEY })

  t.test('a new app has an id, a name and a key with every scope', async (t) => {
    const before = Date.now()
    const { status, body } = await post('/apps', { name: 'shop ü 店' })
    t.equal(status, 201)
    t.strictSame(Object.keys(body).toSorted(), ['apiKey', 'createdAt', 'id', 'name'])
    t.match(body.id, UUID_V7)
    t.equal(body.name, 'shop ü 店')
    t.match(body.apiKey, API_KEY)
    t.ok(Math.abs(Date.parse(body.createdAt) - before) < 60_000)

    const { body: keys } = await get(`/apps/${body.id}/api-keys`)
    t.equal(keys.data.length, 1)
    t.strictSame(keys.data[0].scopes.toSorted(), [
      'deliveries:read',
      'deliveries:write',
      'entities:read',
      'entities:write',
      'event-types:read',
      'event-types:write',
      'events:read',
      'events:write',
      'inquiries:read',
      'inquiries:submit',
      'link-codes:read',
      'link-codes:write',
      'messages:write',
      'observation:publish',
      'observation:read',
      'observation:tokens',
      'platform-connections:read',
      'platform-connections:write',
      'subscriptions:read',
      'subscriptions:write',
    ])
    t.equal((await get('/events', body.apiKey)).status, 200)
  })

  t.test('two apps of one name are two apps', async (t) => {
    const [one, other] = await Promise.all([post('/apps', { name: 'twin' }), post('/apps', { name: 'twin' })])
    t.not(one.body.id, other.body.id)
    t.not(one.body.apiKey, other.body.apiKey)
  })

  t.test('an app is read and listed, oldest first, in pages', async (t) => {
    const made: string[] = []
    for (let index = 0; index < 5; index++)
      made.push((await post('/apps', { name: `listed ${index}` })).body.id)
    const { body: one } = await get(`/apps/${made[0]}`)
    t.strictSame(Object.keys(one).toSorted(), ['createdAt', 'id', 'name'])
    t.match(one, { id: made[0], name: 'listed 0' })

    const listed: string[] = []
    let after = ''
    for (;;) {
      const { status, body } = await get(`/apps?limit=2${after}`)
      t.equal(status, 200)
      t.ok(body.data.length <= 2)
      listed.push(...body.data.map((app: { id: string }) => app.id))
      if (!body.pageInfo.hasNextPage) break
      after = `&after=${body.pageInfo.endCursor}`
    }
    t.strictSame(listed.slice(-5), made)
    t.equal(new Set(listed).size, listed.length, 'none twice')
  })

  t.test('a key can have a name and only some scopes', async (t) => {
    const client = await createClient(service.url)
    const { status, body } = await post(`/apps/${client.appId}/api-keys`, {
      name: 'ingest',
      scopes: ['events:write'],
    })
    t.equal(status, 201)
    t.match(body, { id: /^[0-9a-f]{16}$/, name: 'ingest', scopes: ['events:write'], revokedAt: null })
    t.match(body.apiKey, API_KEY)
    const appended = await call(service.url, 'POST', '/events', {
      key: body.apiKey,
      body: { type: 'a.b', payload: {} },
    })
    t.equal(appended.body.appId, client.appId, 'it is a key of this app')
    expectProblem(t, await get('/events', body.apiKey), { status: 403, type: 'forbidden' }, 'reading')
  })

  t.test('without scopes a key has all of them', async (t) => {
    const client = await createClient(service.url)
    const { body: all } = await get(`/apps/${client.appId}/api-keys`)
    const { body } = await post(`/apps/${client.appId}/api-keys`, { name: 'everything' })
    t.strictSame(body.scopes.toSorted(), all.data[0].scopes.toSorted())
  })

  t.test('secrets never come back after the creation', async (t) => {
    const { body: app } = await post('/apps', { name: 'secretive' })
    const { body: key } = await post(`/apps/${app.id}/api-keys`, { name: 'second' })
    await remove(`/apps/${app.id}/api-keys/${key.id}`)
    const answers = await Promise.all([
      get('/apps?limit=100'),
      get(`/apps/${app.id}`),
      get(`/apps/${app.id}/api-keys`),
    ])
    for (const { status, text } of answers) {
      t.equal(status, 200)
      t.notMatch(text, /apiKey|secret_?hash|secretHash/i)
      const secrets = [app.apiKey, key.apiKey].filter((apiKey) => text.includes(apiKey.slice(20)))
      t.strictSame(secrets, [], 'no secret part is in it')
    }
    const { rows } = await service.platform.pool.query('select api_keys::text as row from api_keys')
    const leaks = rows.filter(({ row }) => row.includes(app.apiKey.slice(20)))
    t.strictSame(leaks, [], 'nor in the database')
  })

  t.test('a revoked key is refused at once, and stays listed', async (t) => {
    const client = await createClient(service.url)
    const { body: key } = await post(`/apps/${client.appId}/api-keys`, { name: 'to be revoked' })
    const path = `/apps/${client.appId}/api-keys/${key.id}`
    const event = { key: key.apiKey as string, body: { type: 'a.b', payload: {} } }
    t.equal((await call(service.url, 'POST', '/events', event)).status, 201, 'it is in use, so it is cached')

    const { status, text } = await remove(path)
    t.equal(status, 204)
    t.equal(text, '')
    const refused = await call(service.url, 'POST', '/events', event)
    expectProblem(t, refused, { status: 401, type: 'unauthorized' }, 'appending with it')
    t.equal((await client.get('/events')).body.data.length, 1, 'nothing more was stored')
    t.equal((await client.post('/events', event.body)).status, 201, 'the other key still works')

    const { body: keys } = await get(`/apps/${client.appId}/api-keys`)
    const listed = keys.data.find(({ id }: { id: string }) => id === key.id)
    t.type(listed.revokedAt, 'string')
    expectProblem(t, await remove(path), { status: 404, type: 'not-found' }, 'revoking it again')
  })

  t.test('requests under way when a key is revoked do not keep it alive', async (t) => {
    const client = await createClient(service.url)
    for (let round = 0; round < 5; round++) {
      const { body: key } = await post(`/apps/${client.appId}/api-keys`, { name: `round ${round}` })
      const requests = Array.from({ length: 20 }, () => get('/events?limit=1', key.apiKey))
      await remove(`/apps/${client.appId}/api-keys/${key.id}`)
      await Promise.all(requests)
      t.equal((await get('/events', key.apiKey)).status, 401)
    }
  })

  t.test('a key with another secret, or a cut one, is refused', async (t) => {
    const client = await createClient(service.url)
    const wrong = [
      `${client.key.slice(0, -1)}${client.key.endsWith('A') ? 'B' : 'A'}`,
      client.key.slice(0, -1),
      `${client.key}A`,
      client.key.toUpperCase(),
      client.key.slice(0, 20),
    ]
    t.equal((await client.get('/events')).status, 200)
    for (const key of wrong)
      expectProblem(t, await get('/events', key), { status: 401, type: 'unauthorized' }, key)
  })

  t.test('what does not exist is not found', async (t) => {
    const client = await createClient(service.url)
    const other = await createClient(service.url)
    const { body: keys } = await get(`/apps/${other.appId}/api-keys`)
    const missing = { status: 404, type: 'not-found' }
    expectProblem(t, await get(`/apps/${UNKNOWN_ID}`), missing, 'an app')
    expectProblem(t, await get(`/apps/${UNKNOWN_ID}/api-keys`), missing, 'the keys of one')
    expectProblem(t, await post(`/apps/${UNKNOWN_ID}/api-keys`, { name: 'k' }), missing, 'a new key for one')
    const foreign = `/apps/${client.appId}/api-keys/${keys.data[0].id}`
    expectProblem(t, await remove(foreign), missing, 'a key of another app')
    t.equal((await other.get('/events')).status, 200, 'which still works')
  })

  t.test('bodies must have the right form', async (t) => {
    const client = await createClient(service.url)
    const count = async (): Promise<number> =>
      Number((await service.platform.pool.query('select count(*) from apps')).rows[0].count)
    const before = await count()
    const bad: [unknown, string[]][] = [
      [{}, ['/name']],
      [{ name: '' }, ['/name']],
      [{ name: 5 }, ['/name']],
      [{ name: null }, ['/name']],
      [{ name: 'a\0b' }, ['/name']],
      [{ name: '\ud800' }, ['/name']],
      [{ name: 'x'.repeat(201) }, ['/name']],
      [{ name: 'x', apiKey: 'mine' }, ['/apiKey']],
      [[], ['']],
    ]
    for (const [body, pointers] of bad) {
      const expected = { status: 400, type: 'validation-failed', pointers }
      expectProblem(t, await post('/apps', body), expected, JSON.stringify(body).slice(0, 60))
    }
    t.equal(await count(), before, 'no app was made')
    for (const scopes of [[], ['events:read', 'events:read'], ['admin'], 'events:read', [1]]) {
      const refused = await post(`/apps/${client.appId}/api-keys`, { name: 'k', scopes })
      expectProblem(t, refused, { status: 400, type: 'validation-failed' }, JSON.stringify(scopes))
    }
    t.equal((await get(`/apps/${client.appId}/api-keys`)).body.data.length, 1, 'no key was made')
  })
})

t.test('without an admin key there is no administration over HTTP', async (t) => {
  const service = await startService(t, { worker: false, settings: { ADMIN_API_KEY: '' } })
  for (const key of [ADMIN_KEY, 'undefined', '']) {
    const answer = await call(service.url, 'POST', '/apps', { key, body: { name: 'x' } })
    expectProblem(t, answer, { status: 401, type: 'unauthorized' }, `with "${key}"`)
  }
})
