import { sql } from 'kysely'
import t from 'tap'
import { allEnded, appendMany, countOf, recovered } from '../../helpers/owed.ts'
import { readPages } from '../../helpers/pages.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startReceiver, type Received } from '../../helpers/receiver.ts'
import { BACKENDS, startService } from '../../helpers/service.ts'

const conflict = { status: 409, type: 'conflict' }

const numbersOf = (received: readonly Received[]): number[] =>
  received.map(({ text }) => JSON.parse(text).payload.number as number).toSorted((a, b) => a - b)
const idsOf = (received: readonly Received[]): string[] =>
  received.map(({ headers }) => String(headers['webhook-id'])).toSorted()

for (const backend of BACKENDS) {
  t.test(`a part of the log is replayed (${backend})`, async (t) => {
    const service = await startService(t, { backend })
    const client = await service.client()
    const receiver = await startReceiver(t)
    const subscription = await client.subscribe(receiver.url, ['many.*'])
    const before = await appendMany(client, 10)
    await allEnded(service)
    const { body: middle } = await client.get(`/events/${before[4]}`)
    await appendMany(client, 5, 'other.test')
    await appendMany(client, 5)
    await allEnded(service)

    const replay = async (criteria: object) => {
      const first = receiver.received.length
      const { status, body } = await client.post(`/subscriptions/${subscription.id}/replay`, criteria)
      t.equal(status, 202)
      const done = await recovered(client, body.id)
      await allEnded(service)
      return { done, received: receiver.received.slice(first) }
    }

    t.test('by positions', async (t) => {
      const { done, received } = await replay({ fromPosition: 3, toPosition: 12 })
      t.match(done, { kind: 'replay', status: 'completed', total: 10, examined: 10, affected: 8 })
      t.strictSame(numbersOf(received), [3, 4, 5, 6, 7, 8, 9, 10], 'those of its patterns')
      t.strictSame(idsOf(received), before.slice(2, 10).toSorted(), 'with the ids of the events')
      const { rows } = await readPages<{ recoveryId: string; attempts: number }>(client, '/deliveries')
      t.equal(rows.filter(({ recoveryId }) => recoveryId === done.id).length, 8)
      const { body: attempts } = await client.get('/attempts?trigger=replay')
      t.equal(attempts.data.length, 8)
    })

    t.test('by times', async (t) => {
      const since = await replay({ from: middle.createdAt, toPosition: 10 })
      t.ok(since.done.total >= 6 && since.done.total <= 10, 'from the time on')
      t.strictSame(numbersOf(since.received).slice(-6), [5, 6, 7, 8, 9, 10])
      const { received } = await replay({ to: middle.createdAt })
      t.ok(
        numbersOf(received).every((number) => number < 5),
        'before the time',
      )
      const all = await replay({ to: '9999-12-31T23:59:59Z' })
      t.match(all.done, { total: 20, examined: 20, affected: 15 })
      const none = await replay({ from: '9999-12-31T23:59:59Z' })
      t.match(none.done, { status: 'completed', total: 0, examined: 0, affected: 0 })
    })

    t.test('as its patterns and its filter are now', async (t) => {
      const narrowed = await replay({ fromPosition: 1, eventPatterns: ['other.*'] })
      t.match(narrowed.done, { examined: 20, affected: 0 }, 'patterns narrow, they do not widen')
      const filter = { number: { gt: 7 } }
      const changed = await client.patch(`/subscriptions/${subscription.id}`, { eventPatterns: ['*'] })
      t.equal(changed.status, 200)
      t.equal((await client.patch(`/subscriptions/${subscription.id}`, { filter })).status, 200)
      const { received } = await replay({ fromPosition: 1 })
      t.strictSame(numbersOf(received), [8, 9, 10])
      await client.patch(`/subscriptions/${subscription.id}`, { filter: null })
      const others = await replay({ fromPosition: 1, eventPatterns: ['other.*'] })
      t.match(others.done, { affected: 5 })
    })
  })

  t.test(`many dead deliveries are tried again, or discarded (${backend})`, async (t) => {
    const service = await startService(t, {
      backend,
      settings: { DELIVERY_RETRY_SCHEDULE: '1ms' },
    })
    const client = await service.client()
    const [good, bad] = [await startReceiver(t), await startReceiver(t)]
    for (const receiver of [good, bad]) receiver.answer = (response) => response.writeHead(400).end()
    const one = await client.subscribe(good.url, ['a.*', 'b.*'])
    const other = await client.subscribe(bad.url, ['b.*'])
    await appendMany(client, 2, 'a.a')
    const moment = new Date().toISOString()
    await appendMany(client, 3, 'b.b')
    await allEnded(service)
    t.equal(await countOf(service, 'dead'), 8)
    good.answer = (response) => response.end()
    const run = async (action: string, criteria: object) => {
      const { status, body } = await client.post(`/deliveries/${action}`, criteria)
      t.equal(status, 202)
      const done = await recovered(client, body.id)
      await allEnded(service)
      return done
    }

    t.match(
      await run('retry', { subscriptionId: one.id, eventPatterns: ['a.*'], to: new Date().toISOString() }),
      { kind: 'retry', status: 'completed', total: 5, examined: 5, affected: 2 },
    )
    t.equal(await countOf(service, 'succeeded'), 2)
    t.match(await run('retry', { subscriptionId: one.id, from: '2999-01-01T00:00:00Z' }), { affected: 0 })
    t.match(await run('retry', { to: '2000-01-01T00:00:00Z' }), { total: 0, affected: 0 })
    t.match(await run('discard', { subscriptionId: other.id, from: moment }), {
      kind: 'discard',
      affected: 3,
    })
    t.match([await countOf(service, 'dead'), await countOf(service, 'cancelled')], [3, 3])
    t.match(await run('retry', {}), { total: 3, affected: 3, subscriptionId: null })
    t.equal(await countOf(service, 'dead'), 0)
    bad.answer = (response) => response.writeHead(400).end()
    t.match(await run('retry', { status: 'cancelled' }), { total: 3, affected: 3 })
    t.equal(await countOf(service, 'dead'), 3, 'dead again after one more attempt')
    const { body: attempts } = await client.get('/attempts?trigger=manual&outcome=failed')
    t.match(attempts.data, [{ number: 3 }, { number: 3 }, { number: 3 }])

    await client.delete(`/subscriptions/${other.id}`)
    t.match(await run('retry', {}), { examined: 3, affected: 0 }, 'not those of a deleted subscription')
    t.match(await run('discard', {}), { affected: 3 })
    t.equal(await countOf(service, 'dead'), 0)
  })
}

