import { sql } from 'kysely'
import t from 'tap'
import { allEnded, countOf, recovered } from '../../helpers/owed.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { messageIds, startReplays } from '../../helpers/replays.ts'
import { until } from '../../helpers/until.ts'

const conflict = { status: 409, type: 'conflict' }

t.test('a long replay has a bounded number of deliveries open', async (t) => {
  const { service, client, receiver, replay, holdUp, act } = await startReplays(t, { events: 3000 })
  const letGo = holdUp()
  const id = await replay()
  const open = async (): Promise<number> => {
    const count = await countOf(service, 'pending')
    if (count > 1200) t.fail(`${count} were open`)
    return count
  }
  await until(async () => (await open()) >= 1000, 'it waits')
  const { rows } = await sql<{ waits: boolean }>`
    select run_at > now() as waits from recoveries where id = ${id}`.execute(service.platform.db)
  t.equal(rows.length, 1)
  const { body: half } = await client.get(`/recoveries/${id}`)
  t.match(half, { status: 'running', total: 3000, completedAt: null })
  t.equal(half.examined, half.affected)

  t.equal((await act(id, 'pause')).body.status, 'paused')
  t.equal((await act(id, 'pause')).status, 200, 'asking again does no harm')
  letGo()
  await allEnded(service)
  const { body: paused } = await client.get(`/recoveries/${id}`)
  t.ok(paused.examined <= 1200, 'nothing more is taken on, what was is delivered')
  t.equal(receiver.received.length, paused.affected)

  t.equal((await act(id, 'resume')).body.status, 'running')
  const done = await until(async () => {
    await open()
    const { body } = await client.get(`/recoveries/${id}`)
    return body.status === 'completed' && body
  }, 'it is completed')
  await allEnded(service)
  t.match(done, { examined: 3000, affected: 3000 })
  t.ok(done.completedAt)
  t.equal(messageIds(receiver.received).size, 3000)
  t.equal(receiver.received.length, 3000)
  for (const action of ['pause', 'resume', 'cancel'])
    expectProblem(t, await act(id, action), conflict, action)
})

t.test('a cancelled replay sends little more than what is under way', async (t) => {
  const { service, client, receiver, replay, act } = await startReplays(t, { events: 1500 })
  receiver.answer = (response) => setTimeout(() => response.end(), 100)
  const id = await replay()
  await until(async () => (await countOf(service, 'pending')) >= 800, 'there is much to do')
  t.match((await act(id, 'cancel')).body, { status: 'cancelled' })
  t.equal((await act(id, 'cancel')).status, 200)
  expectProblem(t, await act(id, 'resume'), conflict, 'what was cancelled stays so')
  await allEnded(service)
  const recalled = await countOf(service, 'cancelled')
  const { body: ended } = await client.get(`/recoveries/${id}`)
  t.match(ended, { status: 'cancelled', affected: recalled + receiver.received.length })
  t.ok(ended.completedAt)
  t.ok(recalled > 400, `${recalled} were recalled`)
  t.equal(await countOf(service, 'succeeded'), receiver.received.length, 'the others were made')
  const { rows } = await sql<{ tried: number }>`
    select sum(attempts)::int4 as tried from deliveries where status = 'cancelled'`.execute(
    service.platform.db,
  )
  t.strictSame(rows, [{ tried: 0 }])
})

t.test('what a cancelled retry took on is as it was before', async (t) => {
  const { service, client, receiver, subscription, replay, act } = await startReplays(t, { events: 400 })
  await replay()
  await until(async () => (await countOf(service, 'succeeded')) === 400, 'all were made')
  for (const status of ['dead', 'cancelled']) {
    await sql`update deliveries set status = ${status}`.execute(service.platform.db)
    const before = receiver.received.length
    receiver.answer = (response) => setTimeout(() => response.end(), 100)
    const { body } = await client.post('/deliveries/retry', { subscriptionId: subscription.id, status })
    await until(async () => (await countOf(service, 'pending')) === 400, 'it took all on')
    await receiver.waitFor(before + 64)
    // As if there were more to do.
    await sql`update recoveries set status = 'paused', completed_at = null`.execute(service.platform.db)
    await act(body.id, 'cancel')
    await allEnded(service)
    const succeeded = await countOf(service, 'succeeded')
    t.ok(succeeded >= 64 && succeeded < 350, `${succeeded} were under way or close to it`)
    t.equal(await countOf(service, status), 400 - succeeded, `the others are ${status} again`)
    t.equal(receiver.received.length - before, succeeded)
  }
  const { body: all } = await client.get('/deliveries?status=cancelled&limit=1')
  t.equal((await client.post(`/deliveries/${all.data[0].id}/retry`, undefined)).status, 202)
  await allEnded(service)
  t.equal((await client.get(`/deliveries/${all.data[0].id}`)).body.status, 'succeeded', 'by hand it is made')
})

t.test('a replay ends with its subscription', async (t) => {
  const { service, client, receiver, subscription, replay, holdUp } = await startReplays(t, { events: 1500 })
  const letGo = holdUp()
  const id = await replay()
  await receiver.waitFor(64)
  await client.delete(`/subscriptions/${subscription.id}`)
  letGo()
  t.match(await recovered(client, id), { status: 'completed', total: 1500 })
  await allEnded(service)
  t.ok(receiver.received.length < 1500)
  t.equal(await countOf(service, 'succeeded'), receiver.received.length)
})
