import { setTimeout as wait } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { Running } from '../../../feature.ts'
import { newId } from '../../../platform/identifiers/ids.ts'
import type { Log } from '../../../platform/log/log.ts'
import type { Database, Pool } from '../../../platform/postgres/pool.ts'
import { within } from '../../../platform/time/within.ts'
import { createClaimer, release, type ClaimedDelivery } from './claim.ts'
import type { DeliveryJob, DeliveryQueue, JobPart } from './delivery-queue.ts'
import { feed, type Fed } from '../flow/feed.ts'
import {
  CLAIMED_PER_LANE,
  createPace,
  isBehind,
  JOBS_PER_LANE,
  newLane,
  REQUESTS_PER_LANE,
  RUNS_PER_LANE,
  takeWaiting,
  toSequences,
  type Lane,
  type Sequence,
} from './lane.ts'
import { park, putBack } from '../flow/park.ts'
import { freeSlots } from '../flow/slots.ts'
import type { Sender, Sent } from '../sending/sender.ts'

/** Deliveries that a feed takes at once. */
const FEED_SIZE = 100
/** A feed that the rate limit lets go on this soon waits for it. */
const MAX_FEED_WAIT_MS = 2_000

export interface DispatcherOptions {
  pool: Pool
  db: Database
  queue: DeliveryQueue
  sender: Sender
  log: Log
  /** Jobs kept open at once. */
  concurrency: number
  /** Whether to take what this process owes past the queue: the API runs in it too. */
  hasLocalWorker: boolean
  leaseMs: number
  graceMs: number
  timeoutMs: number
}

export interface Dispatcher extends Running {
  /** Looks at what is parked of a subscription. Nobody waits for it, and it has no errors. */
  wake(subscription: { appId: string; subscriptionId: string }): void
}

/**
 * The worker's main part: takes jobs, claims their deliveries with a lease and has them sent.
 *
 * Each subscription has a lane of its own, so that one that is slow or fails takes no more than its share. What
 * comes in jobs waits in the lane until it has room, then it is claimed. What may not be sent as fast as it goes
 * (because the endpoint fails, is slow, or has a rate limit or an order) is parked, and fed into the lane as its
 * state allows.
 *
 * Whatever happens to this process in between, the row is pending and its lease ends: it is sent again, with
 * the same `webhook-id`.
 */
