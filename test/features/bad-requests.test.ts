import t from 'tap'
import { expectProblem } from '../helpers/problems.ts'
import { ADMIN_KEY, call, startService } from '../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
type Method = (typeof METHODS)[number]

const notFound = { status: 404, type: 'not-found' }
const invalid = (...pointers: string[]) => ({ status: 400, type: 'validation-failed', pointers })
const badCursor = { status: 400, type: 'invalid-cursor' }
const cursor = (text: string): string => Buffer.from(text).toString('base64url')

t.test('requests that no route takes', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: document } = await call(service.url, 'GET', '/openapi.json')
  const templates = Object.entries(document.paths as Record<string, object>).map(([path, operations]) => ({
    path,
    concrete: path.replaceAll(/\{(\w+)\}/g, (_, name) => (name === 'keyId' ? '0'.repeat(16) : UNKNOWN_ID)),
    form: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    methods: Object.keys(operations).map((method) => method.toUpperCase() as Method),
  }))

  t.test('another method: which ones there are', async (t) => {
    let tried = 0
    for (const { concrete } of templates) {
      const there = new Set(
        templates.filter(({ form }) => form.test(concrete)).flatMap(({ methods }) => methods),
      )
      for (const method of METHODS.filter((name) => !there.has(name))) {
        const answer = await call(service.url, method, concrete, { key: client.key, body: {} })
        const what = `${method} ${concrete}`
        expectProblem(t, answer, { status: 405, type: 'method-not-allowed' }, what)
        const allowed = String(answer.headers.allow).split(', ').toSorted().join()
        if (allowed !== [...there].toSorted().join()) t.fail(`${what}: it says that there are ${allowed}`)
        tried += 1
      }
    }
    t.ok(tried > 50, `${tried} were refused`)
  })

  t.test('a path that is not there', async (t) => {
    const paths = ['/', '/nothing', `/events/${UNKNOWN_ID}/nothing`, '/Events', '//events', '/v1/events']
    for (const path of paths)
      for (const method of ['GET', 'POST'] as const)
        expectProblem(t, await call(service.url, method, path, client), notFound, `${method} ${path}`)
    t.pass('all were refused')
  })

  const withIds = templates.filter(({ path }) => path.includes('{'))
  const adminOr = (path: string): string => (path.startsWith('/apps') ? ADMIN_KEY : client.key)

  t.test('an id that is none', async (t) => {
    const ids = [
      '1',
      'x',
      'null',
      `${UNKNOWN_ID}0`,
      UNKNOWN_ID.slice(1),
      `urn:uuid:${UNKNOWN_ID}`,
      "'or''='",
      '%00',
      '%F0%9F%98%80',
    ]
    for (const { path, methods } of withIds) {
      for (const method of methods) {
        for (const id of ids) {
          const concrete = path.replaceAll(/\{\w+\}/g, id)
          const answer = await call(service.url, method, concrete, {
            key: adminOr(path),
            ...((method === 'POST' || method === 'PATCH') && { body: { name: 'x' } }),
          })
          expectProblem(t, answer, { status: 400, type: 'validation-failed' }, `${method} ${concrete}`)
        }
      }
    }
    t.ok(withIds.length > 5)
  })

  t.test('an id of nothing', async (t) => {
    for (const { path, methods, concrete } of withIds) {
      for (const method of methods) {
        const body = path.endsWith('/api-keys') ? { name: 'x' } : { description: 'x', name: 'x' }
        const change = path.startsWith('/event-types') ? { description: 'x' } : { name: 'x' }
        const answer = await call(service.url, method, concrete, {
          key: adminOr(path),
          ...(method === 'POST' && { body }),
          ...(method === 'PATCH' && { body: change }),
        })
        expectProblem(t, answer, notFound, `${method} ${path}`)
      }
    }
    t.ok(withIds.length > 5)
  })

  t.test('a URL that cannot be understood', async (t) => {
    for (const path of ['/events/%zz', '/events/%', '/events/%C3%28', `/events/${'a'.repeat(201)}`]) {
      const answer = await client.get(path)
      t.ok([400, 404, 414].includes(answer.status), `${path.slice(0, 20)}: ${answer.status}`)
      const type = String(answer.body.type).split(':').at(-1) as string
      expectProblem(t, answer, { status: answer.status, type }, path.slice(0, 20))
    }
  })
})

