import type { Executor, Pool } from '../../platform/postgres/pool.ts'
import { pgArray } from '../../platform/postgres/arrays.ts'
import type { OwedEvent } from '../destinations/index.ts'

/** A delivery that this worker holds a lease on, with what is to be sent. */
export interface ClaimedDelivery extends OwedEvent {
  id: string
  /** Attempts recorded so far. */
  attempts: number
  /** Why the coming attempt is made. */
  trigger: 'automatic' | 'manual' | 'replay'
  ordering_key: string | null
  recovery_id: string | null
  subscription_deleted: boolean
  /** Whether a person asked for this very attempt, which is made also while sending is held. */
  is_asked_for: boolean
  /** Tells when what a worker knows of the subscription is out of date. */
  subscription_version: number
  /** Whether a success is news: the endpoint failed before. */
  ailing: boolean
}

/** Not one of many that were asked for together. */
const ASKED_FOR = `(d.trigger = 'manual' and d.recovery_id is null)`

/** What a claim gives of each delivery; `d`, `e`, `s` and `t` are its tables. */
const CLAIMED = `
  d.app_id, d.id, d.event_id, d.subscription_id, d.attempts, d.trigger, d.ordering_key, d.recovery_id,
  ${ASKED_FOR} as is_asked_for, e.type, e.payload, e.edges, e.position, e.created_at as event_created_at, e.orgid, e.origin_event_id, e.external_id, e.context,
  s.deleted_at is not null as subscription_deleted,
  microseconds(s.updated_at) as subscription_version,
  t.consecutive_failures > 0 or t.held_until is not null or t.failing_announced as ailing`

const JOINED = `
   and e.app_id = d.app_id and e.id = d.event_id
   and s.app_id = d.app_id and s.id = d.subscription_id
   and t.app_id = d.app_id and t.subscription_id = d.subscription_id`

/**
 * A job may come a little early by the clock of whoever delayed it.
 *
 * `completed_at is null` says the same as `status = 'pending'`, but keeps the planner from reading the index
 * of all pending deliveries, which is as long as the backlog.
 *
 * What is not simply to be sent as fast as it goes is left for a feed (`feed.ts`).
 */
const CLAIM = `
update deliveries d set lease_until = now() + $3::int4 * interval '1 millisecond'
  from events e, subscriptions s, subscription_states t
 where d.app_id = $1 and d.id = any($2::uuid[]) and d.completed_at is null
   and d.next_attempt_at <= now() + interval '1 second' and d.due_at < 'infinity'
   and (d.lease_until is null or d.lease_until < now())${JOINED}
   and (s.deleted_at is not null
        or s.flow is null and s.disabled_at is null and (t.held_until is null or ${ASKED_FOR}))
returning ${CLAIMED}`

/**
 * The caller holds the lock of the subscription's state, so nobody else takes them. Nothing is after infinity,
 * but an index of what is parked offers itself only to who says it equals that.
 */
const CLAIM_PARKED = `
update deliveries d
   set lease_until = now() + $3::int4 * interval '1 millisecond', due_at = now() + $4::int4 * interval '1 millisecond'
  from events e, subscriptions s, subscription_states t
 where d.app_id = $1 and d.id = any($2::uuid[]) and d.completed_at is null and d.due_at >= 'infinity'${JOINED}
returning ${CLAIMED}`

/**
 * Takes those of some deliveries that may be sent as fast as it goes and that nobody else has, for a time.
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
  return inOrder(rows)
}

/**
 * Takes parked deliveries for a time, in a transaction that holds the lock of their subscription's state.
 *
 * @param graceMs from when on the sweeper may queue them, if this process dies
 */
export async function claimParked(
  executor: Executor,
  appId: string,
  ids: readonly string[],
  leaseMs: number,
  graceMs: number,
): Promise<ClaimedDelivery[]> {
  const { rows } = await executor.query({
    name: 'claim-parked',
    text: CLAIM_PARKED,
    values: [appId, pgArray.uuid(ids), leaseMs, graceMs],
  })
  return inOrder(rows as ClaimedDelivery[])
}

const inOrder = (rows: readonly ClaimedDelivery[]): ClaimedDelivery[] =>
  rows.toSorted((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1))

/** Lets go of deliveries that were not tried, so that anyone may take them at once. */
export async function release(pool: Pool, appId: string, ids: readonly string[]): Promise<void> {
  await pool.query({
    name: 'release',
    text: `update deliveries set lease_until = null
            where app_id = $1 and id = any($2::uuid[]) and completed_at is null`,
    values: [appId, pgArray.uuid(ids)],
  })
}
