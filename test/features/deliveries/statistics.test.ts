import { sql } from 'kysely'
import t from 'tap'
import { readStatistics } from '../../../src/features/deliveries/reading/statistics.ts'
import { newId } from '../../../src/platform/identifiers/ids.ts'
import { createLog } from '../../../src/platform/log/log.ts'
import { createPool } from '../../../src/platform/postgres/pool.ts'
import { createTestDatabase } from '../../helpers/environment.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService, type Service } from '../../helpers/service.ts'
import { createWatchedDatabase, measure, type Work } from '../../helpers/statements.ts'

const HOUR_MS = 3_600_000

interface Made {
  durationMs: number
  outcome: 'succeeded' | 'failed'
  hoursAgo: number
}

/** Puts attempts into the database as if they had been made. */
async function putAttempts(
  service: Service,
  appId: string,
  subscriptionId: string,
  attempts: readonly Made[],
) {
  await sql`
    insert into delivery_attempts (app_id, id, delivery_id, subscription_id, event_id, number, trigger, outcome,
                                   started_at, duration_ms)
    select ${appId}, (left(first_id_at(now() - a.hours_ago * interval '1 hour')::text, 24)
                      || lpad(to_hex(row_number() over ()), 12, '0'))::uuid,
           ${newId()}, ${subscriptionId}, ${newId()}, 1, 'automatic', a.outcome,
           now() - a.hours_ago * interval '1 hour', a.duration_ms
      from unnest(${attempts.map(({ durationMs }) => durationMs)}::int4[], ${attempts.map(({ outcome }) => outcome)}::text[],
                  ${attempts.map(({ hoursAgo }) => hoursAgo)}::float8[]) as a(duration_ms, outcome, hours_ago)`.execute(
    service.platform.db,
  )
}

/** The smallest value that so large a part of all is not above. */
function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.ceil(part * sorted.length) - 1] as number
}

t.test('how deliveries to a subscription went', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { id } = await client.subscribe('http://127.0.0.1:1/')
  const { id: other } = await client.subscribe('http://127.0.0.1:1/', ['nothing.*'])
  const read = async (query = '', of = id) => {
    const { status, body, text } = await client.get(`/subscriptions/${of}/statistics${query}`)
    t.equal(status, 200, text)
    return body
  }
  const nothing = { attempts: 0, succeeded: 0, failed: 0, successRate: null }
  const none = { p50: null, p95: null, p99: null, max: null }
  const empty = { pending: 0, oldestPendingAt: null, dead: 0 }
  t.match(await read(), { ...nothing, latencyMs: none, backlog: empty }, 'before the first attempt')

  const made = Array.from({ length: 997 }, (_, number): Made => ({
    durationMs: (number * 7919) % 5003,
    outcome: number % 4 === 0 ? 'failed' : 'succeeded',
    hoursAgo: number % 2 === 0 ? 0.5 : 20,
  }))
  await putAttempts(service, client.appId, id, made)
  await putAttempts(service, client.appId, id, [{ durationMs: 1e6, outcome: 'failed', hoursAgo: 30 }])
  await putAttempts(service, client.appId, other, [{ durationMs: 9, outcome: 'succeeded', hoursAgo: 0 }])

  for (const [query, hours] of [
    ['', 24],
    ['?hours=1', 1],
    ['?hours=24', 24],
  ] as const) {
    const expected = made.filter(({ hoursAgo }) => hoursAgo < hours)
    const durations = expected.map(({ durationMs }) => durationMs)
    const succeeded = expected.filter(({ outcome }) => outcome === 'succeeded').length
    const statistics = await read(query)
    t.match(
      statistics,
      {
        attempts: expected.length,
        succeeded,
        failed: expected.length - succeeded,
        successRate: succeeded / expected.length,
        latencyMs: {
          p50: percentile(durations, 0.5),
          p95: percentile(durations, 0.95),
          p99: percentile(durations, 0.99),
          max: percentile(durations, 1),
        },
      },
      `of ${hours} hours`,
    )
    const ago = Date.now() - Date.parse(statistics.since)
    t.ok(Math.abs(ago - hours * HOUR_MS) < HOUR_MS / 2)
  }
  t.match(await read('?hours=720'), { attempts: 998, latencyMs: { max: 1e6 } })
  t.match(await read('', other), { attempts: 1, successRate: 1, latencyMs: { p50: 9, max: 9 } })
})

