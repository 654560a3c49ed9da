import t from 'tap'
import { append, drained, mostWithin, numbers, startPair, subscribe, watchDelay } from '../../helpers/flow.ts'
import type { Received } from '../../helpers/receiver.ts'
import { until } from '../../helpers/until.ts'

interface Body {
  event_id: string
  event_type: string
  payload: { n: number }
}

const pair = await startPair(t)
const eventsOf = ({ text }: Received): Body[] => (JSON.parse(text) as { events: Body[] }).events
const numbersOf = (received: Received): number[] => eventsOf(received).map(({ payload }) => payload.n)
const idOf = ({ headers }: Received): unknown => headers['webhook-id']

t.test('several events are one request, each as it is alone', async (t) => {
  const { client, receiver } = await pair.app(t)
  const single = await pair.app(t)
  await subscribe(client, receiver.url, { batching: { maxEvents: 10 } })
  await subscribe(client, single.receiver.url, {})
  await append(client, numbers(25))
  await drained(pair.first)
  const { received } = receiver
  t.ok(
    received.every((each) => eventsOf(each).length <= 10),
    'no more than allowed',
  )
  t.ok(received.length < 25, 'together')
  t.strictSame(
    received.flatMap(numbersOf).toSorted((a, b) => a - b),
    numbers(25).map(({ n }) => n),
  )
  const alone = new Map(
    single.receiver.received.map(({ text }) => [(JSON.parse(text) as Body).payload.n, text]),
  )
  for (const each of received) {
    const texts = numbersOf(each).map((n) => alone.get(n))
    t.equal(each.text, `{"events":[${texts.join(',')}]}`)
    t.equal(each.headers['content-type'], 'application/json')
  }
  const { body } = await client.get('/deliveries?limit=50')
  t.equal(body.data.length, 50)
  for (const { id, status, attempts } of body.data) {
    t.match({ status, attempts }, { status: 'succeeded', attempts: 1 })
    const { body: made } = await client.get(`/deliveries/${id}/attempts`)
    t.match(made.data, [{ number: 1, outcome: 'succeeded', responseStatus: 200 }])
  }
})

t.test('in the batch form of CloudEvents', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, {
    destination: { type: 'webhook', url: receiver.url, format: 'cloudevents' },
    batching: { maxEvents: 5, maxWaitSeconds: 1 },
  })
  await append(client, numbers(5))
  const [received] = await receiver.waitFor(1)
  t.equal(received?.headers['content-type'], 'application/cloudevents-batch+json')
  const events = JSON.parse(received?.text ?? '') as { specversion: string; type: string; data: object }[]
  t.match(
    events,
    numbers(5).map((data) => ({ specversion: '1.0', type: 'flow.test', data })),
  )
})

t.test('the first event waits for others, but not for longer than allowed', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, { batching: { maxEvents: 50, maxWaitSeconds: 2 } })
  const start = Date.now()
  for (const payload of numbers(20)) await append(client, [payload])
  await drained(pair.first)
  const [earliest] = receiver.received
  t.ok((earliest?.at ?? 0) - start >= 1_900, 'not before its time')
  t.equal(receiver.received.flatMap(numbersOf).length, 20)
  t.ok(receiver.received.length <= 5, `${receiver.received.length} requests`)
})

t.test('a batch that is full does not wait', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, { batching: { maxEvents: 4, maxWaitSeconds: 300 } })
  for (const payload of numbers(9)) await append(client, [payload])
  await receiver.waitFor(2)
  t.strictSame(
    receiver.received.map((each) => eventsOf(each).length),
    [4, 4],
  )
  await append(client, numbers(3, 10))
  await receiver.waitFor(3)
  t.equal(new Set(receiver.received.flatMap(numbersOf)).size, 12)
})

t.test('after a failure each goes alone, and at once, so that a bad one takes none with it', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, {
    batching: { maxEvents: 6, maxWaitSeconds: 300 },
    retrySchedule: ['10ms', '10ms'],
  })
  receiver.answer = (response, received) => {
    response.statusCode = numbersOf(received).includes(3) ? 500 : 200
    response.end()
  }
  await append(client, numbers(6))
  await drained(pair.first)
  const { body: dead } = await client.get('/deliveries?status=dead')
  t.match(dead.data, [{ attempts: 3 }])
  const { body: succeeded } = await client.get('/deliveries?status=succeeded')
  t.equal(succeeded.data.length, 5)
  t.ok(succeeded.data.every(({ attempts }: { attempts: number }) => attempts === 2))
  const [batch, ...alone] = receiver.received
  t.equal(batch && numbersOf(batch).length, 6)
  t.equal(alone.length, 7, 'five once, the bad one twice')
  for (const each of alone) {
    t.equal(eventsOf(each).length, 1)
    t.equal(idOf(each), eventsOf(each)[0]?.event_id, 'an event alone has its own id')
  }
  t.not(batch && idOf(batch), batch && eventsOf(batch)[0]?.event_id)
  const { body: attempts } = await client.get(`/deliveries/${dead.data[0].id}/attempts`)
  t.match(
    attempts.data,
    [1, 2, 3].map((number) => ({ number, outcome: 'failed', responseStatus: 500 })),
  )
})

