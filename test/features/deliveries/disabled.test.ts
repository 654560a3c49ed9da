import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { startReceiver, type Receiver } from '../../helpers/receiver.ts'
import { BACKENDS, call, startService, type Client, type Service } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const DISABLE_AFTER_MS = 600
const SETTINGS = {
  SUBSCRIPTION_DISABLE_AFTER: `${DISABLE_AFTER_MS}ms`,
  SUBSCRIPTION_HOLD_MS: '50',
  DATABASE_POOL_SIZE: '6',
}
/** Enough attempts that nothing of a test is ever dead. */
const RETRIES = Array<string>(50).fill('100ms')

async function startEndpoint(t: Test, works: boolean) {
  const receiver = await startReceiver(t)
  const endpoint = { receiver, works }
  receiver.answer = (response) => {
    response.statusCode = endpoint.works ? 200 : 500
    response.end()
  }
  return endpoint
}

async function subscribe(client: Client, receiver: Receiver, more: object = {}): Promise<string> {
  const answer = await client.post('/subscriptions', {
    name: 'test',
    eventPatterns: ['off.test'],
    destination: { type: 'webhook', url: receiver.url },
    retrySchedule: RETRIES,
    ...more,
  })
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body.id
}

/** @param from the first of the numbers that events carry */
async function append(client: Client, count: number, from = 0): Promise<void> {
  const events = Array.from({ length: count }, (_, index) => ({
    type: 'off.test',
    payload: { number: from + index },
  }))
  const { status } = await client.post('/events/batch', { events })
  if (status !== 201) throw new Error(`answered ${status}`)
}

const get = async (client: Client, id: string) => (await client.get(`/subscriptions/${id}`)).body

const disabled = (client: Client, id: string) =>
  until(async () => {
    const subscription = await get(client, id)
    return subscription.status === 'disabled' && subscription
  }, 'it is disabled')

const switchTo = async (client: Client, id: string, what: 'enable' | 'disable') => {
  const answer = await client.post(`/subscriptions/${id}/${what}`, undefined)
  if (answer.status !== 200) throw new Error(answer.text)
  return answer.body
}

async function statuses({ platform }: Service, id: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ status: string; count: number }>`
    select status, count(*)::int4 as count from deliveries where subscription_id = ${id} group by 1`.execute(
    platform.db,
  )
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
}

const whenStatuses = (service: Service, id: string, wanted: Record<string, number>) =>
  until(
    async () => {
      const now = await statuses(service, id)
      return JSON.stringify(now) === JSON.stringify(wanted)
    },
    `the deliveries are ${JSON.stringify(wanted)}`,
  )

/** Waits until none of the deliveries has a lease, or waits for a time of its own: all are put aside. */
const allParked = ({ platform }: Service, id: string, count: number) =>
  until(async () => {
    const { rows } = await sql<{ count: number }>`
      select count(*)::int4 as count from deliveries
       where subscription_id = ${id} and status = 'pending' and due_at = 'infinity' and lease_until is null`.execute(
      platform.db,
    )
    return rows[0]?.count === count
  }, `${count} deliveries are parked`)

const told = async (client: Client, id: string) =>
  (await client.get('/events?type=system.subscription.disabled')).body.data.filter(
    ({ payload }: { payload: { subscriptionId: string } }) => payload.subscriptionId === id,
  )

const numbers = ({ received }: Receiver): number[] =>
  received.map(({ text }) => JSON.parse(text).payload.number as number)

