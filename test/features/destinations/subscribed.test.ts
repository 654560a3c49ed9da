import t, { type Test } from 'tap'
import { startMailServer } from '../../helpers/mail-server.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const TOKEN = 't0k3n-0f-the-channel'

async function subscribe(client: Client, destination: object, more: object = {}) {
  const answer = await client.post('/subscriptions', {
    name: 'test',
    eventPatterns: ['order.*'],
    destination,
    ...more,
  })
  if (answer.status !== 201) throw new Error(answer.text)
  return { ...answer.body, path: `/subscriptions/${answer.body.id}` }
}

/** Appends an event and waits for the end of its one delivery. */
async function deliver(client: Client, payload: object) {
  const { body: event } = await client.post('/events', { type: 'order.placed', payload })
  const delivery = await until(async () => {
    const { body } = await client.get(`/events/${event.id}/deliveries`)
    return body.data[0]?.status === 'pending' ? undefined : body.data[0]
  }, 'the delivery has ended')
  return { delivery, attempts: (await client.get(`/deliveries/${delivery.id}/attempts`)).body.data }
}

async function startWithMail(t: Test) {
  const server = await startMailServer(t)
  const settings = { SMTP_URL: `smtp://127.0.0.1:${server.port}`, MAIL_FROM: 'Shop <events@shop.example>' }
  return { server, client: await (await startService(t, { settings })).client() }
}

for (const [type, field] of [
  ['slack', 'text'],
  ['discord', 'content'],
] as const) {
  t.test(`a ${type} subscription posts to an address that nobody is shown`, async (t) => {
    const service = await startService(t)
    const client = await service.client()
    const receiver = await startReceiver(t)
    receiver.answer = (response) => response.end(type === 'slack' ? 'ok' : '{"id":"1"}')
    const url = `${receiver.url}services/T0/B0/${TOKEN}`
    const { path, destination, secret } = await subscribe(client, { type, url })
    t.strictSame(destination, { type, url: '***' })
    t.match(secret, /^whsec_/)
    t.match((await deliver(client, { order_id: 'A-1' })).delivery, { status: 'succeeded', attempts: 1 })
    const lastBody = () => JSON.parse(receiver.received.at(-1)?.text ?? '') as Record<string, string>
    t.match(lastBody()[field], /order\.placed[\s\S]*"order_id": "A-1"/)
    t.notOk('webhook-signature' in (receiver.received[0]?.headers ?? {}))

    const transformation = '"Order " & payload.order_id'
    const kept = await client.patch(path, { destination: { type, url: '***' }, transformation })
    t.match(kept.body, { destination: { type, url: '***' }, transformation })
    await deliver(client, { order_id: 'A-2' })
    t.equal(lastBody()[field], 'Order A-2', 'it still goes there, as the text that was made')

    const { body: tested } = await client.post(`${path}/test`, {
      eventType: 'order.tested',
      payload: { order_id: 'A-3' },
    })
    t.match(tested, { succeeded: true, responseStatus: 200, error: null })
    t.equal(lastBody()[field], 'Order A-3')

    const other = await startReceiver(t)
    other.answer = receiver.answer
    await client.patch(path, { destination: { type, url: `${other.url}hooks/${TOKEN}` } })
    await deliver(client, { order_id: 'A-4' })
    t.equal(other.received.length, 1, 'another address replaces it')

    const answers = [
      await client.get(path),
      await client.get('/subscriptions'),
      await client.get('/attempts'),
      kept,
    ]
    for (const { text } of answers) t.notOk(text.includes(TOKEN))
    const { rows } = await service.platform.pool.query(
      'select s::text as row from subscriptions s union all select a::text from delivery_attempts a',
    )
    const hex = Buffer.from(TOKEN).toString('hex')
    t.notOk(rows.some(({ row }) => row.includes(TOKEN) || row.includes(hex)))
  })

  t.test(`what is no message for ${type} is not sent, and the endpoint is not to blame`, async (t) => {
    const service = await startService(t)
    const client = await service.client()
    const receiver = await startReceiver(t)
    const url = `${receiver.url}services/${TOKEN}`
    const { path } = await subscribe(client, { type, url }, { transformation: 'payload.n + 1' })
    const { delivery, attempts } = await deliver(client, { n: 1 })
    t.equal(delivery.status, 'dead')
    t.match(attempts, [{ outcome: 'failed', error: /made a number; it must make a text or an object/ }])
    t.equal((await client.get(path)).body.health.state, 'healthy')
    t.equal(receiver.received.length, 0)
  })
}

t.test('an e-mail subscription sends mail through the server of the settings', async (t) => {
  const { server, client } = await startWithMail(t)
  const destination = { type: 'email', to: ['ada@example.com'], subject: 'Shop: {{type}}' }
  const made = await subscribe(client, destination)
  t.strictSame(made.destination, destination, 'nothing of it is hidden')
  const { delivery, attempts } = await deliver(client, { order_id: 'A-1' })
  t.equal(delivery.status, 'succeeded')
  t.match(attempts, [{ outcome: 'succeeded', responseStatus: 250, responseBody: /^250/ }])
  t.match(server.received, [{ from: 'events@shop.example', to: ['ada@example.com'] }])
  t.match(server.received[0]?.source, /^Subject: Shop: order\.placed\r$/m)

  const transformation = '{"subject": "Order " & payload.order_id, "text": "It is on its way."}'
  await client.patch(made.path, { transformation, destination: { ...destination, to: ['bob@example.com'] } })
  await deliver(client, { order_id: 'A-2' })
  t.match(server.received[1], { to: ['bob@example.com'], source: /^Subject: Order A-2\r$/m })
  const { body: tested } = await client.post(`${made.path}/test`, undefined)
  t.match(tested, { succeeded: true, responseStatus: 250 })
  t.equal(server.received.length, 3)
})

t.test('without a mail server e-mails fail, and say what is missing', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const { path } = await subscribe(client, { type: 'email', to: ['ada@example.com'] })
  const { delivery, attempts } = await deliver(client, {})
  t.match(delivery, { status: 'dead', attempts: 1 })
  t.match(attempts, [
    { error: 'No mail server is set up. Set SMTP_URL and MAIL_FROM.', responseStatus: null },
  ])
  t.equal((await client.get(path)).body.health.state, 'healthy')
  t.match((await client.post(`${path}/test`, {})).body, { succeeded: false, error: /SMTP_URL/ })
})

t.test('what is owed already goes to the new kind of destination', async (t) => {
  const { server, client } = await startWithMail(t)
  const receiver = await startReceiver(t)
  receiver.answer = (response) => {
    response.statusCode = 500
    response.end()
  }
  const { path } = await subscribe(
    client,
    { type: 'webhook', url: receiver.url },
    { retrySchedule: Array.from({ length: 50 }, () => '300ms') },
  )
  const ending = deliver(client, { order_id: 'A-1' })
  await receiver.waitFor(1)
  const { body } = await client.patch(path, { destination: { type: 'email', to: ['ada@example.com'] } })
  t.equal(body.destination.type, 'email')
  t.equal((await ending).delivery.status, 'succeeded')
  t.equal(server.received.length, 1)
})