t.test('an event that cannot be transformed takes none with it, nor one without retries', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, {
    batching: { maxEvents: 4, maxWaitSeconds: 300 },
    transformation: '{"payload": {"n": payload.n * 1}}',
    retrySchedule: [],
  })
  await append(client, [{ n: 1 }, { n: 'no number' }, { n: 3 }, { n: 4 }])
  await drained(pair.first)
  t.strictSame(
    receiver.received.flatMap(numbersOf).toSorted((a, b) => a - b),
    [1, 3, 4],
  )
  const { body: dead } = await client.get('/deliveries?status=dead')
  t.equal(dead.data.length, 1)

  const other = await pair.app(t)
  await subscribe(other.client, other.receiver.url, {
    batching: { maxEvents: 3, maxWaitSeconds: 300 },
    retrySchedule: [],
  })
  other.receiver.answer = (response, received) => {
    response.statusCode = numbersOf(received).includes(2) ? 400 : 200
    response.end()
  }
  await append(other.client, numbers(3))
  await drained(pair.first)
  const { body: succeeded } = await other.client.get('/deliveries?status=succeeded')
  t.equal(succeeded.data.length, 2)
})

t.test('large payloads are split into several requests', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, { batching: { maxEvents: 6, maxWaitSeconds: 300 } })
  const filler = 'x'.repeat(240_000)
  await append(
    client,
    numbers(6).map(({ n }) => ({ n, filler })),
  )
  await drained(pair.first)
  t.strictSame(
    receiver.received.map(numbersOf).toSorted(([a = 0], [b = 0]) => a - b),
    [
      [1, 2, 3, 4],
      [5, 6],
    ],
  )
})

t.test('a batch is one request for the rate limit', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, {
    batching: { maxEvents: 20 },
    rateLimit: { requests: 5, perSeconds: 1 },
  })
  const delay = watchDelay(t)
  await append(client, numbers(100))
  await drained(pair.first)
  t.equal(new Set(receiver.received.flatMap(numbersOf)).size, 100)
  t.ok(receiver.received.length <= 20, `${receiver.received.length} requests`)
  const most = mostWithin(
    receiver.received.map(({ at }) => at),
    1000,
  )
  t.ok(most <= 6 + Math.ceil(delay() / 200), `${most} in a second`)
})

t.test('what was put together is not lost when the batching is taken away meanwhile', async (t) => {
  const { client, receiver } = await pair.app(t)
  const id = await subscribe(client, receiver.url, { batching: { maxEvents: 3 }, concurrency: 1 })
  let goOn: (() => void) | undefined
  receiver.answer = (response) => {
    if (goOn) response.end()
    else goOn = () => response.end()
  }
  await append(client, numbers(12))
  await receiver.waitFor(1)
  t.equal((await client.patch(`/subscriptions/${id}`, { batching: null })).status, 200)
  await until(() => goOn, 'the first request waits')
  goOn?.()
  await drained(pair.first)
  const seen = receiver.received.flatMap((each) => {
    const body = JSON.parse(each.text) as { events?: Body[]; payload?: { n: number } }
    return body.events ? body.events.map(({ payload }) => payload.n) : [body.payload?.n]
  })
  t.strictSame(new Set(seen), new Set(numbers(12).map(({ n }) => n)), 'each arrived')
})

t.test('where batches cannot be', async (t) => {
  const { client, receiver } = await pair.app(t)
  const batching = { maxEvents: 10 }
  const destinations = [
    { type: 'slack', url: 'https://hooks.slack.com/services/T0/B0/x' },
    { type: 'discord', url: 'https://discord.com/api/webhooks/1/x' },
    { type: 'email', to: ['ada@example.com'] },
  ]
  for (const destination of destinations) {
    const body = { name: 'flow', eventPatterns: ['*'], destination, batching }
    const answer = await client.post('/subscriptions', body)
    t.match(answer, { status: 422, body: { type: /invalid-subscription/ } }, destination.type)
  }
  const id = await subscribe(client, receiver.url, { batching })
  const change = (body: object) => client.patch(`/subscriptions/${id}`, body)
  t.match(await change({ ordering: {} }), { status: 422, body: { type: /invalid-subscription/ } })
  t.match(await change({ destination: destinations[2] }), { status: 422 })
  t.equal((await change({ ordering: {}, batching: null })).status, 200)
  t.match(await change({ batching }), { status: 422 })
})
