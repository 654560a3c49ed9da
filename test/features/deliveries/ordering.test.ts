import t from 'tap'
import {
  append,
  drained,
  numbers,
  payloadOf,
  startPair,
  subscribe,
  watchOrder,
  type Keyed,
} from '../../helpers/flow.ts'
import { BACKENDS } from '../../helpers/service.ts'

const BY_KEY = { ordering: { key: 'payload.key' } }

/** Payloads of so many keys in turn, numbered within their key. */
const keyed = (keys: number, each: number, from = 1): Keyed[] =>
  Array.from({ length: each * keys }, (_, index) => ({
    key: `k${index % keys}`,
    n: from + Math.floor(index / keys),
  }))

const pair = await startPair(t)

for (const backend of BACKENDS) {
  t.test(`no event overtakes one of its key, whatever fails or stops (${backend})`, async (t) => {
    const { first, second, another, app } = await startPair(t, { backend })
    const { client, receiver } = await app(t)
    await subscribe(client, receiver.url, BY_KEY)
    const overtaken = watchOrder(receiver, keyed(20, 12), () => Math.random() < 0.2)
    await append(client, keyed(20, 6))
    await receiver.waitFor(30)
    await second.close()
    await append(client, keyed(20, 6, 7))
    const third = await another()
    await receiver.waitFor(150)
    await first.close()
    await another()
    await drained(third)
    t.strictSame(overtaken, [])
    const ids = new Set(receiver.received.map(({ headers }) => headers['webhook-id']))
    t.equal(ids.size, 240, 'all of them arrived')
  })

  t.test(`without a key all are in one order (${backend})`, async (t) => {
    const { first, app } = await startPair(t, { backend })
    const { client, receiver } = await app(t)
    await subscribe(client, receiver.url, { ordering: {} })
    const payloads = numbers(120).map(({ n }) => ({ key: 'all', n }))
    const overtaken = watchOrder(receiver, payloads, () => Math.random() < 0.1)
    await append(client, payloads.slice(0, 60), 'flow.one')
    await append(client, payloads.slice(60), 'flow.two')
    await drained(first)
    t.strictSame(overtaken, [])
    const ids = new Set(receiver.received.map(({ headers }) => headers['webhook-id']))
    t.equal(ids.size, 120)
  })
}

t.test('keys do not wait for each other, nor what has none for any of them', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, BY_KEY)
  let endSlow: (() => void) | undefined
  receiver.answer = (response, received) => {
    const { key, n } = payloadOf(received)
    if (key === 'slow' && n === 1) endSlow = () => response.end()
    else response.end()
  }
  await append(client, [{ key: 'slow', n: 1 }, { key: 'slow', n: 2 }, ...keyed(5, 3)])
  await receiver.waitFor(16)
  for (let n = 1; n <= 3; n++) {
    await append(client, [{ key: 'quick', n }, { n }, { key: null, n }])
    await receiver.waitFor(16 + 3 * n)
  }
  t.type(endSlow, 'function', 'the first one is still under way')
  const isSecond = (payload: Partial<Keyed>): boolean => payload.key === 'slow' && payload.n === 2
  t.notOk(receiver.received.map(payloadOf).some(isSecond), 'what comes after it waits')
  endSlow?.()
  await drained(pair.first)
  t.ok(isSecond(payloadOf(receiver.received.at(-1) ?? { text: '{"payload":{}}' })))
})

t.test('a number and a text are two keys', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, BY_KEY)
  let endSlow: (() => void) | undefined
  receiver.answer = (response, received) => {
    if (received.text.includes('{"key":1}')) endSlow = () => response.end()
    else response.end()
  }
  await append(client, [{ key: 1 }, { key: '1' }, { key: 1.5 }, { key: true }, { key: 'true' }, { key: [1] }])
  await receiver.waitFor(6)
  t.type(endSlow, 'function')
  endSlow?.()
  await drained(pair.first)
})

t.test('after a dead delivery those of its key go on', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, { ordering: { key: 'payload.key' }, retrySchedule: [] })
  receiver.answer = (response, received) => {
    response.statusCode = payloadOf(received).n === 2 ? 500 : 200
    response.end()
  }
  await append(client, keyed(1, 4))
  await drained(pair.first)
  t.strictSame(
    receiver.received.map((received) => payloadOf(received).n),
    [1, 2, 3, 4],
  )
})

for (const end of ['retry', 'discard', 'retry many', 'discard many', 'skip'] as const) {
  t.test(`where a dead delivery holds its key, those after it wait until: ${end}`, async (t) => {
    const { client, receiver } = await pair.app(t)
    const ordering = { key: 'payload.key', onDead: 'hold' }
    const id = await subscribe(client, receiver.url, { ordering, retrySchedule: [] })
    let isBad = true
    receiver.answer = (response, received) => {
      const { key, n } = payloadOf(received)
      response.statusCode = isBad && key === 'k0' && n === 2 ? 500 : 200
      response.end()
    }
    await append(client, keyed(2, 4))
    await receiver.waitFor(6)
    await append(client, keyed(2, 2, 5))
    await receiver.waitFor(8)
    const { body: dead } = await client.get('/deliveries?status=dead')
    const { body: pending } = await client.get('/deliveries?status=pending')
    t.equal(dead.data.length, 1)
    t.equal(pending.data.length, 4, 'those after it wait')
    isBad = false
    const [{ id: deadId }] = dead.data
    const answer = await {
      retry: () => client.post(`/deliveries/${deadId}/retry`, {}),
      discard: () => client.post(`/deliveries/${deadId}/discard`, {}),
      'retry many': () => client.post('/deliveries/retry', { subscriptionId: id }),
      'discard many': () => client.post('/deliveries/discard', { subscriptionId: id }),
      skip: () => client.patch(`/subscriptions/${id}`, { ordering: { ...ordering, onDead: 'skip' } }),
    }[end]()
    t.ok(answer.status < 300, answer.text)
    await drained(pair.first)
    const ofKey = receiver.received.map(payloadOf).filter(({ key }) => key === 'k0')
    const again = end.startsWith('retry') ? [2] : []
    t.strictSame(
      ofKey.map(({ n }) => n),
      [1, 2, ...again, 3, 4, 5, 6],
    )
  })
}
