import type { ServerResponse } from 'node:http'
import { sql } from 'kysely'
import t from 'tap'
import { startReceiver } from '../../helpers/receiver.ts'
import { BACKENDS, startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

/** Kinds of subscriptions: what is sent as fast as it goes, and what is fed. */
const FLOWS: Record<string, object> = {
  plain: {},
  limited: { rateLimit: { requests: 100 } },
  narrow: { concurrency: 2 },
  ordered: { ordering: { key: 'payload.key' } },
  batched: { batching: { maxEvents: 10 } },
}
const BATCHES = 12
const BATCH = 10
const RESTARTS = 3
/**
 * Short, so that what hangs is cut off; a worker that is closed leaves what is under way as if it had died. A lease must
 * last for a feed and a second of requests, which a rate limit spreads, on a machine that has other things to do.
 */
const SETTINGS = {
  DELIVERY_TIMEOUT_MS: '500',
  DELIVERY_LEASE_MS: '4000',
  DELIVERY_GRACE_MS: '200',
  SUBSCRIPTION_HOLD_MS: '20',
  SHUTDOWN_TIMEOUT_MS: '1',
  DATABASE_POOL_SIZE: '4',
}

/** Repeats a run by its number (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

for (const backend of BACKENDS) {
  t.test(`whatever endpoints answer and workers do, nothing is lost or stuck (${backend})`, async (t) => {
    const seed = Math.floor(Math.random() * 1e9)
    t.comment(`seed ${seed}`)
    const random = randomOf(seed)
    const api = await startService(t, { backend, worker: false, settings: SETTINGS })
    const startWorker = () =>
      startService(t, {
        databaseUrl: api.databaseUrl,
        ...(api.redisUrl && { redisUrl: api.redisUrl }),
        settings: SETTINGS,
      })
    const client = await api.client()
    let isCalm = false
    const answer = (response: ServerResponse): void => {
      const draw = isCalm ? 0 : random()
      if (draw < 0.55) response.end()
      else if (draw < 0.8) response.writeHead(500).end()
      else if (draw < 0.9) response.writeHead(429).end()
      // Else it hangs.
    }
    const endpoints = await Promise.all(
      Object.entries(FLOWS).map(async ([name, flow]) => {
        const receiver = await startReceiver(t)
        receiver.answer = answer
        const { status, text } = await client.post('/subscriptions', {
          name,
          eventPatterns: ['restart.test'],
          destination: { type: 'webhook', url: receiver.url },
          retrySchedule: Array<string>(50).fill('50ms'),
          ...flow,
        })
        if (status !== 201) throw new Error(text)
        return { name, receiver }
      }),
    )

    const workers = [await startWorker(), await startWorker()]
    const events: string[] = []
    async function append(count: number): Promise<void> {
      const { body } = await client.post('/events/batch', {
        events: Array.from({ length: count }, (_, index) => ({
          type: 'restart.test',
          payload: { key: `key ${index % 3}` },
        })),
      })
      events.push(...body.data.map(({ id }: { id: string }) => id))
    }
    const allSucceeded = () =>
      until(async () => {
        const { rows } = await sql<{ succeeded: number }>`
          select count(*) filter (where status = 'succeeded')::int4 as succeeded from deliveries`.execute(
          api.platform.db,
        )
        return rows[0]?.succeeded === events.length * endpoints.length
      }, 'all deliveries succeeded').catch(async (error: Error) => {
        const { rows } = await sql`
          select s.name, d.status, count(*)::int4 as count, min(d.attempts) as least, max(d.attempts) as most,
                 min(d.next_attempt_at - now())::text as next, max(d.lease_until - now())::text as lease,
                 t.held_until - now() as held, t.feed_at - now() as feed
            from deliveries d join subscriptions s on s.app_id = d.app_id and s.id = d.subscription_id
            join subscription_states t on t.app_id = d.app_id and t.subscription_id = s.id
           where d.status <> 'succeeded' group by s.name, d.status, t.held_until, t.feed_at`.execute(
          api.platform.db,
        )
        throw new Error(`${error.message} Left: ${JSON.stringify(rows)}`)
      })
    for (let batch = 0; batch < BATCHES; batch++) {
      await append(BATCH)
      if (batch % Math.floor(BATCHES / RESTARTS) === 2) {
        await workers.shift()?.close()
        workers.push(await startWorker())
      }
    }

    isCalm = true
    await allSucceeded()
    for (const { name, receiver } of endpoints) {
      const got = new Set(
        receiver.received.flatMap(({ text }) => {
          const body = JSON.parse(text)
          return (body.events ?? [body]).map((event: { event_id: string }) => event.event_id)
        }),
      )
      t.equal(got.size, events.length, name)
    }
    // What failed last may have been told after the last success; the next success clears it.
    await until(async () => {
      await append(1)
      await allSucceeded()
      const { rows } = await sql<{ count: number }>`
        select count(*)::int4 as count from subscription_states t
         where feed_at is not null or held_until is not null or consecutive_failures > 0
            or exists (select from subscription_slots s
                        where s.subscription_id = t.subscription_id and s.held_until > now())`.execute(
        api.platform.db,
      )
      return rows[0]?.count === 0
    }, 'no subscription is held, has anything parked, or slots in use')
  })
}
