import type { Pool } from '../../../platform/postgres/pool.ts'
import { pgArray } from '../../../platform/postgres/arrays.ts'

/**
 * The state's row first: a feed that holds its lock either sees what is parked here, or lets this statement
 * set `feed_at` after it. What waits for its next attempt, is parked already, or is held by a worker, is left
 * alone. See `claim.ts` for the list.
 */
const parkStatement = (isOwn: boolean) => `
with state as (
  update subscription_states
     set feed_at = greatest(held_until, least(feed_at, now()))
   where app_id = $1 and subscription_id = $2
  returning feed_at
), wanted as materialized (
  select $1::uuid as app_id, id from unnest($3::uuid[]) as id where exists (select from state)
), parked as (
  update deliveries d set due_at = 'infinity', lease_until = null
    from wanted w
   where d.app_id = w.app_id and d.id = w.id and d.completed_at is null and d.due_at < 'infinity'
     and d.next_attempt_at <= now() + interval '1 second'
     ${isOwn ? '' : 'and (d.lease_until is null or d.lease_until < now())'}
  returning 1
)
select count(*)::int4 as count from parked`

const PARK = parkStatement(false)
const PUT_BACK = parkStatement(true)

/**
 * Puts deliveries that are due aside, where neither a job nor the sweeper looks: only a feed of their
 * subscription takes them.
 *
 * @returns how many it were
 */
export async function park(
  pool: Pool,
  subscription: { appId: string; subscriptionId: string },
  ids: readonly string[],
): Promise<number> {
  return run(pool, 'park', PARK, subscription, ids)
}

/** The same for deliveries that this worker holds and did not try. */
export async function putBack(
  pool: Pool,
  subscription: { appId: string; subscriptionId: string },
  ids: readonly string[],
): Promise<void> {
  await run(pool, 'put-back', PUT_BACK, subscription, ids)
}

async function run(
  pool: Pool,
  name: string,
  text: string,
  { appId, subscriptionId }: { appId: string; subscriptionId: string },
  ids: readonly string[],
): Promise<number> {
  const { rows } = await pool.query<{ count: number }>({
    name,
    text,
    values: [appId, subscriptionId, pgArray.uuid(ids)],
  })
  return rows[0]?.count ?? 0
}
