import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { allEnded, ended } from '../../helpers/owed.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { BACKENDS, startService, type ServiceOptions } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const conflict = { status: 409, type: 'conflict' }
const notFound = { status: 404, type: 'not-found' }

/** An app whose endpoint answers with a status that can be changed. */
async function furnish(
  t: Test,
  {
    backend = 'postgres',
    settings = {},
    worker = true,
  }: Partial<Pick<ServiceOptions, 'backend' | 'settings' | 'worker'>> = {},
) {
  const service = await startService(t, { backend, settings, worker })
  const client = await service.client()
  const receiver = await startReceiver(t)
  const endpoint = { status: 200 }
  receiver.answer = (response) => response.writeHead(endpoint.status).end()
  const subscription = await client.subscribe(receiver.url)
  const append = async () => {
    const { body: event } = await client.post('/events', { type: 'manual.test', payload: {} })
    const { body } = await client.get(`/events/${event.id}/deliveries`)
    return { event, id: body.data[0].id as string }
  }
  const retry = (id: string) => client.post(`/deliveries/${id}/retry`, undefined)
  const discard = (id: string) => client.post(`/deliveries/${id}/discard`, undefined)
  const attempts = async (id: string) => (await client.get(`/deliveries/${id}/attempts`)).body.data
  const statusOf = async ({ id }: { id: string }) => (await client.get(`/events/${id}`)).body.status
  return { service, client, receiver, endpoint, subscription, append, retry, discard, attempts, statusOf }
}

for (const backend of BACKENDS) {
  t.test(`one that has ended is tried once more, and its numbers go on (${backend})`, async (t) => {
    const settings = { DELIVERY_RETRY_SCHEDULE: '20ms' }
    const { client, receiver, endpoint, append, retry, discard, attempts, statusOf } = await furnish(t, {
      backend,
      settings,
    })
    endpoint.status = 400
    const { event, id } = await append()
    t.match(await ended(client, id), { status: 'dead', attempts: 2 })
    t.equal(await statusOf(event), 'failed')

    const answer = await retry(id)
    t.equal(answer.status, 202)
    t.match(answer.body, { id, recoveryId: null })
    t.match(await ended(client, id), { status: 'dead', attempts: 3 }, 'dead again after one more')
    t.equal(await statusOf(event), 'failed')

    endpoint.status = 200
    t.equal((await retry(id)).status, 202)
    t.match(await ended(client, id), { status: 'succeeded', attempts: 4 })
    t.equal(await statusOf(event), 'completed')
    expectProblem(t, await discard(id), conflict, 'what succeeded is not discarded')

    t.equal((await retry(id)).status, 202, 'also one that succeeded')
    t.match(await ended(client, id), { status: 'succeeded', attempts: 5 })
    t.match(await attempts(id), [
      { number: 1, trigger: 'automatic', outcome: 'failed' },
      { number: 2, trigger: 'automatic', outcome: 'failed' },
      { number: 3, trigger: 'manual', outcome: 'failed' },
      { number: 4, trigger: 'manual', outcome: 'succeeded' },
      { number: 5, trigger: 'manual', outcome: 'succeeded' },
    ])
    t.equal(receiver.received.length, 5)
    t.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 1)
  })

  t.test(`twenty retries at the same time make one attempt (${backend})`, async (t) => {
    const { client, receiver, append, retry, attempts } = await furnish(t, { backend })
    const { id } = await append()
    await ended(client, id)
    const waiting: (() => void)[] = []
    receiver.answer = (response) => waiting.push(() => response.end())
    const answers = await Promise.all(Array.from({ length: 20 }, () => retry(id)))
    t.ok(answers.every(({ status }) => status === 202 || status === 409))
    t.ok(answers.some(({ status }) => status === 202))
    await receiver.waitFor(2)
    expectProblem(t, await retry(id), conflict, 'while one is under way')
    for (const finish of waiting) finish()
    t.match(await ended(client, id), { status: 'succeeded', attempts: 2 })
    // Jobs of the other retries would be among those before this one.
    receiver.answer = (response) => response.end()
    const { id: next } = await append()
    await ended(client, next)
    t.equal((await attempts(id)).length, 2)
    t.equal(receiver.received.length, 3)
  })
}

