import t from 'tap'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'

const ACCOUNT_SID = `AC${'0'.repeat(32)}`
const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const invalid = (pointers?: string[]) => ({
  status: 400,
  type: 'validation-failed',
  ...(pointers && { pointers }),
})

/** For each platform what it needs, and what it must not take, with the pointer that names it. */
const ACCOUNTS: Record<string, { good: object; bad: [object, string][] }> = {
  whatsapp: {
    good: {
      settings: { phoneNumberId: '1' },
      credentials: { accessToken: 'a', appSecret: 'b', verifyToken: 'c' },
    },
    bad: [
      [{ settings: {} }, '/settings/phoneNumberId'],
      [{ settings: { phoneNumberId: '+1' } }, '/settings/phoneNumberId'],
      [{ settings: { phoneNumberId: '1', apiVersion: '23' } }, '/settings/apiVersion'],
      [{ settings: { phoneNumberId: '1', wabaId: '2' } }, '/settings/wabaId'],
      [{ credentials: { accessToken: 'a', appSecret: 'b' } }, '/credentials/verifyToken'],
      [{ credentials: { accessToken: '', appSecret: 'b', verifyToken: 'c' } }, '/credentials/accessToken'],
    ],
  },
  twilio: {
    good: { settings: { accountSid: ACCOUNT_SID, from: '+15005550006' }, credentials: { authToken: 'a' } },
    bad: [
      [{ settings: { accountSid: 'AC1', from: '+15005550006' } }, '/settings/accountSid'],
      [{ settings: { accountSid: ACCOUNT_SID, from: '+1-500' } }, '/settings/from'],
      [{ settings: { accountSid: ACCOUNT_SID, from: '+15005550006', apiUrl: 'x' } }, '/settings/apiUrl'],
      [{ credentials: {} }, '/credentials/authToken'],
      [{ credentials: { authToken: 'a', apiKey: 'b' } }, '/credentials/apiKey'],
    ],
  },
  slack: {
    good: { settings: { botUserId: 'U0123' }, credentials: { botToken: 'xoxb-1', signingSecret: 's' } },
    bad: [
      [{ settings: { botUserId: 'bot' } }, '/settings/botUserId'],
      [{ settings: { botUserId: 'U0123', apiUrl: 'ftp://slack.com' } }, '/settings/apiUrl'],
      [{ settings: { botUserId: 'U0123', apiUrl: 'https://slack.com/?a=b' } }, '/settings/apiUrl'],
      [{ credentials: { botToken: 'xoxb-1' } }, '/credentials/signingSecret'],
    ],
  },
  http: {
    good: { settings: { url: 'http://example.com/' }, credentials: { secret: SECRET } },
    bad: [
      [{ settings: { url: 'example.com' } }, '/settings/url'],
      [{ settings: { url: 'ftp://example.com/' } }, '/settings/url'],
      [{ credentials: { secret: 'secret' } }, '/credentials/secret'],
      [{ credentials: { secret: `whsec_${'A'.repeat(33)}` } }, '/credentials/secret'],
    ],
  },
}

t.test('bad settings and credentials are refused, each named by a pointer', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const [platform, { good, bad }] of Object.entries(ACCOUNTS)) {
    const whole = { platform, name: 'line', ...good }
    const created = await client.post('/platform-connections', whole)
    t.equal(created.status, 201, platform)
    for (const [change, pointer] of bad) {
      const what = `${platform} ${JSON.stringify(change)}`
      const refused = await client.post('/platform-connections', { ...whole, ...change })
      expectProblem(t, refused, invalid(), what)
      t.ok(
        refused.body.errors.some((error: { pointer: string }) => error.pointer === pointer),
        `creating with ${what} names ${pointer}`,
      )
      const changed = await client.patch(`/platform-connections/${created.body.id}`, change)
      expectProblem(t, changed, invalid([pointer]), `changing to ${what}`)
    }
    const read = await client.get(`/platform-connections/${created.body.id}`)
    t.strictSame(read.body, created.body, 'nothing was changed')
  }
  const whole = { platform: 'slack', name: 'line', ...ACCOUNTS['slack']?.good }
  const others: object[] = [
    { platform: 'telegram' },
    { platform: 5 },
    { name: '' },
    { name: 'a\0b' },
    { settings: null },
    { credentials: 'xoxb' },
    { settings: { botUserId: 5 } },
    { detectLinkCodes: 'yes' },
    { id: crypto.randomUUID() },
  ]
  for (const change of others) {
    const answer = await client.post('/platform-connections', { ...whole, ...change })
    expectProblem(t, answer, invalid(), JSON.stringify(change))
  }
  t.equal((await client.get('/platform-connections')).body.data.length, Object.keys(ACCOUNTS).length)
})

t.test('an address that nothing could be sent to is refused', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const addresses = ['http://127.0.0.1:99999', 'http://[::1', 'http://user:password@127.0.0.1']
  for (const address of addresses) {
    for (const [platform, { good }] of Object.entries(ACCOUNTS)) {
      const { settings } = good as { settings: object }
      const name = platform === 'http' ? 'url' : 'apiUrl'
      const body = { platform, name: 'line', ...good, settings: { ...settings, [name]: address } }
      const answer = await client.post('/platform-connections', body)
      expectProblem(t, answer, invalid(), `${platform} ${address}`)
      t.match(answer.text, `/settings/${name}`, `${platform} ${address} is named`)
    }
  }
})

