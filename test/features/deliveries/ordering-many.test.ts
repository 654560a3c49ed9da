import t from 'tap'
import { append, drained, numbers, payloadOf, startPair, subscribe, watchOrder } from '../../helpers/flow.ts'

const BY_KEY = { ordering: { key: 'payload.key' } }

const pair = await startPair(t)

t.test('a thousand keys, long ones too', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, BY_KEY)
  const end = 'é€😀'.repeat(2_000)
  const payloads = numbers(1_200).map(({ n }) => ({
    key: `${n % 1_000}${n % 100 === 0 ? end : ''}`,
    n,
  }))
  const overtaken = watchOrder(receiver, payloads, () => Math.random() < 0.02)
  await append(client, payloads)
  await drained(pair.first)
  t.strictSame(overtaken, [])
  t.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 1_200)
})

t.test('a key with much to send takes no turn from others', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, { ...BY_KEY, concurrency: 2 })
  const busy = numbers(600).map(({ n }) => ({ key: `a${n % 3}`, n }))
  const payloads = [...busy, ...numbers(100).map(({ n }) => ({ key: `z${n}`, n }))]
  const overtaken = watchOrder(receiver, payloads)
  await append(client, payloads)
  await drained(pair.first)
  t.strictSame(overtaken, [])
  const places = receiver.received.flatMap((received, place) =>
    payloadOf(received).key.startsWith('z') ? [place] : [],
  )
  const last = Math.max(...places)
  t.ok(last < 500, `the last of the others was number ${last}`)
})

t.test('one key with a thousand events', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, BY_KEY)
  const payloads = numbers(1_000).map(({ n }) => ({ key: 'one', n }))
  const overtaken = watchOrder(receiver, payloads)
  await append(client, payloads)
  await drained(pair.first)
  t.strictSame(overtaken, [])
  t.equal(receiver.received.length, 1_000, 'each once')
  const [start, end] = [receiver.received[0]?.at ?? 0, receiver.received.at(-1)?.at ?? 0]
  t.comment(`${Math.round(1_000_000 / (end - start))} events a second`)
})

t.test('appends, a replay, retries and an order end together', async (t) => {
  const { client, receiver } = await pair.app(t)
  const id = await subscribe(client, receiver.url, BY_KEY)
  receiver.answer = (response) => {
    response.statusCode = Math.random() < 0.05 ? 500 : 200
    response.end()
  }
  const payloads = (from: number) => numbers(60, from).map(({ n }) => ({ key: `k${n % 5}`, n }))
  await append(client, payloads(1))
  const from = '2020-01-01T00:00:00Z'
  const replay = await client.post(`/subscriptions/${id}/replay`, { from })
  t.equal(replay.status, 202)
  await append(client, payloads(61))
  t.equal((await client.post('/deliveries/retry', { subscriptionId: id, status: 'dead' })).status, 202)
  await receiver.waitFor(180)
  await drained(pair.first)
  const times = Map.groupBy(receiver.received, ({ headers }) => headers['webhook-id'])
  t.equal(times.size, 120)
})
