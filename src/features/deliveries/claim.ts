import type { Pool } from '../../platform/postgres/pool.ts'
import { pgArray } from '../../platform/postgres/arrays.ts'

/** Where a subscription's events go; `type` names the destination that understands the rest. */
export interface DestinationSettings {
  type: string
  [setting: string]: unknown
}

/** A delivery that this worker holds a lease on, with all that is needed to send it. */
export interface ClaimedDelivery {
  app_id: string
  id: string
  event_id: string
  subscription_id: string
  /** Attempts recorded so far. */
  attempts: number
  type: string
  /** JSON text, as it was appended. */
  payload: string
  edges: string
  position: number
  event_created_at: Date
  destination: DestinationSettings
  sealed_secret: Buffer
  subscription_deleted: boolean
}

/**
 * A job may come a little early by the clock of whoever delayed it.
 *
 * `completed_at is null` says the same as `status = 'pending'`, but keeps the planner from reading the index
 * of all pending deliveries, which is as long as the backlog.
 */
const CLAIM = `
update deliveries d set lease_until = now() + $3::int4 * interval '1 millisecond'
  from events e, subscriptions s
 where d.app_id = $1 and d.id = any($2::uuid[]) and d.completed_at is null
   and d.next_attempt_at <= now() + interval '1 second'
   and (d.lease_until is null or d.lease_until < now())
   and e.app_id = d.app_id and e.id = d.event_id
   and s.app_id = d.app_id and s.id = d.subscription_id
returning d.app_id, d.id, d.event_id, d.subscription_id, d.attempts, e.type, e.payload, e.edges, e.position,
          e.created_at as event_created_at, s.destination, s.sealed_secret, s.deleted_at is not null as subscription_deleted`

/**
 * Takes those of some deliveries that are still to be made and that nobody else has, for a time.
 *
 * @param leaseMs for how long; if this process dies they are free again after it
 * @returns them in the order of the log
 */
export async function claim(
  pool: Pool,
  appId: string,
  ids: readonly string[],
  leaseMs: number,
): Promise<ClaimedDelivery[]> {
  const { rows } = await pool.query<ClaimedDelivery>({
    name: 'claim',
    text: CLAIM,
    values: [appId, pgArray.uuid(ids), leaseMs],
  })
  return rows.toSorted((a, b) => a.position - b.position)
}

/** Lets go of deliveries that were not tried, so that anyone may take them at once. */
export async function release(pool: Pool, appId: string, ids: readonly string[]): Promise<void> {
  await pool.query({
    name: 'release',
    text: `update deliveries set lease_until = null
            where app_id = $1 and id = any($2::uuid[]) and completed_at is null`,
    values: [appId, pgArray.uuid(ids)],
  })
}