export function startDispatcher(options: DispatcherOptions): Dispatcher {
  const { pool, db, queue, sender, log, leaseMs, graceMs } = options
  const lanes = new Map<string, Lane>()
  const underWay = new Set<Promise<void>>()
  const stop = new AbortController()
  const claimer = createClaimer(pool, leaseMs)
  /** Taken past the queue and not done yet. */
  let ownParts = 0

  function laneOf(appId: string, subscriptionId: string): Lane {
    let lane = lanes.get(subscriptionId)
    if (!lane) lanes.set(subscriptionId, (lane = newLane(appId, subscriptionId)))
    return lane
  }

  function forget({ subscriptionId, jobs, waiting, claimed, runs, isFeeding }: Lane): void {
    if (jobs + waiting.length + claimed + runs === 0 && !isFeeding) lanes.delete(subscriptionId)
  }

  async function dispatch({ parts }: DeliveryJob): Promise<void> {
    await Promise.all(parts.map(take))
  }

  async function take({ appId, subscriptionId, ids }: JobPart): Promise<void> {
    if (stop.signal.aborted) return leaveToOthers(appId, subscriptionId, ids)
    const lane = laneOf(appId, subscriptionId)
    if (isBehind(lane, graceMs / 4)) {
      await park(pool, lane, ids)
      wake(lane)
      return
    }
    const done = new Promise<void>((resolve) =>
      lane.waiting.push({ ids, since: performance.now(), done: resolve }),
    )
    claimMore(lane)
    // From here on it is as if the queue had lost the job: if this process dies, the sweeper comes.
    if (lane.jobs >= JOBS_PER_LANE) return
    lane.jobs += 1
    await done
    lane.jobs -= 1
    forget(lane)
  }

  /** Takes what an append of this process owes, while neither this worker nor the lane has more to do than it should. */
  function takeOwn(part: JobPart): boolean {
    const laneJobs = lanes.get(part.subscriptionId)?.jobs ?? 0
    if (stop.signal.aborted || ownParts >= options.concurrency || laneJobs >= JOBS_PER_LANE) return false
    ownParts += 1
    background(take(part).finally(() => (ownParts -= 1)))
    return true
  }

  /** Claims what waits in a lane while there is room for it. */
  function claimMore(lane: Lane): void {
    while (lane.waiting.length > 0 && lane.claimed < CLAIMED_PER_LANE && !stop.signal.aborted) {
      const taken = takeWaiting(lane)
      background(
        runClaimed(
          lane,
          taken.flatMap(({ ids }) => ids),
        ).finally(() => {
          for (const { done } of taken) done()
          forget(lane)
        }),
      )
    }
  }

  async function runClaimed(lane: Lane, ids: readonly string[]): Promise<void> {
    let left = ids.length
    const leave = (count: number): void => {
      left -= count
      lane.claimed -= count
      claimMore(lane)
    }
    lane.claimed += left
    try {
      const run = startRun()
      const claimed = await claimer.claim({ ...lane, ids })
      if (claimed.length < ids.length) await parkRest(lane, ids, claimed)
      leave(ids.length - claimed.length)
      if (claimed.some((delivery) => !delivery.requested_manually)) endOlderHold(lane, run)
      await runAll(lane, toSequences(claimed, 1), { ...run, afterEach: ({ length }) => leave(length) })
    } finally {
      leave(left)
    }
    if (lane.feedAgain) wake(lane)
  }

  /** What a claim left and is due: it has to wait for a feed. */
  async function parkRest(
    lane: Lane,
    ids: readonly string[],
    claimed: readonly ClaimedDelivery[],
  ): Promise<void> {
    const taken = new Set(claimed.map(({ id }) => id))
    const rest = ids.filter((id) => !taken.has(id))
    const parked = await park(pool, lane, rest)
    if (parked > 0) lane.feedAgain = true
  }

  function wake({ appId, subscriptionId }: { appId: string; subscriptionId: string }): void {
    if (stop.signal.aborted) return
    const lane = laneOf(appId, subscriptionId)
    lane.feedAgain = true
    if (lane.isFeeding) return
    lane.isFeeding = true
    background(
      feedLane(lane).finally(() => {
        lane.isFeeding = false
        if (lane.feedAgain && lane.runs < RUNS_PER_LANE) wake(lane)
        forget(lane)
      }),
    )
  }

  function background(work: Promise<void>): void {
    const watched = work
      .catch((error: Error) => log.warn({ error: error.message }, 'not sent now; it is tried again'))
      .finally(() => underWay.delete(watched))
    underWay.add(watched)
  }

  /** Takes what is parked and starts sending it, until no more may be taken. */
  async function feedLane(lane: Lane): Promise<void> {
    while (lane.feedAgain && lane.runs < RUNS_PER_LANE && !stop.signal.aborted) {
      lane.feedAgain = false
      const run = startRun()
      const fed = await feed(db, {
        appId: lane.appId,
        subscriptionId: lane.subscriptionId,
        holder: newId(),
        deliveries: FEED_SIZE,
        requests: REQUESTS_PER_LANE,
        afterKey: lane.afterKey,
        leaseMs,
        graceMs,
      })
      lane.afterKey = fed.afterKey
      if (fed.deliveries.length > 0) {
        lane.feedAgain = true
        lane.runs += 1
        background(
          runFed(lane, fed, run).finally(() => {
            lane.runs -= 1
            wake(lane)
            forget(lane)
          }),
        )
      } else if (fed.moreInMs !== undefined && fed.moreInMs <= MAX_FEED_WAIT_MS) {
        await wait(fed.moreInMs, undefined, { signal: stop.signal }).catch(() => {})
        lane.feedAgain = true
      }
    }
  }

  async function runFed(lane: Lane, fed: Fed, run: Run): Promise<void> {
    const { slots } = fed
    const limit = slots ? pLimit(slots.count) : lane.limit
    const sequences = toSequences(fed.deliveries, fed.batchSize)
    let left = sequences.length
    endOlderHold(lane, run)
    const [first] = fed.deliveries
    try {
      if (fed.pace && first) await sender.prepare(lane, first)
      await runAll(lane, sequences, {
        ...run,
        isFed: true,
        isProbe: fed.isProbe,
        limit,
        pace: fed.pace && createPace(fed.pace),
        async afterEach() {
          left -= 1
          // The last requests must not keep slots that others could use.
          if (!slots || left >= slots.count || left === 0) return
          await freeSlots(pool, lane, slots.holder, 1)
          wake(lane)
        },
      })
    } finally {
      if (slots) await freeSlots(pool, lane, slots.holder)
    }
  }

  /** What was claimed after a hold began is not held any more: another process found the endpoint to work. */
  function endOlderHold(lane: Lane, { startedAt }: Run): void {
    if (lane.heldAt < startedAt) lane.heldUntil = 0
  }

  /** Before this moment the lease has time enough left for a whole exchange. */
  const startRun = (startedAt = performance.now()): Run => ({
    startedAt,
    startBefore: startedAt + leaseMs - options.timeoutMs,
  })

  /** Sends what may be sent, and gives the rest back. */
  async function runAll(lane: Lane, sequences: readonly Sequence[], run: Run): Promise<void> {
    const notTried: ClaimedDelivery[] = []
    lane.isAiling ||= sequences.some(([request]) => request?.[0]?.ailing)
    const mayStart = ([first]: readonly ClaimedDelivery[]): boolean =>
      !stop.signal.aborted &&
      performance.now() < run.startBefore &&
      (performance.now() >= lane.heldUntil || run.isProbe === true || first?.requested_manually === true)
    /** Ends when the last request has its answer; whether that is recorded is told by what it returns. */
    const runOne = async (sequence: Sequence): Promise<Sent | undefined> => {
      let sent: Sent | undefined
      for (const [index, request] of sequence.entries()) {
        if (sent && !(await sent.recorded)) {
          notTried.push(...sequence.slice(index).flat())
          return undefined
        }
        const hasTime = !run.pace || (mayStart(request) && (await run.pace()))
        if (!hasTime || !mayStart(request)) {
          notTried.push(...sequence.slice(index).flat())
          return undefined
        }
        sent = await sender.send(lane, request, run.isProbe ?? false)
      }
      return sent
    }
    const limit = run.limit ?? lane.limit
    await Promise.all(
      sequences.map((sequence) =>
        limit(() => runOne(sequence))
          .then((sent) => sent?.recorded)
          .then(() => run.afterEach?.(sequence))
          .catch((error: Error) =>
            log.warn({ error: error.message }, 'not sent; it is tried again when its lease is over'),
          ),
      ),
    )
    await sender.report(lane)
    if (notTried.length === 0) return
    if (run.isProbe) await sender.endProbe(lane)
    await giveBack(lane, notTried, run.isFed ?? false)
  }

  async function giveBack(lane: Lane, deliveries: readonly ClaimedDelivery[], isFed: boolean): Promise<void> {
    const ids = deliveries.map(({ id }) => id)
    if (isFed || performance.now() < lane.heldUntil) {
      await putBack(pool, lane, ids)
      return
    }
    const { appId, subscriptionId } = lane
    await release(pool, appId, ids)
    leaveToOthers(appId, subscriptionId, ids)
  }

  function leaveToOthers(appId: string, subscriptionId: string, ids: readonly string[]): void {
    queue.enqueue(ids.map((id) => ({ appId, subscriptionId, id })))
  }

  function leaveWaiting(): void {
    for (const { appId, subscriptionId, waiting } of lanes.values()) {
      for (const { ids, done } of waiting.splice(0)) {
        leaveToOthers(appId, subscriptionId, ids)
        done()
      }
    }
  }

  const consumer = queue.queue.consume(dispatch, { concurrency: options.concurrency })
  const stopOffers = options.hasLocalWorker ? queue.offerTo(takeOwn) : () => {}
  return {
    wake,
    async close(timeoutMs) {
      stop.abort()
      stopOffers()
      leaveWaiting()
      await Promise.all([
        consumer.close(timeoutMs),
        within(timeoutMs, Promise.all(underWay)).catch(() =>
          log.warn('deliveries under way were left to another process'),
        ),
      ])
    },
  }
}

/** How some claimed deliveries are sent. */
interface Run {
  /** By `performance.now()`. */
  startedAt: number
  /** No request starts after this, by `performance.now()`. */
  startBefore: number
  /** Whether they were parked before. */
  isFed?: boolean
  isProbe?: boolean
  limit?: ReturnType<typeof pLimit>
  pace?: ReturnType<typeof createPace> | undefined
  /** After each sequence of requests. */
  afterEach?: (sequence: Sequence) => void | Promise<void>
}
