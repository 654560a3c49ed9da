import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { startReceiver, type Receiver } from '../../helpers/receiver.ts'
import { BACKENDS, startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

/** What is left of a wait with the least jitter. */
const LEAST = 0.9
/** Our clock, the database's and a timer's may differ by this much. */
const CLOCKS_MS = 20

const common = await startService(t)

/** An app of its own on the common service, or on a service with settings of its own. */
async function withReceiver(t: Test, settings?: Record<string, string>) {
  const service = settings ? await startService(t, { settings }) : common
  const client = await service.client()
  const receiver = await startReceiver(t)
  return { service, client, receiver }
}

async function subscribe(client: Client, url: string, more: object = {}) {
  const destination = { type: 'webhook', url }
  const answer = await client.post('/subscriptions', {
    name: 'test',
    eventPatterns: ['retry.test'],
    destination,
    ...more,
  })
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body
}

/** Appends an event. @returns the id of its one delivery */
async function append(client: Client): Promise<string> {
  const { body: event } = await client.post('/events', { type: 'retry.test', payload: {} })
  const { body } = await client.get(`/events/${event.id}/deliveries`)
  return body.data[0].id
}

/** Waits until a delivery has ended, or has so many attempts. */
const settled = (client: Client, id: string, attempts = Infinity) =>
  until(async () => {
    const { body } = await client.get(`/deliveries/${id}`)
    return (body.status !== 'pending' || body.attempts >= attempts) && body
  }, 'the delivery has ended or was attempted')

/** Waits until the health of a subscription is in a state; it is recorded after the attempt. */
const healthIn = (client: Client, id: string, state: string) =>
  until(async () => {
    const { health } = (await client.get(`/subscriptions/${id}`)).body
    return health.state === state && health
  }, `it is ${state}`)

const attemptsOf = async (client: Client, id: string) =>
  (await client.get(`/deliveries/${id}/attempts`)).body.data

const answering =
  (status: number, headers: Record<string, string> = {}): Receiver['answer'] =>
  (response: ServerResponse) => {
    response.writeHead(status, headers)
    response.end()
  }

t.test(
  'a subscription’s own schedule is kept to, and the delivery dead after its last attempt',
  async (t) => {
    const { client, receiver } = await withReceiver(t)
    receiver.answer = answering(500)
    const retrySchedule = ['100ms', '300ms']
    const subscription = await subscribe(client, receiver.url, { retrySchedule })
    t.strictSame(subscription.retrySchedule, retrySchedule)
    const delivery = await settled(client, await append(client))
    t.match(delivery, { status: 'dead', attempts: 3 })
    const [first, second, third] = receiver.received.map(({ at }) => at) as [number, number, number]
    t.equal(receiver.received.length, 3)
    t.ok(second - first >= 100 * LEAST - CLOCKS_MS, `${second - first} ms`)
    t.ok(third - second >= 300 * LEAST - CLOCKS_MS, `${third - second} ms`)
  },
)

t.test('an empty schedule is a single attempt, and null returns to the service’s own', async (t) => {
  const { client, receiver } = await withReceiver(t)
  receiver.answer = answering(500)
  const { id } = await subscribe(client, receiver.url, { retrySchedule: [] })
  t.match(await settled(client, await append(client)), { status: 'dead', attempts: 1 })
  await client.patch(`/subscriptions/${id}`, { retrySchedule: null })
  t.match(await settled(client, await append(client)), { status: 'dead', attempts: 4 })
  await client.patch(`/subscriptions/${id}`, { retrySchedule: ['1ms'] })
  t.match(await settled(client, await append(client)), { status: 'dead', attempts: 2 })
})

t.test('a schedule that cannot be used is refused', async (t) => {
  const { client, receiver } = await withReceiver(t)
  const { id } = await subscribe(client, receiver.url)
  for (const retrySchedule of [['5'], ['-1s'], ['31d'], ['1w'], '5s', [5], ['5s,6s'], Array(51).fill('1s')]) {
    const answer = await client.patch(`/subscriptions/${id}`, { retrySchedule })
    t.match(answer, { status: 400, body: { type: /validation-failed/ } }, JSON.stringify(retrySchedule))
  }
  t.equal((await client.patch(`/subscriptions/${id}`, { retrySchedule: ['30d'] })).status, 200)
})

t.test('a changed schedule holds for what is pending', async (t) => {
  const { client, receiver } = await withReceiver(t)
  receiver.answer = answering(500)
  const { id } = await subscribe(client, receiver.url, { retrySchedule: ['200ms', '1h', '1h'] })
  const delivery = await append(client)
  await settled(client, delivery, 1)
  await client.patch(`/subscriptions/${id}`, { retrySchedule: ['1ms'] })
  t.match(await settled(client, delivery), { status: 'dead', attempts: 2 })
})

t.test('Retry-After puts off the next attempt, a day at most', async (t) => {
  const hour = 3_600_000
  const cases = [
    { name: 'seconds', value: () => '3600', least: hour, most: hour },
    {
      name: 'a date',
      value: () => new Date(Date.now() + 2 * hour).toUTCString(),
      least: 2 * hour - 1000,
      most: 2 * hour,
    },
    { name: 'a week', value: () => String(7 * 86_400), least: 24 * hour, most: 24 * hour },
    {
      name: 'a date in ten years',
      value: () => new Date(Date.now() + 87_600 * hour).toUTCString(),
      least: 24 * hour,
      most: 24 * hour,
    },
    {
      name: 'more digits than a number has',
      value: () => '9'.repeat(400),
      least: 24 * hour,
      most: 24 * hour,
    },
  ]
  const { service, receiver } = await withReceiver(t)
  for (const { name, value, least, most } of cases) {
    const client = await service.client()
    await subscribe(client, receiver.url)
    receiver.answer = (...args) => answering(500, { 'retry-after': value() })(...args)
    const before = Date.now()
    const delivery = await settled(client, await append(client), 1)
    t.match(delivery, { status: 'pending', attempts: 1 }, name)
    const at = Date.parse(delivery.nextAttemptAt)
    t.ok(at >= before + least - CLOCKS_MS, `${name}: not before`)
    t.ok(at <= Date.now() + most + CLOCKS_MS, `${name}: not much after`)
  }
})

t.test('Retry-After never makes an attempt come earlier, and nonsense in it does no harm', async (t) => {
  const { service, receiver } = await withReceiver(t)
  for (const value of ['0', '-5', 'soon', new Date(0).toUTCString()]) {
    const client = await service.client()
    await subscribe(client, receiver.url, { retrySchedule: ['1h'] })
    receiver.answer = answering(500, { 'retry-after': value })
    const before = Date.now()
    const delivery = await settled(client, await append(client), 1)
    t.ok(Date.parse(delivery.nextAttemptAt) >= before + 3_600_000 * LEAST, value)
  }
})

t.test('a redirect of any kind is a failure and is not followed', async (t) => {
  const { client, receiver } = await withReceiver(t)
  const elsewhere = await startReceiver(t)
  await subscribe(client, receiver.url, { retrySchedule: [] })
  for (const status of [300, 301, 302, 303, 304, 307, 308]) {
    receiver.answer = answering(status, { location: elsewhere.url })
    const delivery = await settled(client, await append(client))
    t.match(delivery, { status: 'dead', attempts: 1 }, String(status))
    t.match(await attemptsOf(client, delivery.id), [{ outcome: 'failed', responseStatus: status }])
  }
  t.equal(elsewhere.received.length, 0)
})

for (const backend of BACKENDS) {
  t.test(`410 disables the subscription and keeps what it is owed (${backend})`, async (t) => {
    const service = backend === 'postgres' ? common : await startService(t, { backend })
    const client = await service.client()
    const receiver = await startReceiver(t)
    receiver.answer = answering(410)
    // Also where there is no attempt left.
    for (const retrySchedule of [[], ['1ms']]) {
      const { id } = await subscribe(client, receiver.url, { retrySchedule })
      const deliveryId = await append(client)
      const disabled = await until(async () => {
        const { body } = await client.get(`/subscriptions/${id}`)
        return body.status === 'disabled' && body
      }, 'it is disabled')
      t.match(disabled, { disabledReason: 'gone', disabledAt: String })
      const { body: delivery } = await client.get(`/deliveries/${deliveryId}`)
      t.equal(delivery.status, 'pending')
      t.ok(delivery.attempts >= 1)
      const attempts = await attemptsOf(client, deliveryId)
      t.ok(attempts.length >= delivery.attempts)
      t.match(attempts[0], { number: 1, outcome: 'failed', responseStatus: 410 })
      const { body: pending } = await client.get(`/deliveries?status=pending&subscriptionId=${id}`)
      t.strictSame(
        pending.data.map((each: { id: string }) => each.id),
        [deliveryId],
      )
      const { body: log } = await client.get('/events?type=system.subscription.disabled')
      t.match(
        log.data.filter(
          ({ payload }: { payload: { subscriptionId: string } }) => payload.subscriptionId === id,
        ),
        [{ payload: { subscriptionId: id, reason: 'gone' } }],
        'told once',
      )
      await client.delete(`/subscriptions/${id}`)
    }
  })
}

t.test('an endpoint that asks for fewer requests is left alone until it said', async (t) => {
  const cases = [
    { status: 429, headers: { 'retry-after': '1' } },
    { status: 503, headers: { 'retry-after': '1' } },
    { status: 502, headers: { 'retry-after': '1' } },
    { status: 504, headers: { 'retry-after': '1' } },
  ]
  await Promise.all(
    cases.map(async ({ status, headers }) => {
      const { client, receiver } = await withReceiver(t)
      receiver.answer = answering(status, headers)
      const { id } = await subscribe(client, receiver.url)
      await settled(client, await append(client), 1)
      const held = await healthIn(client, id, 'held')
      t.match(held, { heldUntil: String, consecutiveFailures: 1 }, String(status))
      receiver.answer = answering(200)
      const throttledAt = receiver.received[0]?.at ?? Infinity
      const others = await Promise.all([append(client), append(client)])
      for (const other of others) t.match(await settled(client, other), { status: 'succeeded', attempts: 1 })
      t.ok((receiver.received[1]?.at ?? 0) - throttledAt >= 1000 - CLOCKS_MS, `${status}: nothing before`)
      await healthIn(client, id, 'healthy')
    }),
  )
})

t.test('it may ask for an hour at most', async (t) => {
  const { client, receiver } = await withReceiver(t)
  receiver.answer = answering(429, { 'retry-after': '86400' })
  const { id } = await subscribe(client, receiver.url)
  const delivery = await settled(client, await append(client), 1)
  const { heldUntil } = await healthIn(client, id, 'held')
  const heldMs = Date.parse(heldUntil) - Date.now()
  t.ok(heldMs > 3_500_000 && heldMs <= 3_600_000 + CLOCKS_MS, 'the subscription for an hour')
  t.ok(Date.parse(delivery.nextAttemptAt) - Date.now() > 86_000_000, 'the delivery for a day')
})

t.test('other failures, and a plain 503, do not throttle', async (t) => {
  await Promise.all(
    [400, 401, 404, 409, 422, 500, 503].map(async (status) => {
      const { client, receiver } = await withReceiver(t)
      const headers: Record<string, string> = status === 503 ? {} : { 'retry-after': '3600' }
      receiver.answer = answering(status, headers)
      const { id } = await subscribe(client, receiver.url, { retrySchedule: ['1h'] })
      await settled(client, await append(client), 1)
      const health = await healthIn(client, id, 'failing')
      t.match(health, { consecutiveFailures: 1, heldUntil: null }, String(status))
      receiver.answer = answering(200)
      t.match(await settled(client, await append(client)), { status: 'succeeded' })
    }),
  )
})

t.test('requests that began before an endpoint asked for fewer do not end its hold', async (t) => {
  const { client, receiver } = await withReceiver(t, {
    DELIVERY_TIMEOUT_MS: '5000',
    DELIVERY_LEASE_MS: '20000',
  })
  const open: ServerResponse[] = []
  receiver.answer = (response) => void open.push(response)
  const { id } = await subscribe(client, receiver.url)
  const ids = await Promise.all([append(client), append(client), append(client)])
  await receiver.waitFor(3)
  const [throttled, ...others] = open as [ServerResponse, ...ServerResponse[]]
  throttled.writeHead(429, { 'retry-after': '3600' }).end()
  await healthIn(client, id, 'held')
  for (const response of others) response.end()
  await until(async () => {
    const all = await Promise.all(ids.map(async (each) => (await client.get(`/deliveries/${each}`)).body))
    return all.filter(({ status }) => status === 'succeeded').length === 2
  }, 'the others succeeded')
  const later = await append(client)
  // A delivery to another subscription, made after it, shows that it had its time.
  const elsewhere = await startReceiver(t)
  await client.post('/subscriptions', {
    name: 'other',
    eventPatterns: ['other.test'],
    destination: { type: 'webhook', url: elsewhere.url },
  })
  await client.post('/events', { type: 'other.test', payload: {} })
  await elsewhere.waitFor(1)
  await healthIn(client, id, 'held')
  t.equal(receiver.received.length, 3)
  t.match((await client.get(`/deliveries/${later}`)).body, { status: 'pending', attempts: 0 })
})
