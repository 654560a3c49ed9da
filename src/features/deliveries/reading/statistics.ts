import { sql } from 'kysely'
import type { Static } from '@sinclair/typebox'
import type { Clock } from '../../../platform/time/clock.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { SubscriptionStatistics } from '../schemas.ts'

/** Attempts that are looked at, and deliveries that are counted: what it costs does not grow with the log. */
const MAX_ATTEMPTS = 10_000
const MAX_COUNTED = 100_000
const DEFAULT_HOURS = 24

/**
 * How deliveries to a subscription went of late.
 *
 * @param hours how far to look back
 */
export async function readStatistics(
  db: Database,
  clock: Clock,
  appId: string,
  subscriptionId: string,
  hours = DEFAULT_HOURS,
): Promise<Static<typeof SubscriptionStatistics>> {
  const since = new Date(clock.now() - hours * 3_600_000)
  const [attempts, backlog] = await Promise.all([
    readAttempts(db, appId, subscriptionId, since),
    readBacklog(db, appId, subscriptionId),
  ])
  const { total, succeeded, latencies } = attempts
  const [p50, p95, p99, max] = latencies ?? [null, null, null, null]
  return {
    since: since.toISOString(),
    attempts: total,
    succeeded,
    failed: total - succeeded,
    successRate: total === 0 ? null : succeeded / total,
    latencyMs: { p50: p50 ?? null, p95: p95 ?? null, p99: p99 ?? null, max: max ?? null },
    backlog: {
      pending: backlog.pending,
      oldestPendingAt: backlog.oldest?.toISOString() ?? null,
      dead: backlog.dead,
    },
  }
}

async function readAttempts(db: Database, appId: string, subscriptionId: string, since: Date) {
  const { rows } = await sql<{ total: number; succeeded: number; latencies: number[] | null }>`
    select count(*)::int4 as total, count(*) filter (where outcome = 'succeeded')::int4 as succeeded,
           percentile_disc(array[0.5, 0.95, 0.99, 1]) within group (order by duration_ms)::float8[] as latencies
      from (select outcome, duration_ms from delivery_attempts
             where app_id = ${appId} and subscription_id = ${subscriptionId} and id >= first_id_at(${since})
             order by id desc limit ${MAX_ATTEMPTS}) newest`.execute(db)
  return rows[0] ?? { total: 0, succeeded: 0, latencies: null }
}

/** The orders keep the planner on the indexes of a single subscription. */
async function readBacklog(db: Database, appId: string, subscriptionId: string) {
  const { rows } = await sql<{ pending: number; dead: number; oldest: Date | null }>`
    select (select count(*)::int4 from (
              select from deliveries where app_id = ${appId} and subscription_id = ${subscriptionId}
                 and status = 'pending' order by position, id limit ${MAX_COUNTED}) p) as pending,
           (select count(*)::int4 from (
              select from deliveries where app_id = ${appId} and subscription_id = ${subscriptionId}
                 and status = 'dead' order by ordering_key, position, id limit ${MAX_COUNTED}) p) as dead,
           (select created_at from deliveries
             where app_id = ${appId} and subscription_id = ${subscriptionId} and status = 'pending'
             order by position, id limit 1) as oldest`.execute(db)
  return rows[0] ?? { pending: 0, dead: 0, oldest: null }
}