t.test('one that waits for its next attempt is tried at once, and its schedule goes on', async (t) => {
  const { client, endpoint, append, retry, attempts } = await furnish(t, {
    settings: { DELIVERY_RETRY_SCHEDULE: '1h,1h' },
  })
  endpoint.status = 500
  const { id } = await append()
  const tried = (count: number) =>
    until(async () => {
      const { body } = await client.get(`/deliveries/${id}`)
      return body.attempts === count && body
    }, `it was tried ${count} times`)
  await tried(1)
  t.equal((await retry(id)).status, 202)
  const waiting = await tried(2)
  t.equal(waiting.status, 'pending')
  t.ok(Date.parse(waiting.nextAttemptAt) > Date.now() + 50 * 60_000, 'an hour from now')
  t.match(await attempts(id), [{ trigger: 'automatic' }, { trigger: 'manual' }])
  endpoint.status = 200
  await retry(id)
  t.match(await ended(client, id), { status: 'succeeded', attempts: 3 })
})

t.test('a pending one is discarded, and can still be retried', async (t) => {
  const { client, receiver, append, retry, discard, statusOf } = await furnish(t, { worker: false })
  const { event, id } = await append()
  const answer = await discard(id)
  t.equal(answer.status, 200)
  t.match(answer.body, { id, status: 'cancelled', attempts: 0, nextAttemptAt: null })
  t.equal(await statusOf(event), 'completed', 'nothing is owed any more')
  expectProblem(t, await discard(id), conflict, 'it was discarded already')
  t.match((await client.get(`/deliveries/${id}`)).body, answer.body, 'as it was')
  t.equal((await retry(id)).status, 202)
  t.equal(await statusOf(event), 'pending')
  t.equal(receiver.received.length, 0)
})

t.test('a dead one is discarded, and one under way is not', async (t) => {
  const { client, endpoint, receiver, append, discard, statusOf } = await furnish(t, {
    settings: { DELIVERY_RETRY_SCHEDULE: '1ms' },
  })
  endpoint.status = 500
  const { event, id } = await append()
  await ended(client, id)
  t.equal(await statusOf(event), 'failed')
  t.match((await discard(id)).body, { status: 'cancelled', attempts: 2 })
  t.equal(await statusOf(event), 'completed')

  const waiting: (() => void)[] = []
  receiver.answer = (response) => waiting.push(() => response.end())
  const { id: next } = await append()
  await receiver.waitFor(3)
  expectProblem(t, await discard(next), conflict, 'under way')
  for (const finish of waiting) finish()
  t.equal((await ended(client, next)).status, 'succeeded')
})

t.test('what cannot be retried', async (t) => {
  const { client, subscription, append, retry, discard } = await furnish(t)
  const { id } = await append()
  await ended(client, id)
  for (const act of [retry, discard]) expectProblem(t, await act(UNKNOWN_ID), notFound, 'an unknown one')
  await client.post(`/subscriptions/${subscription.id}/disable`, undefined)
  const disabled = await retry(id)
  expectProblem(t, disabled, conflict, 'of a disabled subscription')
  t.match(disabled.body.detail, /disabled/)
  const { id: owed } = await append()
  t.equal((await discard(owed)).status, 200, 'its deliveries can be discarded')
  await client.delete(`/subscriptions/${subscription.id}`)
  const deleted = await retry(id)
  expectProblem(t, deleted, conflict, 'of a deleted subscription')
  t.match(deleted.body.detail, /deleted/)
  t.equal((await client.get(`/deliveries/${id}`)).body.status, 'succeeded', 'it is as it was')
})

t.test('it is made while the endpoint is held', async (t) => {
  const { service, client, receiver, append, retry } = await furnish(t)
  const { id } = await append()
  await ended(client, id)
  await sql`update subscription_states set held_until = now() + interval '1 hour', consecutive_failures = 10`.execute(
    service.platform.db,
  )
  await retry(id)
  t.match(await ended(client, id), { status: 'succeeded', attempts: 2 })
  t.equal(receiver.received.length, 2)
})

t.test('discards and work on the same subscription do not keep each other', async (t) => {
  const { service, client, subscription, append, discard } = await furnish(t)
  await client.patch(`/subscriptions/${subscription.id}`, { ordering: {}, concurrency: 1 })
  for (let round = 0; round < 40; round++) {
    const { id } = await append()
    const { status } = await discard(id)
    if (status !== 200 && status !== 409) t.fail(`${status} in round ${round}`)
  }
  await allEnded(service)
  t.pass('all were answered')
})
