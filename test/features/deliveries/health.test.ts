import type { ServerResponse } from 'node:http'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { startReceiver, type Receiver } from '../../helpers/receiver.ts'
import { BACKENDS, startService, type Client, type Service } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const FAILURES_TO_HOLD = 10
const HOLD_MS = 400

/** An endpoint of which a test says whether it works. */
async function startEndpoint(t: Test) {
  const receiver = await startReceiver(t)
  const endpoint = {
    receiver,
    works: false,
    /** Requests under way, and the most there ever were. */
    open: 0,
    most: 0,
    slowMs: 0,
  }
  receiver.answer = (response) => {
    endpoint.open += 1
    endpoint.most = Math.max(endpoint.most, endpoint.open)
    setTimeout(() => {
      endpoint.open -= 1
      response.statusCode = endpoint.works ? 200 : 500
      response.end()
    }, endpoint.slowMs)
  }
  return endpoint
}

async function subscribe(client: Client, receiver: Receiver, more: object = {}) {
  const answer = await client.post('/subscriptions', {
    name: 'test',
    eventPatterns: ['health.test'],
    destination: { type: 'webhook', url: receiver.url },
    retrySchedule: ['100ms', '100ms', ...Array<string>(20).fill('200ms')],
    ...more,
  })
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body
}

const append = async (client: Client, count: number): Promise<void> => {
  const events = Array.from({ length: count }, (_, number) => ({ type: 'health.test', payload: { number } }))
  const { status } = await client.post('/events/batch', { events })
  if (status !== 201) throw new Error(`answered ${status}`)
}

/** Waits until the health of a subscription is as a test wants it. */
// oxlint-disable-next-line typescript/no-explicit-any -- answers are looked into freely
const healthWhen = (client: Client, id: string, is: (health: any) => boolean, what: string) =>
  until(async () => {
    const { health } = (await client.get(`/subscriptions/${id}`)).body
    return is(health) && health
  }, what)

const healthIn = (client: Client, id: string, state: string) =>
  healthWhen(client, id, (health) => health.state === state, `it is ${state}`)

async function counts({ platform }: Service, subscriptionId: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ status: string; count: number }>`
    select status, count(*)::int4 as count from deliveries where subscription_id = ${subscriptionId} group by 1`.execute(
    platform.db,
  )
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
}

const allSucceeded = (service: Service, id: string, count: number) =>
  until(async () => {
    const { succeeded, dead = 0 } = await counts(service, id)
    if (dead > 0) throw new Error(`${dead} are dead`)
    return succeeded === count
  }, `all ${count} deliveries succeeded`)

/** Events of a type that tell of a subscription. */
async function told(client: Client, what: string, id: string) {
  const { body } = await client.get(`/events?type=system.subscription.${what}`)
  return body.data.filter(
    ({ payload }: { payload: { subscriptionId: string } }) => payload.subscriptionId === id,
  )
}

