import type { Clock } from '../../../platform/time/clock.ts'
import type { Log } from '../../../platform/log/log.ts'
import {
  destinationOf,
  type AttemptResult,
  type Destinations,
  type OwedEvent,
} from '../../destinations/index.ts'
import type { ReadSentEdges, SentEdges } from '../../entities/index.ts'
import type { ClaimedDelivery } from '../dispatch/claim.ts'
import type { DeliveryQueue } from '../dispatch/delivery-queue.ts'
import { FAILURES_TO_HOLD, type Failure, type HealthKeeper } from './health.ts'
import { noFailures, type Lane, type Request } from '../dispatch/lane.ts'
import { QUEUED_RETRY_MS, type Outcome, type OutcomeRecorder } from './outcomes.ts'
import { retryDelay } from './retry-policy.ts'
import type { Recall } from '../recoveries/recall.ts'
import type { SubscriptionTarget, Targets } from './targets.ts'

/** A destination may put off the next attempt by so much at most. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000

/** For one whose subscription is about to be disabled; it counts once the subscription is enabled again. */
const GONE_RETRY_MS = 1_000

/** A destination puts a delivery off for so long at most. */
const MAX_POSTPONED_MS = 30 * 86_400_000

export interface SenderOptions {
  readSentEdges: ReadSentEdges
  targets: Targets
  destinations: Destinations
  recorder: OutcomeRecorder
  recall: Recall
  health: HealthKeeper
  queue: DeliveryQueue
  clock: Clock
  log: Log
  /** Over one whole exchange. */
  timeoutMs: number
  retryDelaysMs: readonly number[]
}

/** What came of a request. */
export interface Sent {
  /** Once it is recorded: whether those that come after it in an order may go on. */
  recorded: Promise<boolean>
}

/** Makes attempts, records what came of them, queues the retries and follows the health of the endpoints. */
export interface Sender {
  /** Looks up what a request needs: one that is to start at a certain time must not wait for it then. */
  prepare(lane: Lane, request: ClaimedDelivery): Promise<void>
  /**
   * Makes one attempt with the deliveries of a request.
   *
   * @returns as soon as the endpoint is free for the next request: before a success is recorded, and after a
   *   failure counts for the endpoint's health
   */
  send(lane: Lane, request: Request, isProbe: boolean): Promise<Sent>
  /** Tells of the failures that were not told yet. */
  report(lane: Lane): Promise<void>
  /** Tells that a probe was not sent. */
  endProbe(lane: Lane): Promise<void>
}

