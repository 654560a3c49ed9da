import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { append, drained, mostWithin, numbers, startPair, subscribe, watchDelay } from '../../helpers/flow.ts'
import { startReceiver, type Received } from '../../helpers/receiver.ts'
import { BACKENDS, startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const pair = await startPair(t)

interface Limit {
  requests: number
  perSeconds: number
}

/** Of any window, with what came late because this process was busy. */
function expectWithin(
  t: Test,
  received: readonly Received[],
  { requests, perSeconds }: Limit,
  delayMs: number,
): void {
  const windowMs = perSeconds * 1000
  const most = mostWithin(
    received.map(({ at }) => at),
    windowMs,
  )
  const allowed = requests + 1 + Math.ceil((delayMs / windowMs) * requests)
  t.ok(most <= allowed, `${most} in ${perSeconds} s, at most ${allowed}`)
}

for (const backend of BACKENDS) {
  t.test(`two processes together keep within the limit, and come near to it (${backend})`, async (t) => {
    const { first, app } = await startPair(t, { backend })
    const { client, receiver } = await app(t)
    const rateLimit = { requests: 20, perSeconds: 1 }
    await subscribe(client, receiver.url, { rateLimit })
    const delay = watchDelay(t)
    await append(client, numbers(60))
    await drained(first)
    const { received } = receiver
    t.equal(new Set(received.map(({ headers }) => headers['webhook-id'])).size, 60)
    expectWithin(t, received, rateLimit, delay())
    const start = received[0]?.at ?? 0
    const atStart = received.filter(({ at }) => at - start < 250)
    t.ok(atStart.length <= 7 + (delay() / 1000) * 20, `${atStart.length} in the first quarter of a second`)
    const most = mostWithin(
      received.map(({ at }) => at),
      1000,
    )
    t.ok(most >= 10, `${most} in the busiest second`)
  })
}

t.test('retries, manual retries and replays are within the limit too', async (t) => {
  const { client, receiver } = await pair.app(t)
  const rateLimit = { requests: 25, perSeconds: 1 }
  const id = await subscribe(client, receiver.url, { rateLimit })
  const seen = new Set<unknown>()
  receiver.answer = (response, { headers }) => {
    const isFirst = !seen.has(headers['webhook-id'])
    seen.add(headers['webhook-id'])
    response.statusCode = isFirst && seen.size % 2 === 0 ? 500 : 200
    response.end()
  }
  const delay = watchDelay(t)
  await append(client, numbers(20))
  await drained(pair.first)
  t.equal(receiver.received.length, 30, 'every second one twice')
  const { body } = await client.get('/deliveries?limit=10')
  for (const delivery of body.data) {
    t.equal((await client.post(`/deliveries/${delivery.id}/retry`, {})).status, 202)
  }
  t.equal((await client.post(`/subscriptions/${id}/replay`, { from: '2020-01-01T00:00:00Z' })).status, 202)
  await receiver.waitFor(60)
  await drained(pair.first)
  t.equal(receiver.received.length, 60)
  expectWithin(t, receiver.received, rateLimit, delay())
})

t.test('a limit that changes, and one that is taken away, count for what waits already', async (t) => {
  const { client, receiver } = await pair.app(t)
  const id = await subscribe(client, receiver.url, { rateLimit: { requests: 1, perSeconds: 86_400 } })
  await append(client, numbers(20))
  await receiver.waitFor(1)
  const delay = watchDelay(t)
  const rateLimit = { requests: 10, perSeconds: 1 }
  t.equal((await client.patch(`/subscriptions/${id}`, { rateLimit })).status, 200)
  await receiver.waitFor(10)
  expectWithin(t, receiver.received.slice(1), rateLimit, delay())
  await client.patch(`/subscriptions/${id}`, { rateLimit: { requests: 1, perSeconds: 86_400 } })
  // What was taken before is still sent.
  const before = await until(async () => {
    const { body } = await client.get(`/subscriptions/${id}/statistics`)
    return body.attempts === receiver.received.length && receiver.received.length
  }, 'nothing is under way')
  t.ok(before < 20)
  await append(client, numbers(20))
  t.equal((await client.patch(`/subscriptions/${id}`, { rateLimit: null })).status, 200)
  await drained(pair.first)
  t.equal(receiver.received.length, 40)
})

t.test('a very low limit', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, { rateLimit: { requests: 1, perSeconds: 2 } })
  const delay = watchDelay(t)
  await append(client, numbers(3))
  const received = await receiver.waitFor(3)
  for (const [index, { at }] of received.entries()) {
    if (index === 0) continue
    const wait = at - (received[index - 1]?.at ?? 0)
    t.ok(wait >= 1000 - delay(), `${wait} ms after the one before`)
  }
  expectWithin(t, received, { requests: 1, perSeconds: 2 }, delay())
})

t.test('a very high limit', async (t) => {
  const { client, receiver } = await pair.app(t)
  const rateLimit = { requests: 1_000, perSeconds: 1 }
  await subscribe(client, receiver.url, { rateLimit })
  const delay = watchDelay(t)
  await append(client, numbers(1_000))
  await drained(pair.first)
  t.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 1_000)
  expectWithin(t, receiver.received, rateLimit, delay())
})

t.test('what sending needs is looked up before the first request is due', async (t) => {
  const service = await startService(t)
  const { pool } = service.platform
  const slow = new WeakSet<object>()
  let lookedUp = 0
  pool.on('acquire', (client) => {
    if (slow.has(client)) return
    slow.add(client)
    const query = client.query.bind(client) as (...given: unknown[]) => Promise<unknown>
    Object.assign(client, {
      async query(...given: unknown[]) {
        if (JSON.stringify(given[0]).includes('sealed_old_secrets')) {
          lookedUp += 1
          await sleep(600)
        }
        return query(...given)
      },
    })
  })
  const client = await service.client()
  const receiver = await startReceiver(t)
  await subscribe(client, receiver.url, { rateLimit: { requests: 10 } })
  const delay = watchDelay(t)
  await append(client, numbers(12))
  await receiver.waitFor(12)
  t.ok(lookedUp > 0, 'it took a while')
  const most = mostWithin(
    receiver.received.map(({ at }) => at),
    150,
  )
  t.ok(most <= 3 + delay() / 100, `${most} within 150 ms: none waited for it together`)
})
