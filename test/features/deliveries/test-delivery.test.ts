import { createServer } from 'node:net'
import { once } from 'node:events'
import { sql } from 'kysely'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { startReceiver, type Received } from '../../helpers/receiver.ts'
import { startService } from '../../helpers/service.ts'

async function furnish(t: Test, settings: Record<string, string> = {}) {
  const service = await startService(t, { worker: false, settings })
  const client = await service.client()
  const receiver = await startReceiver(t)
  const subscription = await client.subscribe(receiver.url, ['nothing.*'])
  const test = async (body?: object | null, id: string = subscription.id) => {
    const answer = await client.post(`/subscriptions/${id}/test`, body)
    t.equal(answer.status, 200, answer.text)
    return answer.body
  }
  return { service, client, receiver, subscription, test }
}

/** As a receiver does. @returns the body */
const verify = (secret: string, { text, headers }: Received) =>
  new Webhook(secret).verify(text, headers as Record<string, string>) as Record<string, unknown>

t.test('a made-up event is sent as a real one is', async (t) => {
  const { service, client, receiver, subscription, test } = await furnish(t)
  receiver.answer = (response) => response.writeHead(202, { 'x-answer': 'yes' }).end('thanks')
  const result = await test()
  t.match(result, { succeeded: true, responseStatus: 202, responseBody: 'thanks', error: null })
  t.equal(result.responseHeaders['x-answer'], 'yes')
  t.ok(Number.isInteger(result.durationMs))
  const [first] = receiver.received as [Received]
  t.equal(first.headers['webhook-id'], result.eventId)
  t.match(first.headers['webhook-signature'], /v1,\S+ v1a,/)
  t.match(verify(subscription.secret, first), {
    event_id: result.eventId,
    event_type: 'system.subscription.test',
    app_id: client.appId,
    payload: { subscriptionId: subscription.id, test: true },
  })

  await test(null)
  await test({})
  await test({ eventType: 'order.placed', payload: { order: { id: 'A-1' } } })
  t.match(verify(subscription.secret, receiver.received.at(-1) as Received), {
    event_type: 'order.placed',
    payload: { order: { id: 'A-1' } },
  })
  t.equal(receiver.received.length, 4)
  const payload = '{"id":813683310949021977,"total":1.10,"huge":1e400}'
  await client.post(`/subscriptions/${subscription.id}/test`, `{"payload":${payload}}`)
  t.ok(
    receiver.received.at(-1)?.text.includes(`"payload":${payload}`),
    'numbers are sent as they are written',
  )

  await client.patch(`/subscriptions/${subscription.id}`, { batching: { maxEvents: 10 } })
  const batch = await test({ eventType: 'order.placed' })
  const last = receiver.received.at(-1) as Received
  t.match(verify(subscription.secret, last), { events: [{ event_id: batch.eventId }] })
  t.equal(last.headers['webhook-id'], batch.eventId)

  await client.patch(`/subscriptions/${subscription.id}`, {
    batching: null,
    transformation: '{ "kind": event_type, "n": payload.n }',
    filter: { never: 1 },
  })
  await test({ eventType: 'order.placed', payload: { n: 7 } })
  t.strictSame(verify(subscription.secret, receiver.received.at(-1) as Received), {
    kind: 'order.placed',
    n: 7,
  })

  t.test('and nothing of it is stored', async (t) => {
    const { rows } = await sql`
      select (select count(*)::int4 from events) as events, (select count(*)::int4 from deliveries) as deliveries,
             (select count(*)::int4 from delivery_attempts) as attempts,
             (select max(head) from app_logs) as head`.execute(service.platform.db)
    t.strictSame(rows, [{ events: 0, deliveries: 0, attempts: 0, head: 0 }])
  })
})

t.test('also to one that is disabled or held', async (t) => {
  const { service, client, receiver, subscription, test } = await furnish(t)
  await client.post(`/subscriptions/${subscription.id}/disable`, undefined)
  t.match(await test(), { succeeded: true })
  t.equal((await client.get(`/subscriptions/${subscription.id}`)).body.status, 'disabled')
  await client.post(`/subscriptions/${subscription.id}/enable`, undefined)
  await sql`update subscription_states set held_until = now() + interval '1 hour', consecutive_failures = 12`.execute(
    service.platform.db,
  )
  t.match(await test(), { succeeded: true })
  const { body } = await client.get(`/subscriptions/${subscription.id}`)
  t.match(body.health, { state: 'held', consecutiveFailures: 12 }, 'its health is not judged by it')
  t.equal(receiver.received.length, 2)
})

t.test('an endpoint that fails gives a result too', async (t) => {
  const { client, receiver, subscription, test } = await furnish(t, { DELIVERY_TIMEOUT_MS: '300' })
  receiver.answer = (response) => response.writeHead(500).end('no')
  t.match(await test(), { succeeded: false, responseStatus: 500, responseBody: 'no', error: /answered 500/ })
  receiver.answer = (response) => response.writeHead(410).end()
  t.match(await test(), { succeeded: false, responseStatus: 410 })
  receiver.answer = () => {}
  t.match(await test(), { succeeded: false, responseStatus: null, error: /within 300 ms/ })
  receiver.answer = (response) => response.socket?.destroy()
  t.match(await test(), { succeeded: false, responseStatus: null })
  const { body } = await client.get(`/subscriptions/${subscription.id}`)
  t.match(body, { status: 'enabled', health: { state: 'healthy' } })
})

t.test('one that cannot be reached, or must not be, gives a result too', async (t) => {
  const settings = { OUTBOUND_ALLOW_CIDRS: '127.0.0.2/32' }
  const client = await (await startService(t, { worker: false, settings })).client()
  const closed = createServer().listen(0, '127.0.0.2')
  await once(closed, 'listening')
  const { port } = closed.address() as { port: number }
  closed.close()
  for (const [url, error] of [
    [`http://127.0.0.2:${port}/`, /ECONNREFUSED/],
    ['http://localhost/latest/meta-data', /^localhost resolves to \S+, which is not a public address\.$/],
  ] as const) {
    const { id } = await client.subscribe(url)
    const { body } = await client.post(`/subscriptions/${id}/test`, {})
    t.match(body, { succeeded: false, responseStatus: null, error }, url)
  }
})
