import t from 'tap'
import { says, startHostile } from '../helpers/hostile-server.ts'
import { startService } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

const GIVEN = 'HTTPS://exämple.com/a b?x[]=1|2'
const SENT = 'https://xn--exmple-cua.com/a%20b?x[]=1|2'

t.test('URLs are taken as people write them, and shown as they are sent', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = { platform: 'http', name: 'line', credentials: { secret: 'a-shared-secret' } }
  const { body: line } = await client.post('/platform-connections', {
    ...connection,
    settings: { url: GIVEN },
  })
  const subscription = { name: 'hook', eventPatterns: ['*'], destination: { type: 'webhook', url: GIVEN } }
  const platformUser = { platformConnectionId: line.id, externalId: '1', profilePictureUrl: GIVEN }
  const places: [path: string, body: object, shown: object, change: object][] = [
    [
      '/subscriptions',
      subscription,
      { destination: { url: SENT } },
      { destination: subscription.destination },
    ],
    ['/files', { filename: 'a', url: GIVEN }, { url: SENT }, { url: GIVEN }],
    ['/platform-users', platformUser, { profilePictureUrl: SENT }, { profilePictureUrl: GIVEN }],
    [
      '/platform-connections',
      { ...connection, settings: { url: GIVEN } },
      { settings: { url: SENT } },
      { settings: { url: GIVEN } },
    ],
    [
      '/platform-connections',
      {
        platform: 'slack',
        name: 'bot',
        settings: { botUserId: 'U0123', apiUrl: 'HTTPS://exämple.com/a b/' },
        credentials: { botToken: 'xoxb-1', signingSecret: 's' },
      },
      { settings: { apiUrl: 'https://xn--exmple-cua.com/a%20b' } },
      { settings: { botUserId: 'U0123', apiUrl: 'https://exämple.com/a b' } },
    ],
  ]
  for (const [path, body, shown, change] of places) {
    const what = `${path} ${JSON.stringify(shown)}`
    const created = await client.post(path, body)
    t.equal(created.status, 201, created.text)
    t.match(created.body, shown, what)
    const own = `${path}/${created.body.id}`
    t.match((await client.get(own)).body, shown, `${what}, when it is read`)
    const changed = await client.patch(own, change)
    t.equal(changed.status, 200, changed.text)
    t.match(changed.body, shown, `${what}, when it is changed`)
  }
})

t.test('requests go to the URL that is shown', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const server = await startHostile(t, says('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  const given = `${server.url.replace('http', 'HTTP')}a b/ü?x[]=1|2#part`
  const requestLine = 'POST /a%20b/%C3%BC?x[]=1|2 HTTP/1.1'
  const sentTimes = (count: number) =>
    until(
      () => server.sockets.map(server.received).join('').split(requestLine).length - 1 === count,
      `${count} requests were sent there`,
    )
  for (const type of ['webhook', 'slack']) {
    const body = { name: type, eventPatterns: ['*'], destination: { type, url: given } }
    const { status, text } = await client.post('/subscriptions', body)
    t.equal(status, 201, text)
  }
  await client.post('/events', { type: 'order.placed', payload: {} })
  await sentTimes(2)
  const { body: line } = await client.post('/platform-connections', {
    platform: 'http',
    name: 'line',
    settings: { url: given },
    credentials: { secret: 'a-shared-secret' },
  })
  await client.post('/messages', { platformConnectionId: line.id, toExternalId: '1', message: 'hi' })
  await until(
    () => server.sockets.some((socket) => /"to":"1"/.test(server.received(socket))),
    'a message came',
  )
  t.match(server.sockets.map(server.received).join(''), requestLine)
})