for (const backend of BACKENDS) {
  t.test(`health (${backend})`, async (t) => {
    const settings = {
      SUBSCRIPTION_HOLD_MS: String(HOLD_MS),
      DATABASE_POOL_SIZE: '6',
      // A busy machine is no endpoint that fails, and no worker that is gone.
      DELIVERY_TIMEOUT_MS: '20000',
      DELIVERY_LEASE_MS: '40000',
    }
    const service = await startService(t, { backend, settings })
    // A second worker, so that all of it is shown to hold for both together.
    await startService(t, {
      databaseUrl: service.databaseUrl,
      ...(service.redisUrl && { redisUrl: service.redisUrl }),
      settings,
    })

    await t.test('failures in a row hold a subscription, and a probe that succeeds frees it', async (t) => {
      const client = await service.client()
      const endpoint = await startEndpoint(t)
      const { received } = endpoint.receiver
      const { id } = await subscribe(client, endpoint.receiver)
      t.match((await client.get(`/subscriptions/${id}`)).body.health, {
        state: 'healthy',
        consecutiveFailures: 0,
        failingSince: null,
        heldUntil: null,
      })
      const watcher = await startReceiver(t)
      await subscribe(client, watcher, { eventPatterns: ['system.**'] })
      const began = Date.now()
      await append(client, 30)
      const held = await healthIn(client, id, 'held')
      t.ok(held.consecutiveFailures >= FAILURES_TO_HOLD)
      t.ok(Date.parse(held.heldUntil) > began)
      t.ok(Date.parse(held.failingSince) >= began - 100)

      // While it is held, one at a time, and the holds become longer.
      await until(async () => {
        const { rows } = await sql<{ taken: number }>`
          select count(*)::int4 as taken from deliveries
           where subscription_id = ${id} and due_at < 'infinity'`.execute(service.platform.db)
        return rows[0]?.taken === 0 && endpoint.open === 0
      }, 'the first burst is over, and all of it parked')
      endpoint.most = 0
      endpoint.slowMs = 30
      const burst = received.length
      await append(client, 50)
      await endpoint.receiver.waitFor(burst + 2)
      t.equal(endpoint.most, 1, 'a probe is one delivery')
      const spacing = (received[burst + 1]?.at ?? 0) - (received[burst]?.at ?? 0)
      t.ok(spacing >= 2 * HOLD_MS * 0.95, `held for ${spacing} ms after the first probe`)
      const { rows } = await sql<{ untouched: number }>`
        select count(*)::int4 as untouched from deliveries
         where subscription_id = ${id} and status = 'pending' and attempts = 0`.execute(service.platform.db)
      t.ok((rows[0]?.untouched ?? 0) >= 40, 'what came meanwhile was not attempted')

      endpoint.works = true
      endpoint.slowMs = 0
      await allSucceeded(service, id, 80)
      t.match(await healthIn(client, id, 'healthy'), {
        consecutiveFailures: 0,
        failingSince: null,
        heldUntil: null,
      })
      await until(async () => (await told(client, 'recovered', id)).length > 0, 'the recovery was told')
      const failing = await told(client, 'failing', id)
      t.match(failing, [
        {
          payload: {
            subscriptionId: id,
            name: 'test',
            consecutiveFailures: Number,
            failingSince: String,
            lastFailure: { eventType: 'health.test', responseStatus: 500, error: /answered 500/ },
            attemptsUrl: `/attempts?subscriptionId=${id}&outcome=failed`,
          },
        },
      ])
      const { lastFailure, attemptsUrl } = failing[0].payload
      const { body: failures } = await client.get(`${attemptsUrl}&limit=100`)
      t.match(
        failures.data.find(({ startedAt }: { startedAt: string }) => startedAt === lastFailure.attemptedAt),
        { outcome: 'failed' },
        'the link leads to it',
      )
      t.match((await client.get(`/events/${lastFailure.eventId}`)).body, { type: 'health.test' })
      t.match((await client.get(`/deliveries/${lastFailure.deliveryId}`)).body, {
        eventId: lastFailure.eventId,
      })
      t.equal((await told(client, 'recovered', id)).length, 1)
      t.equal((await told(client, 'disabled', id)).length, 0)
      await watcher.waitFor(2)
      t.strictSame(
        watcher.received.map(({ text }) => JSON.parse(text).event_type),
        ['system.subscription.failing', 'system.subscription.recovered'],
      )
    })

    await t.test('it fails and recovers again, and is told of again', async (t) => {
      const client = await service.client()
      const endpoint = await startEndpoint(t)
      const { id } = await subscribe(client, endpoint.receiver)
      for (const round of [1, 2]) {
        endpoint.works = false
        await append(client, 15)
        await healthIn(client, id, 'held')
        endpoint.works = true
        await allSucceeded(service, id, 15 * round)
        await until(
          async () => (await told(client, 'recovered', id)).length === round,
          'the recovery was told',
        )
        t.equal((await told(client, 'failing', id)).length, round)
      }
    })

    await t.test('what fails late, of the first burst, does not lengthen the hold', async (t) => {
      const client = await service.client()
      const receiver = await startReceiver(t)
      const open: ServerResponse[] = []
      receiver.answer = (response) => void open.push(response)
      const { id } = await subscribe(client, receiver, { retrySchedule: ['10m'] })
      await append(client, 40)
      await receiver.waitFor(40)
      const fail = (response: ServerResponse) => response.writeHead(500).end()
      open.splice(0, 12).forEach(fail)
      await healthIn(client, id, 'held')
      const state = async () => {
        const { rows } = await sql<{ holds: number; failures: number; held_until: Date }>`
          select holds, consecutive_failures as failures, held_until from subscription_states
           where subscription_id = ${id}`.execute(service.platform.db)
        return rows[0]
      }
      const before = await state()
      open.splice(0).forEach(fail)
      const after = await until(async () => {
        const now = await state()
        return now?.failures === 40 && now
      }, 'all failures are counted')
      t.equal(after.holds, 1)
      t.strictSame(after.held_until, before?.held_until)
      // The hold is over, and nothing is due: the next delivery is the probe.
      receiver.answer = (response) => response.end()
      await append(client, 1)
      await healthIn(client, id, 'healthy')
    })

    await t.test('what began before a recovery and fails after it begins no new run', async (t) => {
      const client = await service.client()
      const receiver = await startReceiver(t)
      const open: ServerResponse[] = []
      receiver.answer = (response) => void open.push(response)
      const { id } = await subscribe(client, receiver, { retrySchedule: ['10m'] })
      await append(client, 60)
      await receiver.waitFor(60)
      const fail = (response: ServerResponse) => response.writeHead(500).end()
      open.splice(0, 12).forEach(fail)
      await healthIn(client, id, 'held')
      receiver.answer = (response) => response.end()
      await append(client, 1)
      await until(async () => (await told(client, 'recovered', id)).length === 1, 'the recovery was told')

      open.splice(0).forEach(fail)
      await until(async () => {
        const { rows } = await sql<{ failed: number }>`
          select count(*)::int4 as failed from deliveries
           where subscription_id = ${id} and attempts = 1 and status = 'pending'`.execute(service.platform.db)
        return rows[0]?.failed === 60
      }, 'all of them have failed')
      // What is told of a failure is told before the next success is recorded.
      await append(client, 1)
      await until(async () => (await counts(service, id))['succeeded'] === 2, 'sending goes on')
      t.match((await client.get(`/subscriptions/${id}`)).body.health, {
        state: 'healthy',
        consecutiveFailures: 0,
        failingSince: null,
      })
      t.equal((await told(client, 'failing', id)).length, 1, 'one run, told once')
      t.equal((await told(client, 'recovered', id)).length, 1)
    })

    await t.test('a retry that a person asks for is made while sending is held', async (t) => {
      const client = await service.client()
      const endpoint = await startEndpoint(t)
      const { id } = await subscribe(client, endpoint.receiver, { retrySchedule: ['10m'] })
      await append(client, 12)
      await healthWhen(client, id, (health) => health.consecutiveFailures === 12, 'all of them failed')
      await sql`
        update subscription_states set held_until = now() + interval '1 hour' where subscription_id = ${id}`.execute(
        service.platform.db,
      )
      await append(client, 5)
      const { body } = await client.get(`/deliveries?subscriptionId=${id}&limit=100`)
      const tried = body.data.filter(({ attempts }: { attempts: number }) => attempts === 1)
      t.equal(tried.length, 12)
      t.equal((await client.post(`/deliveries/${tried[0].id}/retry`, undefined)).status, 202)
      await endpoint.receiver.waitFor(13)
      await healthWhen(client, id, (health) => health.consecutiveFailures === 13, 'it was counted')
      t.equal((await healthIn(client, id, 'held')).state, 'held', 'its failure leaves the hold as it is')
      t.equal(endpoint.receiver.received.length, 13, 'nothing else was sent')
      endpoint.works = true
      t.equal((await client.post(`/deliveries/${tried[1].id}/retry`, undefined)).status, 202)
      await until(async () => (await counts(service, id))['succeeded'] === 6, 'its success frees the others')
      await healthIn(client, id, 'healthy')
    })

    await t.test('failures of a transformation say nothing of the endpoint, also as a probe', async (t) => {
      const client = await service.client()
      const endpoint = await startEndpoint(t)
      endpoint.works = true
      const { id } = await subscribe(client, endpoint.receiver, {
        transformation: '$exists(payload.bad) ? $error("bad") : payload',
        retrySchedule: [],
      })
      const bad = Array.from({ length: 15 }, () => ({ type: 'health.test', payload: { bad: true } }))
      await client.post('/events/batch', { events: bad })
      await until(async () => (await counts(service, id))['dead'] === 15, 'all of them are dead')
      const { health } = (await client.get(`/subscriptions/${id}`)).body
      t.match(health, { state: 'healthy', consecutiveFailures: 0 })
      // Half-open: of these the first ones are probes that find out nothing.
      await sql`
        update subscription_states set held_until = now(), consecutive_failures = 10 where subscription_id = ${id}`.execute(
        service.platform.db,
      )
      await client.post('/events/batch', { events: bad.slice(0, 5) })
      await append(client, 1)
      await until(async () => (await counts(service, id))['succeeded'] === 1, 'the good one arrived')
      await until(async () => (await counts(service, id))['dead'] === 20, 'the bad ones are dead')
      await healthIn(client, id, 'healthy')
    })
  })
}

t.test('clients may not append what the service tells of subscriptions', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const what of ['failing', 'recovered', 'disabled']) {
    const event = { type: `system.subscription.${what}`, payload: {} }
    const answer = await client.post('/events', event)
    t.ok(answer.status >= 400 && answer.status < 500, answer.text)
    t.equal((await client.post('/events/batch', { events: [event] })).status, answer.status)
  }
})
