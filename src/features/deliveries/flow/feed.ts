import { executorIn, type Database, type Executor } from '../../../platform/postgres/pool.ts'
import { claimParked, type ClaimedDelivery } from '../dispatch/claim.ts'
import type { PaceOptions } from '../dispatch/lane.ts'
import {
  allowanceOf,
  consequenceOf,
  flowOf,
  stoppedFor,
  type Consequence,
  type FeedState,
} from './allowance.ts'
import { findReady } from './find-ready.ts'
import { holdSlots, slotsHeld } from './slots.ts'

/** What a feed may take. */
export interface FeedLimits {
  appId: string
  subscriptionId: string
  /** Who sends it; a new one for each feed. */
  holder: string
  deliveries: number
  /** Requests under way at once. */
  requests: number
  /** In an order, the key after which to look. */
  afterKey: string | null
  leaseMs: number
  graceMs: number
}

export interface Fed {
  deliveries: ClaimedDelivery[]
  /** Deliveries of one request. */
  batchSize: number
  /** When requests may start where there is a rate limit. */
  pace: PaceOptions | undefined
  /** When the rate limit allows more, in milliseconds from now; undefined where it is not what limits. */
  moreInMs: number | undefined
  /** Whether it is one delivery that is to find out whether the endpoint works again. */
  isProbe: boolean
  /** What it holds of the subscription's concurrency; undefined where that is not limited. */
  slots: { holder: string; count: number } | undefined
  /** Where the next feed is to look for keys; see `FeedLimits.afterKey`. */
  afterKey: string | null
}

const NOTHING: Fed = {
  deliveries: [],
  batchSize: 1,
  pace: undefined,
  moreInMs: undefined,
  isProbe: false,
  slots: undefined,
  afterKey: null,
}

/**
 * Takes parked deliveries of a subscription, as many as its health, its concurrency, its rate limit and its
 * order allow. The statements are under the lock of the subscription's state, so what they take is right for all
 * workers together; how many they may take is decided in `allowance.ts`.
 */
export async function feed(db: Database, limits: FeedLimits): Promise<Fed> {
  return db.transaction().execute(async (transaction) => {
    const executor = executorIn(transaction)
    const state = await lockState(executor, limits)
    if (!state) return NOTHING
    // Measured before it is said when the next slot is, so that no request of this feed is later than that.
    const now = performance.now()
    const stopped = stoppedFor(state)
    if (stopped !== undefined) {
      await leave(executor, limits, { feedInMs: stopped })
      return NOTHING
    }
    const held = flowOf(state).concurrency === undefined ? 0 : await slotsHeld(executor, limits)
    const allowance = allowanceOf(state, limits, held)
    const ready = await findReady(executor, limits, allowance, limits.afterKey)
    const deliveries =
      ready.ids.length === 0
        ? []
        : await claimParked(executor, { ...limits, ids: ready.ids }, limits.leaseMs, limits.graceMs)
    const then = consequenceOf(allowance, deliveries.length, ready.waitMs, limits.leaseMs)
    if (then.slots !== undefined) await holdSlots(executor, limits, then.slots)
    await leave(executor, limits, then)
    const { batchSize, isProbe, pace } = allowance
    return {
      deliveries,
      batchSize,
      isProbe,
      pace: pace && { startAt: now + pace.startMs, intervalMs: pace.intervalMs, requests: then.requests },
      moreInMs: then.moreInMs,
      slots: then.slots === undefined ? undefined : { holder: limits.holder, count: then.slots },
      afterKey: ready.lastKey,
    }
  })
}

/**
 * Two statements: what the second one reads is as of when the lock was got, so nobody who holds the lock and
 * changes the subscription in the same transaction is overlooked.
 */
async function lockState(
  executor: Executor,
  { appId, subscriptionId }: FeedLimits,
): Promise<FeedState | undefined> {
  const { rows } = await executor.query({
    name: 'feed-lock',
    text: `select (extract(epoch from held_until - clock_timestamp()) * 1000)::int8 as held_ms,
                  (extract(epoch from next_slot_at - clock_timestamp()) * 1000)::float8 as slot_ms
             from subscription_states where app_id = $1 and subscription_id = $2 for update`,
    values: [appId, subscriptionId],
  })
  const subscription = await executor.query({
    name: 'feed-subscription',
    text: `select flow, disabled_at is not null as disabled, deleted_at is not null as deleted
             from subscriptions where app_id = $1 and id = $2`,
    values: [appId, subscriptionId],
  })
  return rows.length === 0 ? undefined : { ...(rows[0] as FeedState), ...(subscription.rows[0] as FeedState) }
}

/** Says when the subscription is to be looked at again: not at all when nothing of it is parked any more. */
async function leave(
  executor: Executor,
  { appId, subscriptionId }: FeedLimits,
  {
    feedInMs,
    slotInMs,
    heldMs,
  }: { feedInMs: number | null } & Partial<Pick<Consequence, 'slotInMs' | 'heldMs'>>,
): Promise<void> {
  const at = (parameter: string) => `clock_timestamp() + ${parameter}::float8 * interval '1 millisecond'`
  await executor.query({
    name: 'feed-leave',
    text: `update subscription_states
              set feed_at = case when (
                    select true from deliveries
                     where app_id = $1 and subscription_id = $2 and completed_at is null and due_at = 'infinity'
                     order by ordering_key limit 1) then ${at('$3')} end,
                  next_slot_at = coalesce(${at('$4')}, next_slot_at),
                  held_until = coalesce(${at('$5')}, held_until)
            where app_id = $1 and subscription_id = $2`,
    values: [appId, subscriptionId, feedInMs, slotInMs ?? null, heldMs ?? null],
  })
}