for (const backend of BACKENDS) {
  t.test(`disabling (${backend})`, async (t) => {
    const service = await startService(t, { backend, settings: SETTINGS })

    await t.test('nothing but failures for too long disables; enabling delivers everything', async (t) => {
      const client = await service.client()
      const endpoint = await startEndpoint(t, false)
      const { receiver } = endpoint
      const id = await subscribe(client, receiver)
      await append(client, 5)
      const subscription = await disabled(client, id)
      t.match(subscription, { disabledReason: 'failing', disabledAt: String })
      const [disabling] = await told(client, id)
      t.match(disabling.payload, {
        subscriptionId: id,
        name: 'test',
        reason: 'failing',
        failingSince: String,
      })
      const failingSince = Date.parse(disabling.payload.failingSince)
      t.ok(failingSince <= (receiver.received[0]?.at ?? 0), 'from the first failure')
      t.ok(Date.parse(subscription.disabledAt) - failingSince >= DISABLE_AFTER_MS, 'not before')

      endpoint.works = true
      await append(client, 10, 5)
      await allParked(service, id, 15)
      const { body: listed } = await client.get(`/deliveries?status=pending&subscriptionId=${id}&limit=100`)
      t.equal(listed.data.length, 15, 'kept and owed')
      const before = receiver.received.length
      const [anyOfThem] = listed.data
      t.equal((await client.post(`/deliveries/${anyOfThem.id}/retry`, undefined)).status, 409)
      t.equal(receiver.received.length, before)
      t.equal((await told(client, id)).length, 1, 'told once')

      const enabled = await switchTo(client, id, 'enable')
      t.match(enabled, {
        status: 'enabled',
        disabledAt: null,
        disabledReason: null,
        health: { state: 'healthy', consecutiveFailures: 0, failingSince: null },
      })
      await whenStatuses(service, id, { succeeded: 15 })
      t.strictSame(new Set(numbers(receiver).slice(before)), new Set(Array.from({ length: 15 }, (_, n) => n)))
    })

    await t.test('a success in between begins the time anew', async (t) => {
      const client = await service.client()
      const endpoint = await startEndpoint(t, false)
      const id = await subscribe(client, endpoint.receiver)
      const since: number[] = []
      // Longer together than what disables, but for the successes.
      for (const round of Array.from({ length: 5 }, (_, index) => index)) {
        endpoint.works = false
        await append(client, 1)
        const { health } = await until(async () => {
          const subscription = await get(client, id)
          return subscription.health.failingSince !== null && subscription
        }, 'it fails')
        since.push(Date.parse(health.failingSince))
        endpoint.works = true
        await whenStatuses(service, id, { succeeded: round + 1 })
        await until(async () => (await get(client, id)).health.failingSince === null, 'it is healthy')
      }
      t.equal(new Set(since).size, 5, 'each run of failures has a beginning of its own')
      t.equal((await told(client, id)).length, 0)
      endpoint.works = false
      const failedFrom = Date.now()
      await append(client, 1)
      const { disabledAt } = await disabled(client, id)
      t.ok(Date.parse(disabledAt) - failedFrom >= DISABLE_AFTER_MS - 50)
    })

    await t.test('disabled by hand, it is sent nothing; enabled, all of it in order', async (t) => {
      const client = await service.client()
      const { receiver } = await startEndpoint(t, true)
      const id = await subscribe(client, receiver, { concurrency: 1 })
      t.match(await switchTo(client, id, 'disable'), { status: 'disabled', disabledReason: 'manual' })
      const { disabledAt } = await switchTo(client, id, 'disable')
      t.match(await told(client, id), [{ payload: { reason: 'manual' } }], 'twice is once')
      t.equal((await get(client, id)).disabledAt, disabledAt)
      for (const from of [0, 10, 20]) await append(client, 10, from)
      await allParked(service, id, 30)
      t.equal(receiver.received.length, 0)
      const [one, two] = await Promise.all([switchTo(client, id, 'enable'), switchTo(client, id, 'enable')])
      t.match([one, two], [{ status: 'enabled' }, { status: 'enabled' }])
      await whenStatuses(service, id, { succeeded: 30 })
      t.strictSame(
        numbers(receiver),
        Array.from({ length: 30 }, (_, n) => n),
      )
    })

    await t.test('deleting a disabled one cancels what it is owed', async (t) => {
      const client = await service.client()
      const { receiver } = await startEndpoint(t, true)
      const id = await subscribe(client, receiver)
      await switchTo(client, id, 'disable')
      await append(client, 20)
      await allParked(service, id, 20)
      t.equal((await client.delete(`/subscriptions/${id}`)).status, 204)
      await whenStatuses(service, id, { cancelled: 20 })
      t.equal((await client.post(`/subscriptions/${id}/enable`, undefined)).status, 404)
      t.equal((await client.post(`/subscriptions/${id}/disable`, undefined)).status, 404)
      t.equal(receiver.received.length, 0)
    })

    await t.test('turned off and on under load, nothing is lost and nothing stays parked', async (t) => {
      const client = await service.client()
      const { receiver } = await startEndpoint(t, true)
      const id = await subscribe(client, receiver)
      let owed = 0
      for (const round of Array.from({ length: 15 }, (_, index) => index)) {
        const appending = append(client, 5, owed)
        await switchTo(client, id, round % 2 === 0 ? 'disable' : 'enable')
        await appending
        owed += 5
      }
      // The last one disabled it. Appending while it is enabled is where a wake-up could be missed.
      await Promise.all([
        switchTo(client, id, 'enable'),
        ...Array.from({ length: 10 }, (_, batch) => append(client, 5, owed + batch * 5)),
      ])
      await whenStatuses(service, id, { succeeded: owed + 50 })
      t.equal(new Set(numbers(receiver)).size, owed + 50)
    })

    await t.test('what is parked outlives the worker', async (t) => {
      const client = await service.client()
      const endpoint = await startEndpoint(t, false)
      const id = await subscribe(client, endpoint.receiver)
      const other = await subscribe(client, endpoint.receiver)
      await append(client, 20)
      await disabled(client, id)
      await disabled(client, other)
      await allParked(service, id, 20)
      await service.close()
      endpoint.works = true
      const again = await startService(t, {
        databaseUrl: service.databaseUrl,
        ...(service.redisUrl && { redisUrl: service.redisUrl }),
        settings: SETTINGS,
      })
      const { status } = await call(again.url, 'POST', `/subscriptions/${id}/enable`, { key: client.key })
      t.equal(status, 200)
      await whenStatuses(again, id, { succeeded: 20 })
      t.match(await statuses(again, other), { pending: 20 }, 'the other one is still disabled')
    })
  })
}
