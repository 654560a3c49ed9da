import { setTimeout as wait } from 'node:timers/promises'
import pLimit, { type LimitFunction } from 'p-limit'
import type { ClaimedDelivery } from './claim.ts'
import type { Failures } from '../sending/health.ts'

/** Requests that a process has under way for one subscription. */
export const REQUESTS_PER_LANE = 64
/** Jobs of one subscription that a process keeps open; those of more wait in the lane, and the jobs are done. */
export const JOBS_PER_LANE = 16
/** While fewer are claimed for a lane, more of what waits in it is: the requests never run out of work. */
export const CLAIMED_PER_LANE = 3 * REQUESTS_PER_LANE
/** Deliveries that a lane claims at once. */
const CLAIM_SIZE = 100
/** Jobs whose deliveries wait in a lane at most. */
const MAX_WAITING = 1_000
/** What was fed to a lane is sent in so many runs at once. */
export const RUNS_PER_LANE = 8
/** Larger batches are split: characters of the payloads in one request. */
const MAX_BATCH_CHARACTERS = 1_048_576

/** Deliveries of one job. */
export interface Waiting {
  ids: readonly string[]
  /** By `performance.now()`. */
  since: number
  /** To be called when each was sent, or left to somebody else. */
  done: () => void
}

/** What a process does for one subscription. */
export interface Lane {
  appId: string
  subscriptionId: string
  /** What is to be claimed, the oldest first. */
  waiting: Waiting[]
  /** Jobs that are kept open. */
  jobs: number
  /** Deliveries that were claimed for jobs and are not done yet. */
  claimed: number
  /** Runs of what was fed that are under way. */
  runs: number
  limit: LimitFunction
  /** Failures that the subscription's state does not have yet. */
  unreported: Failures
  /** Whether the next success is news. */
  isAiling: boolean
  /** Since when and until when nothing is to be sent; by `performance.now()`. */
  heldAt: number
  heldUntil: number
  /** Whether a feed is under way, and whether there is to be another one after it. */
  isFeeding: boolean
  feedAgain: boolean
  /** In an order, the key after which the next feed looks. */
  afterKey: string | null
}

export const newLane = (appId: string, subscriptionId: string): Lane => ({
  appId,
  subscriptionId,
  waiting: [],
  jobs: 0,
  claimed: 0,
  runs: 0,
  limit: pLimit(REQUESTS_PER_LANE),
  unreported: noFailures(),
  isAiling: false,
  heldAt: 0,
  heldUntil: 0,
  isFeeding: false,
  feedAgain: false,
  afterKey: null,
})

/**
 * Whether what comes is to be parked: it would wait longer than it should, or be too much.
 *
 * @param maxWaitMs how long the first may have waited: well below the time after which the sweeper comes for it
 */
export function isBehind({ waiting }: Lane, maxWaitMs: number): boolean {
  const [first] = waiting
  if (first === undefined) return false
  return performance.now() - first.since > maxWaitMs || waiting.length >= MAX_WAITING
}

/** Takes out as much as a lane claims at once. */
export function takeWaiting({ waiting }: Lane): Waiting[] {
  let size = 0
  const end = waiting.findIndex(({ ids }, index) => (size += ids.length) > CLAIM_SIZE && index > 0)
  return waiting.splice(0, end === -1 ? waiting.length : end)
}

export const noFailures = (): Failures => ({
  begun: [],
  last: undefined,
  throttled: false,
  retryAfterMs: undefined,
  gone: false,
  isProbe: false,
})

/** Deliveries that go in one request. */
export type Request = readonly ClaimedDelivery[]
/** Requests of which each may only be made once the one before it has ended. */
export type Sequence = readonly Request[]

/**
 * Arranges deliveries into requests.
 *
 * @param batchSize deliveries of one request; those that failed before go alone, so that none keeps others back
 */
export function toSequences(deliveries: readonly ClaimedDelivery[], batchSize: number): Sequence[] {
  if (batchSize > 1) return toBatches(deliveries, batchSize).map((batch) => [batch])
  const unordered = deliveries.filter((delivery) => delivery.ordering_key === null)
  const byKey = Map.groupBy(
    deliveries.filter((delivery) => delivery.ordering_key !== null),
    (delivery) => delivery.ordering_key,
  )
  return [
    ...unordered.map((delivery) => [[delivery]]),
    ...[...byKey.values()].map((own) => own.map((delivery) => [delivery])),
  ]
}

function toBatches(deliveries: readonly ClaimedDelivery[], batchSize: number): Request[] {
  const batches: ClaimedDelivery[][] = []
  let open: ClaimedDelivery[] = []
  let characters = 0
  for (const delivery of deliveries) {
    if (delivery.attempts > 0) {
      batches.push([delivery])
      continue
    }
    const isFull = open.length === batchSize || characters + delivery.payload.length > MAX_BATCH_CHARACTERS
    if (open.length === 0 || isFull) {
      batches.push((open = []))
      characters = 0
    }
    open.push(delivery)
    characters += delivery.payload.length
  }
  return batches
}

/** So late a request of a rate-limited subscription may start; where they are far apart, later. */
export const RATE_LATE_MS = 25

/** The times that a feed has got from the rate limit. */
export interface PaceOptions {
  /** The first; by `performance.now()`. */
  startAt: number
  intervalMs: number
  /** How many there are. */
  requests: number
}

/** Waits for the next time at which a request may start. @returns whether there was one left */
export type Pace = () => Promise<boolean>

/** Times that went by are lost: catching up on them would be a burst. */
export function createPace({ startAt, intervalMs, requests }: PaceOptions): Pace {
  const lateMs = Math.max(RATE_LATE_MS, intervalMs / 2)
  let next = 0
  return async () => {
    for (;;) {
      next = Math.max(next, Math.ceil((performance.now() - lateMs - startAt) / intervalMs))
      if (next >= requests) return false
      const at = startAt + next++ * intervalMs
      const delay = at - performance.now()
      if (delay > 1) await wait(delay)
      if (performance.now() <= at + lateMs) return true
    }
  }
}