t.test('queries that are not as they should be', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (let number = 0; number < 3; number++)
    await client.post('/events', { type: 'a.b', payload: { number } })
  const lists = ['/events', '/event-types', '/subscriptions', '/deliveries', '/apps']
  const get = (path: string) =>
    call(service.url, 'GET', path, { key: path.startsWith('/apps') ? ADMIN_KEY : client.key })

  t.test('sizes of pages', async (t) => {
    for (const list of lists) {
      for (const name of ['limit', 'first']) {
        for (const size of ['0', '-1', '101', '1.5', 'x', '', '1e9', 'NaN', '1&' + name + '=2'])
          expectProblem(
            t,
            await get(`${list}?${name}=${size}`),
            invalid(`/${name}`),
            `${list} ${name}=${size}`,
          )
        t.equal((await get(`${list}?${name}=100`)).status, 200, 'the largest')
      }
    }
  })

  t.test('unknown parameters', async (t) => {
    for (const list of lists) {
      expectProblem(t, await get(`${list}?nothing=1`), invalid('/nothing'), list)
      expectProblem(t, await get(`${list}?Limit=1&limit=1`), invalid('/Limit'), `${list}, in capitals`)
      expectProblem(t, await get(`${list}?__proto__=1`), invalid('/__proto__'), `${list}, __proto__`)
    }
    expectProblem(t, await get('/events/stream?limit=5'), invalid('/limit'), 'the stream')
    t.pass('all were refused')
  })

  t.test('cursors', async (t) => {
    const { body: page } = await client.get('/events?limit=1')
    const cursors = [
      '',
      '!',
      cursor(''),
      cursor('x'),
      cursor('-1'),
      cursor('-1.5'),
      cursor('1 or 1=1'),
      cursor('9'.repeat(16)),
      cursor('"'),
      cursor(`${UNKNOWN_ID}x`),
      'x'.repeat(200),
    ]
    for (const list of lists)
      for (const after of cursors)
        expectProblem(t, await get(`${list}?after=${after}`), badCursor, `${list} ${after}`)
    expectProblem(t, await get(`/events?after=${cursor(UNKNOWN_ID)}`), badCursor, 'one of another list')
    for (const list of lists.slice(1))
      expectProblem(
        t,
        await get(`${list}?after=${page.pageInfo.endCursor}`),
        badCursor,
        `${list}: one of events`,
      )
    for (const list of lists)
      expectProblem(t, await get(`${list}?after=${'x'.repeat(301)}`), invalid('/after'), `${list}: too long`)
    t.pass('all were refused')
  })

  t.test('filters of events', async (t) => {
    const bad: [string, string][] = [
      ['order=up', '/order'],
      ['order=asc&order=desc', '/order'],
      ['type=', '/type/0'],
      ['type=A', '/type/0'],
      ['type=a.b&type=a,b', '/type/1'],
      [Array.from({ length: 51 }, () => 'type=a').join('&'), '/type'],
      ['types=ord*', '/types'],
      ['types=***', '/types'],
      ['types=a.b;c', '/types'],
      ['types=A', '/types'],
      [`types=${'a,'.repeat(1_001)}`, '/types'],
      [`typePrefix=${'a'.repeat(201)}`, '/typePrefix'],
      [`typeContains=${'a'.repeat(201)}`, '/typeContains'],
      ['typePrefix=a&typePrefix=b', '/typePrefix'],
    ]
    for (const [query, pointer] of bad)
      expectProblem(t, await get(`/events?${query}`), invalid(pointer), query.slice(0, 40))
    t.pass('all were refused')
  })

  t.test('filters of deliveries', async (t) => {
    const bad: [string, string][] = [
      ['status=open', '/status'],
      ['eventId=x', '/eventId'],
      ['subscriptionId=1', '/subscriptionId'],
      [`eventId=urn:uuid:${UNKNOWN_ID}`, '/eventId'],
    ]
    for (const [query, pointer] of bad)
      expectProblem(t, await get(`/deliveries?${query}`), invalid(pointer), query)
    t.pass('all were refused')
  })

  t.test('places in the stream', async (t) => {
    for (const after of ['-1', 'x', '1.5', ''])
      expectProblem(t, await get(`/events/stream?after=${after}`), invalid('/after'), `after=${after}`)
    expectProblem(t, await get('/events/stream?types=ord*'), invalid('/types'), 'types')
    for (const id of ['x', '-1', '1.5', '9'.repeat(16)]) {
      const answer = await call(service.url, 'GET', '/events/stream', {
        key: client.key,
        headers: { 'last-event-id': id },
      })
      expectProblem(t, answer, invalid('/last-event-id'), `Last-Event-ID ${id}`)
    }
    t.pass('all were refused')
  })
})
