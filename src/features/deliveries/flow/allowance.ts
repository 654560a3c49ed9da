import type { Flow } from '../../matching/index.ts'
import { RATE_LATE_MS } from '../dispatch/lane.ts'

/** How far ahead of its time a request of a rate-limited subscription is taken. */
const RATE_AHEAD_MS = 1_000
/** When somebody looks again for what could not be taken, should whoever is to do it have died. */
const LOOK_AGAIN_MS = 1_000
/** More for a slot at once would keep it longer than others need to wait. */
const REQUESTS_PER_SLOT = 8
/** One delivery at most when the endpoint is probed. */
const PROBE = 1

/** What is known of a subscription under the lock of its state. */
export interface FeedState {
  flow: Flow | null
  disabled: boolean
  deleted: boolean
  /** Milliseconds until the hold ends; less than 0 for one that is over, null where there is none. */
  held_ms: number | null
  /** Milliseconds until the rate limit allows the next request. */
  slot_ms: number | null
}

/** What whoever asks has room for. */
export interface Capacity {
  deliveries: number
  /** Requests under way at once. */
  requests: number
}

/** What may be taken now. */
export interface Allowance {
  /** As many at most; 0: nothing. */
  deliveries: number
  /** Deliveries of one request. */
  batchSize: number
  /** Whether it is one delivery that is to find out whether the endpoint works again. */
  isProbe: boolean
  ordering: Flow['ordering']
  batching: Flow['batching']
  /** Slots of the subscription's concurrency that may be held; undefined where that is not limited. */
  slots: number | undefined
  /** When requests may start, where there is a rate limit: the first in `startMs`, `requests` at most. */
  pace: { startMs: number; intervalMs: number; requests: number } | undefined
}

/** What follows from what was taken. */
export interface Consequence {
  requests: number
  /** Slots to hold; undefined: none. */
  slots: number | undefined
  /** When the rate limit allows more, in milliseconds; undefined where it is not what limits. */
  moreInMs: number | undefined
  /** When the subscription is to be looked at again, in milliseconds. */
  feedInMs: number
  /** When the rate limit allows the next request, in milliseconds; undefined: unchanged. */
  slotInMs: number | undefined
  /** For how long the endpoint is held for the probe, in milliseconds; undefined: unchanged. */
  heldMs: number | undefined
}

/**
 * Whether nothing at all may be taken: the subscription is disabled, or held.
 *
 * @returns when to look again, in milliseconds; null: when it is enabled; undefined: something may be taken
 */
export function stoppedFor({ deleted, disabled, held_ms: heldMs }: FeedState): number | null | undefined {
  if (deleted) return undefined
  if (disabled) return null
  return heldMs !== null && heldMs > 0 ? heldMs : undefined
}

/** How the deliveries of a subscription flow; those of one that is deleted are only to be ended. */
export const flowOf = ({ deleted, flow }: FeedState): Flow => (deleted ? {} : (flow ?? {}))

/** @param slotsHeld of the subscription's concurrency, by other workers */
export function allowanceOf(state: FeedState, capacity: Capacity, slotsHeld: number): Allowance {
  const { concurrency, batching, ordering, rateLimit } = flowOf(state)
  const isProbe = !state.deleted && state.held_ms !== null
  const batchSize = batching && !isProbe ? batching.maxEvents : 1
  const slots =
    concurrency === undefined ? undefined : Math.min(capacity.requests, Math.max(0, concurrency - slotsHeld))
  const pace = rateLimit && paceOf(rateLimit, state.slot_ms ?? 0)
  const requests = Math.min(
    isProbe ? PROBE : capacity.deliveries,
    pace?.requests ?? Infinity,
    slots === undefined ? Infinity : slots * REQUESTS_PER_SLOT,
    Math.ceil(capacity.deliveries / batchSize),
  )
  return { deliveries: requests * batchSize, batchSize, isProbe, ordering, batching, slots, pace }
}

/**
 * How many requests the rate limit allows to be taken now. They are a little further apart than the limit says, by
 * what some of them may be late.
 */
function paceOf(
  { requests, perSeconds = 1 }: NonNullable<Flow['rateLimit']>,
  slotMs: number,
): NonNullable<Allowance['pace']> {
  const intervalMs = (perSeconds * 1000 + RATE_LATE_MS) / requests
  const startMs = Math.max(0, slotMs)
  const ahead = RATE_AHEAD_MS - startMs
  return { startMs, intervalMs, requests: ahead < 0 ? 0 : Math.floor(ahead / intervalMs) + 1 }
}

/**
 * @param taken how many deliveries were taken
 * @param waitMs until when others wait to be sent in one request; undefined: they do not
 * @param leaseMs how long what was taken is held
 */
export function consequenceOf(
  { batchSize, isProbe, slots, pace }: Allowance,
  taken: number,
  waitMs: number | undefined,
  leaseMs: number,
): Consequence {
  const requests = Math.ceil(taken / batchSize)
  const nextSlotMs = pace && pace.startMs + requests * pace.intervalMs
  const moreInMs =
    pace && nextSlotMs !== undefined && requests >= pace.requests
      ? Math.max(0, nextSlotMs - RATE_AHEAD_MS)
      : undefined
  return {
    requests,
    slots: slots !== undefined && requests > 0 ? Math.min(slots, requests) : undefined,
    moreInMs,
    feedInMs: moreInMs ?? waitMs ?? LOOK_AGAIN_MS,
    slotInMs: requests > 0 ? nextSlotMs : undefined,
    heldMs: isProbe && requests > 0 ? leaseMs : undefined,
  }
}
