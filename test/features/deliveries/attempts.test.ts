import { createServer } from 'node:net'
import { once } from 'node:events'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { startReceiver, type Receiver } from '../../helpers/receiver.ts'
import { BACKENDS, startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

/** Appends an event and waits until its one delivery has ended. */
async function deliver(client: Client, payload: object = {}) {
  const { body: event } = await client.post('/events', { type: 'attempt.test', payload })
  const delivery = await until(async () => {
    const { body } = await client.get(`/events/${event.id}/deliveries`)
    return body.data[0]?.status === 'pending' ? undefined : body.data[0]
  }, 'the delivery has ended')
  const { body: attempts } = await client.get(`/deliveries/${delivery.id}/attempts`)
  const { body: after } = await client.get(`/events/${event.id}`)
  return { event: after, delivery, attempts: attempts.data }
}

async function withReceiver(t: Test, answer: Receiver['answer'], settings: Record<string, string> = {}) {
  const service = await startService(t, { settings })
  const client = await service.client()
  const receiver = await startReceiver(t)
  receiver.answer = answer
  await client.subscribe(receiver.url)
  return { service, client, receiver }
}

for (const backend of BACKENDS) {
  t.test(`a failed attempt is tried again, with the same id, until it succeeds (${backend})`, async (t) => {
    const service = await startService(t, { backend })
    const client = await service.client()
    const receiver = await startReceiver(t)
    receiver.answer = (response) => {
      response.statusCode = receiver.received.length < 3 ? 500 : 204
      response.end(receiver.received.length < 3 ? 'not now' : undefined)
    }
    await client.subscribe(receiver.url)
    const { event, delivery, attempts } = await deliver(client)
    t.match(delivery, { status: 'succeeded', attempts: 3, nextAttemptAt: null })
    t.match(attempts, [
      { number: 1, outcome: 'failed', responseStatus: 500, responseBody: 'not now', error: /answered 500/ },
      { number: 2, outcome: 'failed', responseStatus: 500 },
      { number: 3, outcome: 'succeeded', responseStatus: 204, error: null },
    ])
    t.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 1)
    t.equal(new Set(receiver.received.map(({ text }) => text)).size, 1, 'every attempt sends the same')
    t.equal(event.status, 'completed')
    t.equal(event.processedAt, delivery.completedAt)
  })

  t.test(`after the last attempt the delivery is dead and the event failed (${backend})`, async (t) => {
    const service = await startService(t, { backend })
    const client = await service.client()
    const receiver = await startReceiver(t)
    receiver.answer = (response) => {
      response.statusCode = 503
      response.end()
    }
    await client.subscribe(receiver.url)
    const { event, delivery, attempts } = await deliver(client)
    t.match(delivery, { status: 'dead', attempts: 4 })
    t.equal(attempts.length, 4, 'one, and one for each wait of the schedule')
    t.equal(receiver.received.length, 4)
    t.equal(event.status, 'failed')
    const { body: dead } = await client.get('/deliveries?status=dead')
    t.strictSame(dead.data, [delivery])
  })
}

t.test('each delivery of an event has its own attempts', async (t) => {
  const { client, receiver } = await withReceiver(t, (response) => response.end())
  await client.subscribe(receiver.url)
  const { body: event } = await client.post('/events', { type: 'attempt.test', payload: {} })
  await receiver.waitFor(2)
  await until(async () => {
    const { body } = await client.get(`/events/${event.id}`)
    return body.status === 'completed'
  }, 'both were made')
  const { body: deliveries } = await client.get(`/events/${event.id}/deliveries`)
  t.equal(deliveries.data.length, 2)
  const attempts = await Promise.all(
    deliveries.data.map(
      async ({ id }: { id: string }) => (await client.get(`/deliveries/${id}/attempts`)).body.data,
    ),
  )
  t.match(attempts, [[{ number: 1 }], [{ number: 1 }]])
  t.not(attempts[0][0].id, attempts[1][0].id)
})