t.test('an event appended after the request is not part of it', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const receiver = await startReceiver(t)
  await appendMany(client, 5)
  const { id } = await client.subscribe(receiver.url)
  const ranges = [{ fromPosition: 1 }, { fromPosition: 1, toPosition: 100 }, { to: '2999-01-01T00:00:00Z' }]
  for (const range of ranges) await client.post(`/subscriptions/${id}/replay`, range)
  t.match((await client.post(`/subscriptions/${id}/replay`, { fromPosition: 6 })).body, { total: 0 })
  await client.patch(`/subscriptions/${id}`, { eventPatterns: ['many.*'] })
  await appendMany(client, 5, 'after.test')
  await client.patch(`/subscriptions/${id}`, { eventPatterns: ['*'] })
  await startService(t, { databaseUrl: service.databaseUrl })
  for (const { id: recovery } of (await client.get('/recoveries')).body.data)
    await recovered(client, recovery)
  await allEnded(service)
  t.equal(receiver.received.length, 5 * ranges.length)
  t.strictSame([...new Set(receiver.received.map(({ text }) => JSON.parse(text).event_type))], ['many.test'])
})

t.test('a replay to a disabled subscription waits until it is enabled', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const receiver = await startReceiver(t)
  await appendMany(client, 3)
  const { id } = await client.subscribe(receiver.url, ['many.*'])
  await client.post(`/subscriptions/${id}/disable`, undefined)
  const { body } = await client.post(`/subscriptions/${id}/replay`, { toPosition: 3 })
  t.match(await recovered(client, body.id), { status: 'completed', affected: 3 })
  t.equal(await countOf(service, 'pending'), 3)
  t.equal(receiver.received.length, 0)
  await client.post(`/subscriptions/${id}/enable`, undefined)
  await allEnded(service)
  t.strictSame(numbersOf(receiver.received), [1, 2, 3])
})

t.test('twenty are open at most, also when many ask at the same time', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { id } = await client.subscribe('http://127.0.0.1:1/')
  const ask = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () => client.post(`/subscriptions/${id}/replay`, { fromPosition: 1 })),
    )
  const answers = await ask(30)
  t.equal(answers.filter(({ status }) => status === 202).length, 20)
  const refused = answers.find(({ status }) => status !== 202)
  if (refused) expectProblem(t, refused, conflict, 'the others')
  const { rows } = await readPages<{ id: string; status: string }>(
    client,
    '/recoveries?status=running&limit=7',
  )
  t.equal(new Set(rows.map((row) => row.id)).size, 20)
  await client.post(`/recoveries/${rows[0]?.id}/pause`, undefined)
  t.equal((await ask(1))[0]?.status, 409, 'one that is paused counts')
  await client.post(`/recoveries/${rows[0]?.id}/cancel`, undefined)
  t.equal((await ask(1))[0]?.status, 202, 'one that was cancelled does not')
  const { body } = await client.get(`/recoveries?subscriptionId=${id}&status=cancelled`)
  t.match(body.data, [{ id: rows[0]?.id, kind: 'replay' }])
  t.strictSame((await client.get(`/recoveries?subscriptionId=${rows[0]?.id}`)).body.data, [])
})

t.test('times that no clock shows are refused', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { id } = await client.subscribe('http://127.0.0.1:1/')
  const from = '2016-12-31T23:59:60Z'
  const invalid = { status: 400, type: 'validation-failed' }
  for (const path of [`/subscriptions/${id}/replay`, '/deliveries/retry', '/deliveries/discard']) {
    expectProblem(t, await client.post(path, { from }), invalid, path)
    expectProblem(t, await client.post(path, { to: from }), invalid, path)
    for (const ancient of ['0000-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59+00:00'])
      t.equal((await client.post(path, { from: ancient })).status, 202, `${path} ${ancient}`)
  }
  const { rows } = await sql<{ count: number }>`select count(*)::int4 as count from recoveries`.execute(
    service.platform.db,
  )
  t.equal(rows[0]?.count, 9)
})
