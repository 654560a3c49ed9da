import t from 'tap'
import { expectProblem, type ExpectedProblem } from '../../helpers/problems.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const SECRET = 'Bearer s3cr3t-0f-the-receiver'
type Expected = Omit<ExpectedProblem, 'pointers'>
const NOWHERE = 'http://127.0.0.1:9/'

const create = (client: Client, destination: unknown) =>
  client.post('/subscriptions', { name: 'test', eventPatterns: ['*'], destination })

t.test('headers of one’s own are sent, and shown to nobody', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const receiver = await startReceiver(t)
  const headers = { Authorization: SECRET, 'X-Empty': '', 'x-~odd!': ' a "b"; c=ü'.replace('ü', '%C3%BC') }
  const hidden = { Authorization: '***', 'X-Empty': '***', 'x-~odd!': '***' }
  const destination = { type: 'webhook', url: receiver.url, headers }
  const created = await create(client, destination)
  const answers = [created]
  const { id } = created.body
  t.strictSame(created.body.destination, { ...destination, headers: hidden })
  const path = `/subscriptions/${id}`
  answers.push(await client.get(path), await client.get('/subscriptions'))
  const send = async (count: number) => {
    const { body: event } = await client.post('/events', { type: 'order.placed', payload: {} })
    const received = (await receiver.waitFor(count)).at(-1)?.headers
    t.equal(received?.['webhook-id'], event.id)
    return received
  }
  t.match(await send(1), { authorization: SECRET, 'x-empty': '', 'x-~odd!': 'a "b"; c=%C3%BC' })
  t.match(receiver.received[0]?.headers['user-agent'], /^Heliograph/)

  answers.push(await client.patch(path, { name: 'other' }))
  t.equal((await send(2))?.['authorization'], SECRET, 'another change keeps them')
  const changed = { AUTHORIZATION: '***', 'x-new': 'n', 'user-agent': 'shop/1.0' }
  answers.push(await client.patch(path, { destination: { ...destination, headers: changed } }))
  t.strictSame(answers.at(-1)?.body.destination.headers, {
    AUTHORIZATION: '***',
    'x-new': '***',
    'user-agent': '***',
  })
  const received = await send(3)
  t.match(
    received,
    { authorization: SECRET, 'x-new': 'n', 'user-agent': 'shop/1.0' },
    '*** keeps a value, in whatever case its name is written',
  )
  t.notOk('x-~odd!' in (received ?? {}), 'what is left out is removed')
  answers.push(await client.post(`${path}/test`, {}))
  t.equal((await receiver.waitFor(4)).at(-1)?.headers['authorization'], SECRET, 'a test has them too')

  const { rows } = await service.platform.pool.query(
    `select s::text as row from subscriptions s union all select d::text from deliveries d
      union all select a::text from delivery_attempts a union all select e::text from events e`,
  )
  t.ok(rows.length > 5)
  for (const text of [...answers.map((answer) => answer.text), ...rows.map(({ row }) => row)])
    for (const form of [SECRET, Buffer.from(SECRET).toString('hex'), Buffer.from(SECRET).toString('base64')])
      if (text.includes(form)) t.fail(`it is in the clear in ${text.slice(0, 200)}`)

  const elsewhere = { type: 'webhook', url: 'http://127.0.0.2/', headers: { Authorization: '***' } }
  const refused = await client.patch(path, { destination: elsewhere })
  expectProblem(t, refused, { status: 422, type: 'invalid-destination' }, 'nobody sends it elsewhere')

  await client.patch(path, { destination: { ...destination, headers: { Authorization: 'other' } } })
  t.equal((await send(5))?.['authorization'], 'other', 'another value replaces it')
  await client.patch(path, { destination: { type: 'webhook', url: receiver.url } })
  t.notOk('authorization' in ((await send(6)) ?? {}), 'without headers there are none')
})

