import { createMicroBatcher } from '../../../platform/micro-batcher.ts'
import type { Executor, Pool } from '../../../platform/postgres/pool.ts'
import { pgArray } from '../../../platform/postgres/arrays.ts'
import type { OwedEvent } from '../../destinations/index.ts'

/** Deliveries that one statement takes at most. */
const MAX_CLAIM = 500
const CLAIMS_AT_ONCE = 2

/** A delivery that this worker holds a lease on, with what is to be sent. */
export interface ClaimedDelivery extends Omit<OwedEvent, 'edges'> {
  id: string
  /** As they were appended, as JSON text. */
  edges: string
  /** Attempts recorded so far. */
  attempts: number
  /** Why the coming attempt is made. */
  trigger: 'automatic' | 'manual' | 'replay'
  ordering_key: string | null
  recovery_id: string | null
  subscription_deleted: boolean
  /** Whether the event is no longer kept: there is nothing to send. */
  event_gone: boolean
  /** Whether a person asked for this very attempt, which is made also while sending is held. */
  requested_manually: boolean
  /** Tells when what a worker knows of the subscription is out of date. */
  subscription_version: number
  /** Whether a success is news: the endpoint failed before. */
  ailing: boolean
}

/** Not one of many that were asked for together. */
const REQUESTED_MANUALLY = `(d.trigger = 'manual' and d.recovery_id is null)`

/**
 * Takes deliveries by their apps, subscriptions and ids (`$1`, `$2`, `$3`) for `$4` milliseconds.
 *
 * An app that is new, or has far more than when statistics were made, looks to the planner as if it had a row
 * or two, and reading all that it has as cheap as reading one. So the statement leaves no choice: apps come
 * from a materialised list, and what belongs to a row from lateral joins with one row each.
 *
 * @param settings for the transaction, as a table of one row
 * @param set what else is changed
 * @param where which may be taken: `d` is the delivery, `w` its subscription
 */
const claimStatement = (settings: string, set: string, where: string) => `
with settings as materialized (${settings}
), wanted as materialized (
  select w.app_id, w.id, s.*, t.held_until, t.ailing
    from settings
   cross join unnest($1::uuid[], $2::uuid[], $3::uuid[]) as w(app_id, subscription_id, id)
   cross join lateral (
     select deleted_at, disabled_at, flow is null as is_unlimited, updated_at
       from subscriptions where app_id = w.app_id and id = w.subscription_id limit 1) s
   cross join lateral (
     select held_until, consecutive_failures > 0 or held_until is not null or failing_announced as ailing
       from subscription_states where app_id = w.app_id and subscription_id = w.subscription_id limit 1) t
), taken as (
  update deliveries d set lease_until = now() + $4::int4 * interval '1 millisecond' ${set}
    from wanted w
   where d.app_id = w.app_id and d.id = w.id and d.completed_at is null ${where}
  returning d.app_id, d.id, d.event_id, d.subscription_id, d.position, d.attempts, d.trigger, d.ordering_key, d.recovery_id,
            ${REQUESTED_MANUALLY} as requested_manually, w.deleted_at is not null as subscription_deleted,
            microseconds(w.updated_at) as subscription_version, w.ailing
)
select d.*, e.type is null as event_gone, coalesce(e.payload, 'null') as payload, e.type, e.edges, e.event_created_at, e.orgid,
       e.origin_event_id, e.external_id, e.context
  from taken d
  left join lateral (
    select type, payload, edges, created_at as event_created_at, orgid, origin_event_id, external_id, context
      from events where app_id = d.app_id and id = d.event_id limit 1) e on true`

/**
 * A job may come a little early by the clock of whoever delayed it.
 *
 * The commit does not wait for the disk: a lease that is lost when Postgres goes down lets a delivery be sent twice,
 * which it may be then anyway.
 *
 * `completed_at is null` says the same as `status = 'pending'`, but keeps the planner from reading the index
 * of all pending deliveries, which is as long as the backlog.
 *
 * What is not simply to be sent as fast as it goes is left for a feed (`feed.ts`).
 */
