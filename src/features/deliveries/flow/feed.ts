import { executorIn, type Database, type Executor } from '../../../platform/postgres/pool.ts'
import type { Flow } from '../../matching/index.ts'
import { claimParked, type ClaimedDelivery } from '../dispatch/claim.ts'
import { RATE_LATE_MS, type PaceOptions } from '../dispatch/lane.ts'
import { READY, READY_IN_ORDER } from './ready.ts'

/** How far ahead of its time a request of a rate-limited subscription is taken. */
const RATE_AHEAD_MS = 1_000
/** When somebody looks again for what could not be taken, should whoever is to do it have died. */
const LOOK_AGAIN_MS = 1_000

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

interface State {
  flow: Flow | null
  disabled: boolean
  deleted: boolean
  /** Milliseconds until the hold ends; less than 0 for one that is over. */
  held_ms: number | null
  /** Milliseconds until the rate limit allows the next request. */
  slot_ms: number | null
}

const MAX_SLOTS = 2 ** 31 - 1
/** More for a slot at once would keep it longer than others need to wait. */
const REQUESTS_PER_SLOT = 8

/** One delivery at most when the endpoint is probed. */
const PROBE = 1

/**
 * Takes parked deliveries of a subscription, as many as its health, its concurrency, its rate limit and its
 * order allow. All of that is decided under the lock of the subscription's state, so it holds for all workers.
 */
export async function feed(db: Database, limits: FeedLimits): Promise<Fed> {
  return db.transaction().execute(async (transaction) => {
    const executor = executorIn(transaction)
    const state = await lockState(executor, limits)
    const fed: Fed = {
      deliveries: [],
      batchSize: 1,
      pace: undefined,
      moreInMs: undefined,
      isProbe: false,
      slots: undefined,
      afterKey: null,
    }
    if (!state) return fed
    // Measured before it is said when the next slot is, so that no request of this feed is later than that.
    const now = performance.now()
    if (!state.deleted && (state.disabled || (state.held_ms ?? 0) > 0)) {
      await leave(executor, limits, { feedInMs: state.disabled ? null : state.held_ms })
      return fed
    }
    const flow: Flow = state.deleted ? {} : (state.flow ?? {})
    fed.isProbe = !state.deleted && state.held_ms !== null
    fed.batchSize = flow.batching && !fed.isProbe ? flow.batching.maxEvents : 1
    const free =
      flow.concurrency === undefined
        ? limits.requests
        : Math.min(limits.requests, await slotsLeft(executor, limits, flow.concurrency))
    const pace = paceOf(flow, state)
    const requests = Math.min(
      fed.isProbe ? PROBE : limits.deliveries,
      pace?.requests ?? Infinity,
      flow.concurrency === undefined ? Infinity : free * REQUESTS_PER_SLOT,
    )
    const limit = Math.min(requests, Math.ceil(limits.deliveries / fed.batchSize)) * fed.batchSize
    const ready: Ready = limit === 0 ? NOTHING : await findReady(executor, limits, flow, limit, fed.isProbe)
    fed.afterKey = ready.lastKey
    if (ready.ids.length > 0) {
      fed.deliveries = await claimParked(
        executor,
        { ...limits, ids: ready.ids },
        limits.leaseMs,
        limits.graceMs,
      )
    }
    const sent = Math.ceil(fed.deliveries.length / fed.batchSize)
    fed.pace = pace && { startAt: now + pace.startMs, intervalMs: pace.intervalMs, requests: sent }
    if (flow.concurrency !== undefined && sent > 0) {
      fed.slots = { holder: limits.holder, count: Math.min(free, sent) }
      await holdSlots(executor, limits, fed.slots.count)
    }
    const nextSlotMs = pace && pace.startMs + sent * pace.intervalMs
    if (pace && nextSlotMs !== undefined && sent >= pace.requests)
      fed.moreInMs = Math.max(0, nextSlotMs - RATE_AHEAD_MS)
    await leave(executor, limits, {
      feedInMs: fed.moreInMs ?? ready.waitMs ?? LOOK_AGAIN_MS,
      ...(nextSlotMs !== undefined && sent > 0 && { slotInMs: nextSlotMs }),
      ...(fed.isProbe && sent > 0 && { heldMs: limits.leaseMs }),
    })
    return fed
  })
}

/**
 * Two statements: what the second one reads is as of when the lock was got, so nobody who holds the lock and
 * changes the subscription in the same transaction is overlooked.
 */
async function lockState(
  executor: Executor,
  { appId, subscriptionId }: FeedLimits,
): Promise<State | undefined> {
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
  return rows.length === 0 ? undefined : { ...(rows[0] as State), ...(subscription.rows[0] as State) }
}

/**
 * How many requests the rate limit allows to be taken now, the first of them `startMs` from now. They are a
 * little further apart than the limit says, by what some of them may be late.
 */