t.test('no header is sent twice, in whatever case its name is written', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const receiver = await startReceiver(t)
  const headers = { 'User-Agent': 'shop/1.0', AUTHORIZATION: SECRET, Accept: '*/*', 'X-Id': '1' }
  const webhook = { type: 'webhook', url: `${receiver.url}webhook`, headers }
  for (const destination of [
    webhook,
    { ...webhook, url: `${receiver.url}other`, headers: { 'uSER-aGENT': 'shop/2.0' } },
    { type: 'slack', url: `${receiver.url}services/T000/B000/XXXXXXXX` },
  ]) {
    const { body: subscription } = await create(client, destination)
    await client.post(`/subscriptions/${subscription.id}/test`, {})
  }
  const { body: connection } = await client.post('/platform-connections', {
    platform: 'http',
    name: 'line',
    settings: { url: `${receiver.url}line` },
    credentials: { secret: 'a-shared-secret' },
  })
  await client.post('/messages', {
    platformConnectionId: connection.id,
    toExternalId: '1',
    message: 'hi',
  })
  const { received } = receiver
  await until(() => received.some(({ path }) => path === '/line'), 'the message was sent')
  t.ok(received.length >= 4, 'of each kind')
  for (const { path, rawHeaders } of received) {
    const names = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
    t.strictSame(names.toSorted(), [...new Set(names)].toSorted(), path)
  }
  const of = (path: string) => received.find((request) => request.path === path)?.headers
  t.match(of('/webhook'), { 'user-agent': 'shop/1.0', accept: '*/*', 'accept-encoding': 'identity' })
  t.match(of('/other'), { 'user-agent': 'shop/2.0', 'accept-encoding': 'identity' })
})

t.test('headers that cannot be sent are refused', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: there } = await create(client, { type: 'webhook', url: NOWHERE, headers: { 'x-a': '1' } })
  const reserved = [
    ['host', 'Connection', 'KEEP-ALIVE', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding'],
    ['upgrade', 'expect', 'Content-Length', 'Content-Type', 'content-encoding', 'Accept-Encoding'],
    ['webhook-id', 'Webhook-Signature', 'webhook-timestamp', 'webhook-anything'],
  ].flat()
  const invalid = { status: 422, type: 'invalid-destination' }
  const malformed = { status: 400, type: 'validation-failed' }
  const cases: (readonly [headers: unknown, expected: Expected, path: string])[] = [
    ...reserved.map((name) => [{ [name]: 'x' }, invalid, `/${name}`] as const),
    [{ 'x-b': 'x', 'X-B': 'y' }, invalid, '/X-B'],
    [{ 'x-b': '***' }, invalid, '/x-b'],
    ...[
      'a\r\nx-b: c',
      'a\nb',
      'a\rb',
      'a\0b',
      'a\tb',
      'a\x7f',
      'ü',
      '😀',
      5,
      null,
      ['a'],
      'x'.repeat(2001),
    ].map((value) => [{ 'x-b': value }, malformed, '/x-b'] as const),
    ...['', 'a b', 'a:b', 'a\r\nb', 'ü', 'x'.repeat(101), '(x)'].map(
      (name) => [{ [name]: 'x' }, malformed, `/${name}`] as const,
    ),
    ...[[], 'x', 5, null].map((headers) => [headers, malformed, ''] as const),
    [Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`x-${at}`, 'x'])), malformed, ''],
  ]
  for (const [headers, expected, path] of cases) {
    const what = JSON.stringify(headers).slice(0, 60)
    const destination = { type: 'webhook', url: NOWHERE, headers }
    const problem = { ...expected, pointers: [`/destination/headers${path}`] }
    if (!JSON.stringify(headers).includes('***') || !('x-a' in Object(headers)))
      expectProblem(t, await create(client, destination), problem, what)
    expectProblem(t, await client.patch(`/subscriptions/${there.id}`, { destination }), problem, what)
  }
  const { body } = await client.get('/subscriptions')
  t.strictSame(
    body.data.map(({ destination }: { destination: object }) => destination),
    [there.destination],
  )
})