t.test('a redirect is a failure and is not followed', async (t) => {
  const elsewhere = await startReceiver(t)
  const { client } = await withReceiver(
    t,
    (response) => {
      response.writeHead(302, { location: elsewhere.url })
      response.end()
    },
    { DELIVERY_RETRY_SCHEDULE: '1ms' },
  )
  const { delivery, attempts } = await deliver(client)
  t.equal(delivery.status, 'dead')
  t.match(attempts[0], { outcome: 'failed', responseStatus: 302 })
  t.equal(elsewhere.received.length, 0)
})

t.test('an endpoint that does not finish its answer fails within the limit', async (t) => {
  const { client } = await withReceiver(t, (response) => response.writeHead(200).write('to be continued'), {
    DELIVERY_RETRY_SCHEDULE: '1ms',
    DELIVERY_TIMEOUT_MS: '200',
  })
  const { delivery, attempts } = await deliver(client)
  t.equal(delivery.status, 'dead')
  t.match(attempts[0], {
    outcome: 'failed',
    responseStatus: null,
    error: /No complete response within 200 ms/,
  })
})

t.test('an answer that Postgres could not store as it is, and a long one, are recorded', async (t) => {
  const { client } = await withReceiver(t, (response) =>
    response.end(
      Buffer.concat([
        Buffer.from('zero \0, broken \xff, long '),
        Buffer.from([0xff]),
        Buffer.alloc(100_000, 'x'),
      ]),
    ),
  )
  const { delivery, attempts } = await deliver(client)
  t.equal(delivery.status, 'succeeded')
  t.equal(attempts[0].responseBody, '[at least 16384 bytes that are no text]')
})

t.test('an endpoint that cannot be reached, or must not be, is told apart', async (t) => {
  const settings = { DELIVERY_RETRY_SCHEDULE: '1ms', OUTBOUND_ALLOW_CIDRS: '127.0.0.2/32' }
  const service = await startService(t, { settings })
  const closed = createServer().listen(0, '127.0.0.2')
  await once(closed, 'listening')
  const { port } = closed.address() as { port: number }
  closed.close()
  const cases = [
    { url: `http://127.0.0.2:${port}/`, error: /ECONNREFUSED/ },
    {
      url: 'http://localhost/latest/meta-data',
      error: /^localhost resolves to \S+, which is not a public address\.$/,
    },
  ]
  for (const { url, error } of cases) {
    const client = await service.client()
    await client.subscribe(url)
    const { delivery, attempts } = await deliver(client)
    t.equal(delivery.status, 'dead')
    t.match(attempts[0], { responseStatus: null, error }, url)
  }
})

t.test('a retry that is far off waits in Postgres, and is made when it is due', async (t) => {
  const { service, client, receiver } = await withReceiver(
    t,
    (response) => {
      response.statusCode = receiver.received.length === 1 ? 500 : 200
      response.end()
    },
    { DELIVERY_RETRY_SCHEDULE: '1h' },
  )
  const { body: event } = await client.post('/events', { type: 'attempt.test', payload: {} })
  const delivery = await until(async () => {
    const { body } = await client.get(`/events/${event.id}/deliveries`)
    return body.data[0]?.attempts === 1 ? body.data[0] : undefined
  }, 'the first attempt failed')
  t.equal(delivery.status, 'pending')
  const waitMs = Date.parse(delivery.nextAttemptAt) - Date.now()
  t.ok(waitMs > 50 * 60_000 && waitMs < 70 * 60_000, 'about an hour from now')
  t.equal((await client.get(`/events/${event.id}`)).body.status, 'processing')

  // An hour later, so to speak.
  await sql`update deliveries set next_attempt_at = now(), due_at = now()`.execute(service.platform.db)
  await receiver.waitFor(2)
  await until(async () => {
    const { body } = await client.get(`/events/${event.id}`)
    return body.status === 'completed'
  }, 'the event is completed')
})