function paceOf({ rateLimit }: Flow, { slot_ms: slotMs }: State) {
  if (!rateLimit) return undefined
  const intervalMs = ((rateLimit.perSeconds ?? 1) * 1000 + RATE_LATE_MS) / rateLimit.requests
  const startMs = Math.max(0, slotMs ?? 0)
  const ahead = RATE_AHEAD_MS - startMs
  return { startMs, intervalMs, requests: ahead < 0 ? 0 : Math.floor(ahead / intervalMs) + 1 }
}

/** Of a subscription's concurrency, what other workers do not hold. */
async function slotsLeft(
  executor: Executor,
  { appId, subscriptionId }: FeedLimits,
  concurrency: number,
): Promise<number> {
  const { rows } = await executor.query({
    name: 'feed-slots',
    text: `select coalesce(sum(slots), 0)::int4 as held from subscription_slots
            where app_id = $1 and subscription_id = $2 and held_until > now()`,
    values: [appId, subscriptionId],
  })
  return Math.max(0, concurrency - (rows[0] as { held: number }).held)
}

/** Slots are held as long as the deliveries they are for; whoever dies with them loses them then. */
async function holdSlots(
  executor: Executor,
  { appId, subscriptionId, holder, leaseMs }: FeedLimits,
  slots: number,
): Promise<void> {
  await executor.query({
    name: 'feed-hold-slots',
    text: `insert into subscription_slots (app_id, subscription_id, holder, slots, held_until)
           values ($1, $2, $3, $4, now() + $5::int4 * interval '1 millisecond')`,
    values: [appId, subscriptionId, holder, slots, leaseMs],
  })
}

/**
 * Gives back what a holder has of a subscription's concurrency, and what those who died had.
 *
 * @param count of them; all unless given
 */
export async function freeSlots(
  executor: Executor,
  { appId, subscriptionId }: { appId: string; subscriptionId: string },
  holder: string,
  count?: number,
): Promise<void> {
  await executor.query({
    name: 'feed-free-slots',
    text: `with fewer as (
             update subscription_slots set slots = slots - $4::int4
              where app_id = $1 and subscription_id = $2 and holder = $3 and slots > $4::int4
             returning holder)
           delete from subscription_slots s
            where app_id = $1 and subscription_id = $2 and (holder = $3 or held_until < now())
              and not exists (select from fewer f where f.holder = s.holder)`,
    values: [appId, subscriptionId, holder, count ?? MAX_SLOTS],
  })
}

/** Parked deliveries that may be taken. */
interface Ready {
  ids: string[]
  /** Until when the others wait to be sent in one request, in milliseconds from now; undefined: they do not. */
  waitMs?: number | undefined
  lastKey: string | null
}

const NOTHING: Ready = { ids: [], lastKey: null }

async function findReady(
  executor: Executor,
  limits: FeedLimits,
  { ordering, batching }: Flow,
  limit: number,
  isProbe: boolean,
): Promise<Ready> {
  const { appId, subscriptionId, afterKey } = limits
  if (ordering) {
    const { rows } = await executor.query({
      name: 'ready-in-order',
      text: READY_IN_ORDER,
      values: [appId, subscriptionId, limit, ordering.onDead === 'hold', afterKey],
    })
    const found = rows as { id: string; last_key: string | null }[]
    if (found.length === 0 && afterKey !== null)
      return findReady(executor, { ...limits, afterKey: null }, { ordering }, limit, isProbe)
    return { ids: found.map(({ id }) => id), lastKey: found[0]?.last_key ?? null }
  }
  const { rows } = await executor.query({
    name: 'ready',
    text: READY,
    values: [appId, subscriptionId, limit],
  })
  const found = rows as Gathering[]
  const { ids, waitMs } = batching && !isProbe ? gather(found, batching) : { ids: found.map(({ id }) => id) }
  return { ids, waitMs, lastKey: null }
}

interface Gathering {
  id: string
  attempts: number
  waited_ms: number
}

/** Leaves out those that do not fill a request yet, unless the first of them waited long enough. */
function gather(
  ready: readonly Gathering[],
  { maxEvents, maxWaitSeconds = 0 }: NonNullable<Flow['batching']>,
): { ids: string[]; waitMs?: number } {
  const fresh = ready.filter(({ attempts }) => attempts === 0)
  const open = fresh.slice(fresh.length - (fresh.length % maxEvents))
  const waitMs = maxWaitSeconds * 1000 - Math.max(...open.map((delivery) => delivery.waited_ms))
  if (open.length === 0 || waitMs <= 0) return { ids: ready.map(({ id }) => id) }
  const left = new Set(open)
  return { ids: ready.filter((delivery) => !left.has(delivery)).map(({ id }) => id), waitMs }
}

/** Says when the subscription is to be looked at again: not at all when nothing of it is parked any more. */
async function leave(
  executor: Executor,
  { appId, subscriptionId }: FeedLimits,
  { feedInMs, slotInMs, heldMs }: { feedInMs: number | null; slotInMs?: number; heldMs?: number },
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