t.test('each kind of destination says what is wrong with its own settings', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const invalid = { status: 422, type: 'invalid-destination' }
  const malformed = { status: 400, type: 'validation-failed' }
  const cases: [destination: unknown, expected: Expected, details: Record<string, RegExp>][] = [
    [{}, malformed, { '/type': /is required/ }],
    [{ url: NOWHERE }, malformed, { '/type': /is required/ }],
    [{ type: 'fax', url: NOWHERE }, malformed, { '/type': /must be one of webhook, slack, discord, email$/ }],
    ['webhook', malformed, { '': /must be an object/ }],
    [{ type: 'webhook' }, malformed, { '/url': /is required/ }],
    [{ type: 'slack' }, malformed, { '/url': /is required/ }],
    [{ type: 'discord' }, malformed, { '/url': /is required/ }],
    [{ type: 'email' }, malformed, { '/to': /is required/ }],
    [{ type: 'webhook', url: NOWHERE, to: [] }, malformed, { '/to': /not a known property/ }],
    [{ type: 'slack', url: NOWHERE, format: 'json' }, malformed, { '/format': /not a known property/ }],
    [{ type: 'discord', url: NOWHERE, headers: {} }, malformed, { '/headers': /not a known property/ }],
    [{ type: 'email', to: ['a@b.example'], url: NOWHERE }, malformed, { '/url': /not a known property/ }],
    [
      { type: 'webhook', url: NOWHERE, format: 'xml', signatures: ['v2'] },
      malformed,
      { '/format': /must be one of json, cloudevents$/, '/signatures/0': /must be one of v1, v1a$/ },
    ],
    [{ type: 'webhook', url: NOWHERE, signatures: [] }, malformed, { '/signatures': /not be empty/ }],
    [{ type: 'webhook', url: 'ftp://a.example/' }, invalid, { '/url': /must begin with http:/ }],
    [
      { type: 'webhook', url: 'http://u:p@a.example/' },
      invalid,
      { '/url': /user or a password; use the header authorization/ },
    ],
    [{ type: 'slack', url: 'http://u:p@a.example/' }, invalid, { '/url': /user or a password/ }],
    [{ type: 'slack', url: '***' }, invalid, { '/url': /the value itself/ }],
    [{ type: 'discord', url: 'http://' }, invalid, { '/url': /must be a URL/ }],
    [{ type: 'email', to: ['x'] }, malformed, { '/to/0': /does not have the form/ }],
    [
      { type: 'email', to: ['a@b.example'], subject: '{{id}}' },
      invalid,
      { '/subject': /must not hold \{\{id\}\}/ },
    ],
  ]
  for (const [destination, expected, details] of cases) {
    const answer = await create(client, destination)
    const what = JSON.stringify(destination)
    const wanted = Object.keys(details).map((path) => `/destination${path}`)
    expectProblem(t, answer, { ...expected, pointers: wanted }, what)
    const errors = answer.body.errors as { pointer: string; detail: string }[]
    t.equal(errors.length, wanted.length, `${what}: each once`)
    for (const { pointer, detail } of errors)
      t.match(detail, details[pointer.slice('/destination'.length)], what)
  }
  const body = {
    name: 'x',
    eventPatterns: ['*'],
    destination: { type: 'webhook', url: NOWHERE },
    rateLimit: { requests: 0 },
    ordering: { onDead: 'wait' },
    filter: [],
  }
  const { body: problem } = await client.post('/subscriptions', body)
  t.strictSame(
    problem.errors.map(({ pointer }: { pointer: string }) => pointer),
    ['/filter', '/rateLimit/requests', '/ordering/onDead'],
    'what else may be null is not told to be',
  )
  t.strictSame((await client.get('/subscriptions')).body.data, [])
})

t.test('another kind of destination keeps nothing of the one before', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const [hook, slack] = [await startReceiver(t), await startReceiver(t)]
  slack.answer = (response) => response.end('ok')
  const webhook = { type: 'webhook', url: hook.url, headers: { 'x-a': SECRET } }
  const { body: made } = await create(client, webhook)
  const path = `/subscriptions/${made.id}`
  const refused = await client.patch(path, { destination: { type: 'slack', url: '***' } })
  const expected = { status: 422, type: 'invalid-destination', pointers: ['/destination/url'] }
  expectProblem(t, refused, expected, 'a webhook has no hidden URL')

  const url = `${slack.url}services/T000/B000/${'X'.repeat(24)}`
  const { body: changed } = await client.patch(path, { destination: { type: 'slack', url } })
  t.strictSame(changed.destination, { type: 'slack', url: '***' })
  await client.post('/events', { type: 'order.placed', payload: { n: 1 } })
  t.match((await slack.waitFor(1))[0]?.text, /order\.placed/)
  const discord = await client.patch(path, { destination: { type: 'discord', url: '***' } })
  expectProblem(t, discord, expected, 'Slack’s URL is not Discord’s')
  const back = await client.patch(path, { destination: { ...webhook, headers: { 'x-a': '***' } } })
  expectProblem(t, back, { ...expected, pointers: ['/destination/headers/x-a'] }, 'the header is gone')
  t.equal((await client.patch(path, { destination: { type: 'webhook', url: hook.url } })).status, 200)
  await client.post('/events', { type: 'order.placed', payload: { n: 2 } })
  const [received] = await hook.waitFor(1)
  t.notOk('x-a' in (received?.headers ?? {}))
  t.match(JSON.parse(received?.text ?? ''), { payload: { n: 2 } })
  t.equal(slack.received.length, 1)
})