export function createSender(options: SenderOptions): Sender {
  const { readSentEdges, targets, destinations, recorder, recall, health, queue, clock, log, timeoutMs } =
    options

  /** What their edges point to is told as it is now, not as it was when they were appended. */
  async function eventsOf(request: Request): Promise<OwedEvent[]> {
    const texts = request.map(({ edges }) => edges)
    const edges = await readSentEdges(request[0]?.app_id ?? '', texts)
    return request.map((delivery, index) => ({ ...delivery, edges: edges[index] as SentEdges }))
  }

  async function attempt(request: Request, target: SubscriptionTarget): Promise<AttemptResult> {
    const destination = destinationOf(destinations, target.type)
    const events = await eventsOf(request)
    const now = clock.now()
    const how = { number: (request[0]?.attempts ?? 0) + 1, now, timeoutMs }
    if ((target.flow?.batching || request.length > 1) && destination.sendBatch)
      return destination.sendBatch(events, target.at(now), how)
    return destination.send(events[0] as OwedEvent, target.at(now), how)
  }

  /**
   * Milliseconds; null: there is none.
   *
   * What an endpoint that is gone was owed is kept, in case it comes back. Of several in one request any may be
   * the one that failed, so each gets a try of its own.
   */
  function nextAttemptInMs(
    attempts: number,
    target: SubscriptionTarget,
    result: AttemptResult,
    isBatch: boolean,
  ): number | null {
    if (result.succeeded) return null
    if (result.final && !result.gone) return isBatch ? 0 : null
    const delay = retryDelay(attempts, target.retryDelaysMs ?? options.retryDelaysMs)
    if (delay === undefined && !result.gone) return isBatch ? 0 : null
    if (delay === undefined) return GONE_RETRY_MS
    return Math.max(delay, Math.min(result.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS))
  }

  async function settle(
    delivery: ClaimedDelivery,
    target: SubscriptionTarget,
    result: AttemptResult,
    { startedAt, durationMs, isBatch }: { startedAt: number; durationMs: number; isBatch: boolean },
  ): Promise<Outcome['status']> {
    const attempts = delivery.attempts + 1
    const retryInMs = nextAttemptInMs(attempts, target, result, isBatch)
    const status = result.succeeded ? 'succeeded' : retryInMs === null ? 'dead' : 'pending'
    if (status === 'dead') await destinations[target.type]?.gaveUp?.(delivery, result)
    await recorder.record({ delivery, status, retryInMs, attempt: { ...result, startedAt, durationMs } })
    const { app_id: appId, id, subscription_id: subscriptionId, event_id: eventId } = delivery
    log.info(
      {
        appId,
        deliveryId: id,
        eventId,
        subscriptionId,
        attempt: attempts,
        status,
        responseStatus: result.responseStatus,
        error: result.error,
        durationMs: Math.round(durationMs),
        retryInMs,
      },
      'delivery',
    )
    if (retryInMs !== null && retryInMs <= QUEUED_RETRY_MS) {
      queue.enqueueRetry({ appId, id, subscriptionId }, retryInMs)
    }
    return status
  }

  /** Puts deliveries off as their destination asks, without an attempt. */
  async function postpone(request: Request, laterMs: number): Promise<void> {
    const retryInMs = Math.min(Math.max(0, Math.ceil(laterMs)), MAX_POSTPONED_MS)
    await Promise.all(
      request.map((delivery) => recorder.record({ delivery, status: 'pending', retryInMs, attempt: null })),
    )
    if (retryInMs > QUEUED_RETRY_MS) return
    for (const { app_id: appId, id, subscription_id: subscriptionId } of request)
      queue.enqueueRetry({ appId, id, subscriptionId }, retryInMs)
  }

  /** One that is no fault of the endpoint says nothing of its health. */
  async function follow(
    lane: Lane,
    result: AttemptResult,
    { failure, isProbe, endsHold }: { failure: Failure; isProbe: boolean; endsHold: boolean },
  ): Promise<void> {
    if (result.succeeded) {
      lane.unreported = noFailures()
      if (!lane.isAiling && !endsHold) return
      lane.isAiling = false
      if (endsHold) lane.heldUntil = 0
      await keepingHealth(
        health.succeeded(lane.appId, lane.subscriptionId, { at: clock.now(), endsHold }),
        undefined,
      )
    } else if (!result.ownFault && (result.gone || !result.final)) {
      const { begun, retryAfterMs = 0 } = lane.unreported
      lane.unreported = {
        begun: begun.concat(failure.at),
        last: failure,
        throttled: lane.unreported.throttled || (result.throttled ?? false),
        retryAfterMs: Math.max(retryAfterMs, result.retryAfterMs ?? 0),
        gone: lane.unreported.gone || (result.gone ?? false),
        isProbe: lane.unreported.isProbe || isProbe,
      }
      const { throttled, gone } = lane.unreported
      if (isProbe || throttled || gone || begun.length + 1 >= FAILURES_TO_HOLD) await report(lane)
    } else if (isProbe) await endProbe(lane)
  }

  async function endProbe(lane: Lane): Promise<void> {
    await keepingHealth(health.endProbe(lane.appId, lane.subscriptionId), undefined)
  }

  /** What is not known of an endpoint's health costs some requests in vain, never a delivery. */
  async function keepingHealth<T>(work: Promise<T>, otherwise: T): Promise<T> {
    return work.catch((error: Error) => {
      log.warn({ error: error.message }, 'the health of a subscription was not recorded')
      return otherwise
    })
  }

  async function report(lane: Lane): Promise<void> {
    const failures = lane.unreported
    if (failures.last === undefined) return
    lane.unreported = noFailures()
    lane.isAiling = true
    const heldMs = await keepingHealth(health.failed(lane.appId, lane.subscriptionId, failures), 0)
    if (heldMs <= 0) return
    lane.heldAt = performance.now()
    lane.heldUntil = lane.heldAt + heldMs
  }

  /** Of one that is not to be tried after all: what it ends as. */
  const endOf = async (delivery: ClaimedDelivery): Promise<'cancelled' | 'dead' | undefined> =>
    delivery.subscription_deleted || delivery.event_gone ? 'cancelled' : recall(delivery)

  /** Ends those that are not to be tried after all. */
  async function endSome(deliveries: Request): Promise<{ left: ClaimedDelivery[]; isOneDead: boolean }> {
    const ends = await Promise.all(deliveries.map(endOf))
    await Promise.all(
      deliveries.flatMap((delivery, index) => {
        const status = ends[index]
        return status ? [recorder.record({ delivery, status, retryInMs: null, attempt: null })] : []
      }),
    )
    return {
      left: deliveries.filter((_, index) => ends[index] === undefined),
      isOneDead: ends.includes('dead'),
    }
  }

  const sender: Sender = {
    async prepare(lane, { subscription_version: version }) {
      await targets.get(lane.appId, lane.subscriptionId, version)
    },

    report,
    endProbe,

    async send(lane, taken, isProbe) {
      const { left: request, isOneDead } = taken.every(isToBeTried)
        ? { left: taken, isOneDead: false }
        : await endSome(taken)
      const [first] = request
      // After one that is dead again it is for a feed to say whether the order goes on.
      if (!first) return { recorded: Promise.resolve(!isOneDead) }
      const target = await targets.get(lane.appId, lane.subscriptionId, first.subscription_version)
      const isBatch = request.length > 1
      if (isBatch && !destinations[target.type]?.sendBatch) {
        // The destination is another one since they were put together.
        for (const delivery of request) await (await sender.send(lane, [delivery], isProbe)).recorded
        return { recorded: Promise.resolve(true) }
      }
      const startedAt = clock.now()
      const started = performance.now()
      const result = await attempt(request, target)
      const durationMs = performance.now() - started
      if (result.laterMs !== undefined) {
        await postpone(request, result.laterMs)
        if (isProbe) await sender.endProbe(lane)
        return { recorded: Promise.resolve(false) }
      }
      const recorded = (async (): Promise<boolean> => {
        const endsHold = isProbe || (first.requested_manually && first.ailing)
        const { responseStatus, error } = result
        const failure = { at: startedAt, delivery: request.at(-1) as ClaimedDelivery, responseStatus, error }
        const how = { failure, isProbe, endsHold }
        // Before its retries are queued, so that they find the subscription disabled.
        if (result.gone) await follow(lane, result, how)
        const [status] = await Promise.all(
          request.map((delivery) => settle(delivery, target, result, { startedAt, durationMs, isBatch })),
        )
        if (!result.gone) await follow(lane, result, how)
        return status === 'succeeded' || (status === 'dead' && target.flow?.ordering?.onDead !== 'hold')
      })()
      if (!result.succeeded) await recorded
      return { recorded }
    },
  }
  return sender
}

/** Whether nothing can have changed about a delivery since it was claimed. */
const isToBeTried = ({
  subscription_deleted: isDeleted,
  event_gone: isGone,
  recovery_id: recoveryId,
}: ClaimedDelivery): boolean => !isDeleted && !isGone && recoveryId === null
