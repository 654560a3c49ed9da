import type { Log } from '../../platform/log.ts'
import type { NewJob, Queue, Queues } from '../../platform/queue/port.ts'

/** Deliveries of one subscription that one job carries: the queue's cost is per job. */
const JOB_SIZE = 100
/** Retries are gathered for so long: an endpoint that fails does so many times at once. */
const GATHER_RETRIES_MS = 50
/** Retries of one subscription that are due within a tenth of their delay, or a second, go in one job. */
const RETRY_TOGETHER = 0.1
const MAX_RETRY_TOGETHER_MS = 1_000
/** Deliveries that wait here while the queue is slow; what comes on top is left to the sweeper. */
const MAX_WAITING = 100_000

/** One job: some deliveries of one subscription. */
export interface DeliveryJob {
  appId: string
  subscriptionId: string
  ids: string[]
}

export interface QueuedDelivery {
  appId: string
  id: string
  subscriptionId: string
}

/**
 * The way of deliveries to the workers. It may lose them at any time: their rows are in Postgres and the
 * sweeper queues them again. So nobody waits for it, and it has no errors.
 */
export interface DeliveryQueue {
  enqueue(deliveries: readonly QueuedDelivery[]): void
  /** The retry comes a little later than asked for, together with others of its subscription. */
  enqueueRetry(delivery: QueuedDelivery, delayMs: number): void
  /** What the workers take jobs from. */
  queue: Queue<DeliveryJob>
}

export function createDeliveryQueue(queues: Queues, log: Log): DeliveryQueue {
  const queue = queues.queue<DeliveryJob>('deliveries')
  let waiting: NewJob<DeliveryJob>[] = []
  let waitingIds = 0
  let adding = false
  let retries: Retry[] = []

  function add(jobs: NewJob<DeliveryJob>[]): void {
    const count = jobs.reduce((sum, { data }) => sum + data.ids.length, 0)
    if (waitingIds + count > MAX_WAITING) return
    waiting.push(...jobs)
    waitingIds += count
    if (!adding) void flush()
  }

  async function flush(): Promise<void> {
    adding = true
    while (waiting.length > 0) {
      const jobs = waiting
      waiting = []
      waitingIds = 0
      try {
        await queue.add(jobs)
      } catch (error) {
        log.warn({ jobs: jobs.length, error: (error as Error).message }, 'not queued; the sweeper will')
      }
    }
    adding = false
  }

  function flushRetries(): void {
    const gathered = retries
    retries = []
    const now = performance.now()
    for (const [dueAt, together] of Map.groupBy(gathered, (retry) => retry.dueAt))
      add(toJobs(together, Math.max(0, dueAt - now)))
  }

  return {
    queue,
    enqueue: (deliveries) => add(toJobs(deliveries)),
    enqueueRetry(delivery, delayMs) {
      if (retries.length === 0) setTimeout(flushRetries, GATHER_RETRIES_MS).unref()
      retries.push({ ...delivery, dueAt: dueTogether(performance.now() + delayMs, delayMs) })
    },
  }
}

/** Delays are never quite the same, so the steps of time that retries share are powers of two. */
function dueTogether(dueAt: number, delayMs: number): number {
  const longest = Math.min(delayMs * RETRY_TOGETHER, MAX_RETRY_TOGETHER_MS)
  const step = 2 ** Math.floor(Math.log2(Math.max(1, longest)))
  return Math.ceil(dueAt / step) * step
}

interface Retry extends QueuedDelivery {
  /** By `performance.now()`. */
  dueAt: number
}

function toJobs(deliveries: readonly QueuedDelivery[], delayMs = 0): NewJob<DeliveryJob>[] {
  const bySubscription = Map.groupBy(deliveries, ({ appId, subscriptionId }) => `${appId} ${subscriptionId}`)
  return [...bySubscription.values()].flatMap((own) => {
    const { appId, subscriptionId } = own[0] as QueuedDelivery
    const chunks = Math.ceil(own.length / JOB_SIZE)
    return Array.from({ length: chunks }, (_, chunk) => ({
      data: {
        appId,
        subscriptionId,
        ids: own.slice(chunk * JOB_SIZE, (chunk + 1) * JOB_SIZE).map(({ id }) => id),
      },
      delayMs,
    }))
  })
}