export const CLAIM = claimStatement(
  `select set_config('synchronous_commit', 'off', true)`,
  '',
  `and d.next_attempt_at <= now() + interval '1 second' and d.due_at < 'infinity'
     and (d.lease_until is null or d.lease_until < now())
     and (w.deleted_at is not null
          or w.is_unlimited and w.disabled_at is null and (w.held_until is null or ${REQUESTED_MANUALLY}))`,
)

/**
 * The caller holds the lock of the subscription's state, so nobody else takes them. `$5` is in how many
 * milliseconds the sweeper may queue them. Nothing is after infinity, but an index of what is parked offers
 * itself only to who says it equals that.
 */
export const CLAIM_PARKED = claimStatement(
  'select',
  `, due_at = now() + $5::int4 * interval '1 millisecond'`,
  `and d.due_at >= 'infinity'`,
)

/** Some deliveries of one subscription. */
interface Wanted {
  appId: string
  subscriptionId: string
  ids: readonly string[]
}

function toColumns(wanted: readonly Wanted[]): Buffer[] {
  const perDelivery = (value: (of: Wanted) => string): string[] =>
    wanted.flatMap((of) => of.ids.map(() => value(of)))
  return [
    pgArray.uuid(perDelivery(({ appId }) => appId)),
    pgArray.uuid(perDelivery(({ subscriptionId }) => subscriptionId)),
    pgArray.uuid(wanted.flatMap(({ ids }) => ids)),
  ]
}

/** Takes deliveries for a time: what all lanes of a process want meanwhile, in one statement. */
export interface Claimer {
  /**
   * Takes those of some deliveries that may be sent as fast as it goes and that nobody else has.
   *
   * @returns them in the order of the log
   */
  claim(wanted: Wanted): Promise<ClaimedDelivery[]>
}

/** @param leaseMs for how long; if this process dies they are free again after it */
export function createClaimer(pool: Pool, leaseMs: number): Claimer {
  const batcher = createMicroBatcher<Wanted, ClaimedDelivery[]>({
    async run(wanted) {
      const values = [...toColumns(wanted), leaseMs]
      const { rows } = await pool.query<ClaimedDelivery>({ name: 'claim', text: CLAIM, values })
      const claimed = new Map(rows.map((delivery) => [delivery.id, delivery]))
      return wanted.map(({ ids }) => inOrder(ids.flatMap((id) => takeFrom(claimed, id))))
    },
    weight: ({ ids }) => ids.length,
    maxBatch: MAX_CLAIM,
    maxWaiting: Number.MAX_SAFE_INTEGER, // bounded by what lanes may have under way
    maxConcurrentBatches: CLAIMS_AT_ONCE,
    key: ({ subscriptionId }) => subscriptionId,
  })
  return { claim: (wanted) => batcher.add(wanted) }
}

/** The queue may bring a delivery twice: only one of those who want it has it. */
function takeFrom(claimed: Map<string, ClaimedDelivery>, id: string): ClaimedDelivery[] {
  const delivery = claimed.get(id)
  claimed.delete(id)
  return delivery ? [delivery] : []
}

/**
 * Takes parked deliveries for a time, in a transaction that holds the lock of their subscription's state.
 *
 * @param graceMs from when on the sweeper may queue them, if this process dies
 * @returns them in the order of the log
 */
export async function claimParked(
  executor: Executor,
  wanted: Wanted,
  leaseMs: number,
  graceMs: number,
): Promise<ClaimedDelivery[]> {
  const { rows } = await executor.query({
    name: 'claim-parked',
    text: CLAIM_PARKED,
    values: [...toColumns([wanted]), leaseMs, graceMs],
  })
  return inOrder(rows as ClaimedDelivery[])
}

const inOrder = (rows: readonly ClaimedDelivery[]): ClaimedDelivery[] =>
  rows.toSorted((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1))

/** Lets go of deliveries that were not tried, so that anyone may take them at once. */
export async function release(pool: Pool, appId: string, ids: readonly string[]): Promise<void> {
  await pool.query({
    name: 'release',
    text: `with wanted as materialized (select $1::uuid as app_id, id from unnest($2::uuid[]) as id)
           update deliveries d set lease_until = null from wanted w
            where d.app_id = w.app_id and d.id = w.id and d.completed_at is null`,
    values: [appId, pgArray.uuid(ids)],
  })
}