t.test('what a subscription is still owed', async (t) => {
  const service = await startService(t, { settings: { DELIVERY_RETRY_SCHEDULE: '1h' } })
  const client = await service.client()
  const receiver = await startReceiver(t)
  const waiting: (() => void)[] = []
  receiver.answer = (response) => waiting.push(() => response.writeHead(400).end())
  const { id } = await client.subscribe(receiver.url, ['owed.*'])
  const { body: first } = await client.post('/events', { type: 'owed.test', payload: {} })
  await client.post('/events', { type: 'owed.test', payload: {} })
  const backlog = async () => (await client.get(`/subscriptions/${id}/statistics`)).body.backlog
  const { body: list } = await client.get(`/events/${first.id}/deliveries`)
  t.strictSame(await backlog(), { pending: 2, oldestPendingAt: list.data[0].createdAt, dead: 0 })
  await sql`update deliveries set status = 'dead', completed_at = now() where event_id = ${first.id}`.execute(
    service.platform.db,
  )
  t.match(await backlog(), { pending: 1, dead: 1 })
  for (const finish of waiting) finish()
})

t.test('it costs the same with many attempts', async (t) => {
  const databaseUrl = await createTestDatabase()
  const pool = createPool(databaseUrl, { size: 4, name: 'test', log: createLog('silent', 'test') })
  t.teardown(() => pool.end())
  const [app, busy, quiet] = [newId(), newId(), newId()]
  const work = async (subscription: string): Promise<Work[]> => {
    const done: Work[] = []
    const db = createWatchedDatabase(
      pool,
      async (statement) => void done.push(await measure(pool, statement)),
    )
    await readStatistics(db, { now: () => Date.now() }, app, subscription, 720)
    return done
  }
  await pool.query(
    `insert into delivery_attempts (app_id, id, delivery_id, subscription_id, event_id, number, trigger, outcome,
                                    started_at, duration_ms)
     select $1, (left(first_id_at(now() - n * interval '1 second')::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, $1,
            case when n % 1000 = 0 then $3::uuid else $2::uuid end, $1, 1, 'automatic', 'succeeded', now(), n % 100
       from generate_series(1, 100000) n`,
    [app, busy, quiet],
  )
  await pool.query(
    `insert into deliveries (app_id, id, event_id, position, subscription_id, status, attempts, created_at,
                             next_attempt_at, due_at, completed_at)
     select $1, (left(first_id_at(now() - n * interval '1 second')::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, $1,
            n, case when n % 1000 = 0 then $3::uuid else $2::uuid end, status, 1, now(), now(), now(),
            case when status <> 'pending' then now() end
       from generate_series(1, 50000) n,
            lateral (select case when n % 10 = 0 then 'pending' when n % 7 = 0 then 'dead' else 'succeeded' end as status) s`,
    [app, busy, quiet],
  )
  await pool.query('vacuum analyze delivery_attempts, deliveries')
  // Blocks of 8 KiB; all attempts together are more than 1,500, and so are all deliveries.
  for (const [name, subscription, most] of [
    ['busy', busy, 1_000],
    ['quiet', quiet, 400],
  ] as const) {
    const statements = await work(subscription)
    t.equal(statements.length, 2)
    for (const { blocks, nodes } of statements) {
      t.notOk(nodes.includes('Seq Scan'), `${name}: ${nodes.join(', ')}`)
      t.ok(blocks <= most, `${name}: ${blocks} blocks, ${nodes.join(', ')}`)
    }
  }
})
