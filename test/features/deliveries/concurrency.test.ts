import { sql } from 'kysely'
import t from 'tap'
import { append, drained, numbers, payloadOf, startPair, subscribe } from '../../helpers/flow.ts'
import type { Receiver } from '../../helpers/receiver.ts'
import { BACKENDS, type Service } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

/** Has a receiver take its time. @returns how many requests it had at once at most */
function countAtOnce(receiver: Receiver, takesMs: number): () => number {
  let now = 0
  let most = 0
  receiver.answer = (response) => {
    most = Math.max(most, (now += 1))
    setTimeout(() => {
      now -= 1
      response.end()
    }, takesMs)
  }
  return () => most
}

const pair = await startPair(t)

/** Waits until every slot was given back; not one may be left to the end of its time. */
const nobodyHolds = ({ platform }: Service): Promise<boolean> =>
  until(async () => {
    const { rows } = await sql`select from subscription_slots`.execute(platform.db)
    return rows.length === 0
  }, 'nobody holds a slot any more')

for (const backend of BACKENDS) {
  t.test(`never more at once than allowed, over processes that come and go (${backend})`, async (t) => {
    const { first, second, another, app } = await startPair(t, { backend })
    const { client, receiver } = await app(t)
    await subscribe(client, receiver.url, { concurrency: 5 })
    const atOnce = countAtOnce(receiver, 40)
    await append(client, numbers(120))
    await receiver.waitFor(20)
    await second.close()
    await receiver.waitFor(40)
    await another()
    await drained(first)
    t.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 120)
    t.equal(receiver.received.length, 120, 'nothing twice')
    t.equal(atOnce(), 5, 'as many as allowed')
    await nobodyHolds(first)
  })
}

t.test('one at once is the order of the log where nothing fails', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, { concurrency: 1 })
  const atOnce = countAtOnce(receiver, 5)
  await append(client, numbers(80))
  await drained(pair.first)
  t.equal(atOnce(), 1)
  t.strictSame(receiver.received.map(payloadOf), numbers(80))
})

t.test('a slow request keeps its slot alone', async (t) => {
  const { client, receiver } = await pair.app(t)
  await subscribe(client, receiver.url, { concurrency: 2 })
  let endSlow: (() => void) | undefined
  receiver.answer = (response, received) => {
    if (payloadOf(received).n === 1) endSlow = () => response.end()
    else response.end()
  }
  await append(client, numbers(40))
  await receiver.waitFor(40)
  await append(client, numbers(20, 41))
  await receiver.waitFor(60)
  t.type(endSlow, 'function', 'the first one is still under way')
  endSlow?.()
  await drained(pair.first)
})

t.test('what a process that died held is free when its time is over', async (t) => {
  const { client, receiver } = await pair.app(t)
  const id = await subscribe(client, receiver.url, { concurrency: 3 })
  const { rows } = await sql<{ until: Date }>`
    insert into subscription_slots (app_id, subscription_id, holder, slots, held_until)
    select app_id, id, gen_random_uuid(), 3, clock_timestamp() + interval '1500 milliseconds'
      from subscriptions where id = ${id} returning held_until as until`.execute(pair.first.platform.db)
  const atOnce = countAtOnce(receiver, 30)
  await append(client, numbers(30))
  const [earliest] = await receiver.waitFor(1)
  t.ok((earliest?.at ?? 0) >= (rows[0]?.until.getTime() ?? Infinity) - 5, 'not before')
  await drained(pair.first)
  t.equal(atOnce(), 3)
  await nobodyHolds(pair.first)
})

t.test('a change of the concurrency counts for what waits already', async (t) => {
  const { client, receiver } = await pair.app(t)
  const id = await subscribe(client, receiver.url, { concurrency: 1 })
  const waiting: (() => void)[] = []
  receiver.answer = (response) => waiting.push(() => response.end())
  await append(client, numbers(6))
  await receiver.waitFor(1)
  t.equal((await client.patch(`/subscriptions/${id}`, { concurrency: 3 })).status, 200)
  await receiver.waitFor(3)
  t.equal((await client.patch(`/subscriptions/${id}`, { concurrency: null })).status, 200)
  receiver.answer = (response) => response.end()
  for (const end of waiting) end()
  await until(async () => {
    const { body } = await client.get(`/subscriptions/${id}/statistics`)
    return body.backlog.pending === 0
  }, 'all of them were delivered')
})