t.test('credentials that cannot stand in a header are refused', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const token of ['a\nb', 'a\r\nhost: b', 'a\u007fb', 'a…b']) {
    const whatsapp = { accessToken: token, appSecret: 'b', verifyToken: 'c' }
    const slack = { botToken: token, signingSecret: 's' }
    const cases = { whatsapp: ['accessToken', whatsapp], slack: ['botToken', slack] } as const
    for (const [platform, [name, credentials]] of Object.entries(cases)) {
      const answer = await client.post('/platform-connections', {
        platform,
        name: 'line',
        ...ACCOUNTS[platform]?.good,
        credentials,
      })
      expectProblem(t, answer, invalid([`/credentials/${name}`]), `${platform} ${JSON.stringify(token)}`)
    }
  }
})

for (const [platform, start] of PLATFORMS) {
  t.test(`a connection is created, read, changed and deleted (${platform})`, async (t) => {
    const service = await startService(t, { worker: false })
    const client = await service.client()
    const messenger = await start(t)
    const { settings, credentials } = messenger
    const created = await connect(client, messenger)
    const { id, ownPlatformUserId, ownUserId, createdAt, updatedAt, ...rest } = created
    t.strictSame(rest, {
      platform,
      name: `our ${platform}`,
      settings,
      detectLinkCodes: false,
      webhookUrl: `/platform-connections/${id}/webhook`,
    })
    t.equal(createdAt, updatedAt)
    const path = `/platform-connections/${id}`

    const own = (await client.get(`/platform-users/${ownPlatformUserId}`)).body
    t.equal(own.platformConnectionId, id)
    t.equal(own.userId, ownUserId)
    t.equal((await client.get(`/users/${own.userId}`)).body.isSystem, true, 'our own side is a system user')

    const changed = await client.patch(path, { name: 'other', detectLinkCodes: true })
    t.equal(changed.status, 200, changed.text)
    t.match(changed.body, { name: 'other', detectLinkCodes: true, settings, createdAt })
    const same = await client.patch(path, { settings, credentials })
    t.match(same.body, { name: 'other', detectLinkCodes: true, settings })
    t.equal((await client.patch(path, {})).status, 400, 'a change of nothing')

    const list = await client.get(`/platform-connections?platform=${platform}`)
    t.strictSame(list.body.data, [same.body])
    const none = await client.get(`/platform-connections?platform=${platform === 'http' ? 'slack' : 'http'}`)
    t.strictSame(none.body.data, [])

    const answers = [changed, same, list, await client.get(path), await client.get('/subscriptions')]
    for (const secret of Object.values(credentials)) {
      t.notOk(JSON.stringify(created).includes(secret), 'no secret is given back')
      for (const answer of answers) t.notOk(answer.text.includes(secret), 'no secret is given back')
      const { rows } = await service.platform.pool.query(
        'select s::text || c::text as row from subscriptions s, platform_connections c',
      )
      t.notOk(
        rows.some(({ row }) => row.includes(secret)),
        'nor is it in the database in the clear',
      )
    }

    t.strictSame((await client.get('/subscriptions')).body.data, [], 'it is no subscription of theirs')
    for (const answer of [
      await client.get(`/subscriptions/${id}`),
      await client.patch(`/subscriptions/${id}`, { name: 'x' }),
      await client.delete(`/subscriptions/${id}`),
    ])
      expectProblem(t, answer, { status: 404, type: 'not-found' }, 'as a subscription')

    t.equal((await client.delete(path)).status, 204)
    for (const answer of [
      await client.get(path),
      await client.patch(path, { name: 'x' }),
      await client.delete(path),
    ])
      expectProblem(t, answer, { status: 404, type: 'not-found' }, 'after deleting it')
    t.strictSame((await client.get('/platform-connections')).body.data, [])
    t.equal((await client.get(`/platform-users/${own.id}`)).status, 200, 'its platform users stay')
  })
}

t.test('with PUBLIC_URL the webhook’s address is whole', async (t) => {
  const settings = { PUBLIC_URL: 'https://events.example.com/hg/' }
  const service = await startService(t, { worker: false, settings })
  const client = await service.client()
  const { good } = ACCOUNTS['http'] as { good: object }
  const { body } = await client.post('/platform-connections', { platform: 'http', name: 'x', ...good })
  t.equal(body.webhookUrl, `https://events.example.com/hg/platform-connections/${body.id}/webhook`)
})

t.test('another app’s connection is as good as none', async (t) => {
  const service = await startService(t, { worker: false })
  const [owner, other] = [await service.client(), await service.client()]
  const { good } = ACCOUNTS['http'] as { good: object }
  const { body } = await owner.post('/platform-connections', { platform: 'http', name: 'x', ...good })
  const path = `/platform-connections/${body.id}`
  const message = { platformConnectionId: body.id, message: 'hi' }
  for (const answer of [
    await other.get(path),
    await other.patch(path, { name: 'mine' }),
    await other.delete(path),
    await other.post('/messages', { ...message, toExternalId: 'ada' }),
    await other.post('/messages', { ...message, toPlatformUserId: body.ownPlatformUserId }),
  ])
    expectProblem(t, answer, { status: 404, type: 'not-found' }, 'another app’s key')
  const stranger = await other.post('/platform-users', { platformConnectionId: body.id, externalId: 'eve' })
  expectProblem(t, stranger, { status: 422, type: 'unknown-reference' }, 'a platform user on it')
  t.strictSame((await other.get('/platform-connections')).body.data, [])
  t.strictSame((await other.get('/events')).body.data, [])
  t.strictSame((await owner.get(path)).body, body, 'it is as it was')
})
