import pLimit, { type LimitFunction } from 'p-limit'
import type { Running } from '../../feature.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Pool } from '../../platform/postgres/pool.ts'
import type { SecretBox } from '../../platform/secrets.ts'
import { secretContext } from '../subscriptions/index.ts'
import { claim, release, type ClaimedDelivery } from './claim.ts'
import type { DeliveryJob, DeliveryQueue } from './delivery-queue.ts'
import type { AttemptResult, Destination, Destinations } from './destinations/destination.ts'
import { createOutcomeRecorder, QUEUED_RETRY_MS, type Outcome } from './outcomes.ts'
import { retryDelay } from './retry-policy.ts'

/** Requests under way to one origin; each has a connection of its own. */
const REQUESTS_PER_ORIGIN = 64

/** A destination may put off the next attempt by so much at most. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000

export interface DispatcherOptions {
  pool: Pool
  queue: DeliveryQueue
  destinations: Destinations
  secrets: SecretBox
  clock: Clock
  log: Log
  /** Jobs handled at once. */
  concurrency: number
  leaseMs: number
  graceMs: number
  timeoutMs: number
  retryDelaysMs: readonly number[]
}

/**
 * The worker's main part: takes jobs, claims their deliveries with a lease, sends them, records what came of
 * it, and queues the retries.
 *
 * Whatever happens to this process in between, the row is pending and its lease ends: it is sent again, with
 * the same `webhook-id`.
 */
export function startDispatcher(options: DispatcherOptions): Running {
  const { pool, queue, secrets, clock, log } = options
  const recorder = createOutcomeRecorder(pool, options.graceMs)
  const limits = new Map<string, LimitFunction>()
  let stopping = false

  async function dispatch({ appId, subscriptionId, ids }: DeliveryJob): Promise<void> {
    // Before this moment the lease has time enough left for a whole exchange.
    const startBefore = performance.now() + options.leaseMs - options.timeoutMs
    const claimed = await claim(pool, appId, ids, options.leaseMs)
    const [first] = claimed
    if (!first) return
    const secret = secrets.open(first.sealed_secret, secretContext(appId, subscriptionId))
    const notTried: ClaimedDelivery[] = []
    await atMost(limitKey(first), claimed, async (delivery) => {
      if (stopping || performance.now() > startBefore) notTried.push(delivery)
      else if (delivery.subscription_deleted) await recorder.record(cancelled(delivery))
      else await deliver(delivery, secret)
    })
    if (notTried.length === 0) return
    await release(
      pool,
      appId,
      notTried.map(({ id }) => id),
    )
    queue.enqueue(notTried.map(({ id }) => ({ appId, subscriptionId, id })))
  }

  /** Runs for each delivery, so many at once per origin over all of the process's jobs. */
  async function atMost(
    origin: string,
    deliveries: readonly ClaimedDelivery[],
    run: (delivery: ClaimedDelivery) => Promise<void>,
  ): Promise<void> {
    let limit = limits.get(origin)
    if (!limit) limits.set(origin, (limit = pLimit(REQUESTS_PER_ORIGIN)))
    const own = limit
    try {
      await Promise.all(deliveries.map((delivery) => own(() => run(delivery))))
    } finally {
      if (own.activeCount === 0 && own.pendingCount === 0) limits.delete(origin)
    }
  }

  function destinationOf({ destination }: ClaimedDelivery): Destination {
    const known = options.destinations[destination.type]
    if (!known) throw new Error(`This version has no destination "${destination.type}".`)
    return known
  }

  const limitKey = (delivery: ClaimedDelivery): string =>
    destinationOf(delivery).limitKey(delivery.destination)

  /** Milliseconds; null: there is none. */
  function nextAttemptInMs(
    attempt: number,
    { succeeded, final, retryAfterMs }: AttemptResult,
  ): number | null {
    if (succeeded || final) return null
    const delay = retryDelay(attempt, options.retryDelaysMs)
    return delay === undefined ? null : Math.max(delay, Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS))
  }

  async function deliver(delivery: ClaimedDelivery, secret: string): Promise<void> {
    const startedAt = clock.now()
    const started = performance.now()
    const attempt = delivery.attempts + 1
    const destination = destinationOf(delivery)
    const result = await destination.send(delivery, secret, {
      number: attempt,
      now: startedAt,
      timeoutMs: options.timeoutMs,
    })
    const durationMs = performance.now() - started
    const retryInMs = nextAttemptInMs(attempt, result)
    if (!result.succeeded && retryInMs === null) await destination.gaveUp?.(delivery, result)
    const outcome: Outcome = {
      appId: delivery.app_id,
      deliveryId: delivery.id,
      attemptsBefore: delivery.attempts,
      status: result.succeeded ? 'succeeded' : retryInMs === null ? 'dead' : 'pending',
      retryInMs,
      attempt: { ...result, trigger: 'automatic', startedAt, durationMs },
    }
    await recorder.record(outcome)
    log.info(
      {
        appId: delivery.app_id,
        deliveryId: delivery.id,
        eventId: delivery.event_id,
        subscriptionId: delivery.subscription_id,
        attempt,
        status: outcome.status,
        responseStatus: result.responseStatus,
        error: result.error,
        durationMs: Math.round(durationMs),
        retryInMs,
      },
      'delivery',
    )
    if (retryInMs !== null && retryInMs <= QUEUED_RETRY_MS) {
      const { app_id: appId, id, subscription_id: subscriptionId } = delivery
      queue.enqueueRetry({ appId, id, subscriptionId }, attempt + 1, retryInMs)
    }
  }

  const consumer = queue.queue.consume(dispatch, { concurrency: options.concurrency })
  return {
    close(timeoutMs) {
      stopping = true
      return consumer.close(timeoutMs)
    },
  }
}

const cancelled = (delivery: ClaimedDelivery): Outcome => ({
  appId: delivery.app_id,
  deliveryId: delivery.id,
  attemptsBefore: delivery.attempts,
  status: 'cancelled',
  retryInMs: null,
  attempt: null,
})
