import type { Log } from '../../../platform/log/log.ts'
import type { NewJob, Queue, Queues } from '../../../platform/queue/port.ts'
import { declared } from '../declared.ts'

/** Deliveries that one job carries: the queue's cost is per job. */
const JOB_SIZE = 100
/** Retries are gathered for so long: an endpoint that fails does so many times at once. */
const GATHER_RETRIES_MS = 50
/** Retries that are due within a tenth of their delay, or a second, go in one job. */
const RETRY_TOGETHER = 0.1
const MAX_RETRY_TOGETHER_MS = 1_000
/** Deliveries that wait here while the queue is slow; what comes on top is left to the sweeper. */
const MAX_WAITING = 100_000

/** Some deliveries of one subscription. */
export interface JobPart {
  appId: string
  subscriptionId: string
  ids: string[]
}

/** One job: at most one part of each subscription. */
export interface DeliveryJob {
  parts: JobPart[]
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
  /** What an append of this process owes: for the worker of the same process while it has room, else for any. */
  owe(deliveries: readonly QueuedDelivery[]): void
  /**
   * Has what this process owes offered to a worker in it first, past the queue.
   *
   * @param take returns false for what it has no room for
   * @returns a function that ends it
   */
  offerTo(take: (part: JobPart) => boolean): () => void
  /** The retry comes a little later than asked for, together with others of its subscription. */
  enqueueRetry(delivery: QueuedDelivery, delayMs: number): void
  /** What the workers take jobs from. */
  queue: Queue<DeliveryJob>
}

export function createDeliveryQueue(queues: Queues, log: Log): DeliveryQueue {
  const queue = queues.queue<DeliveryJob>(declared.queues.deliveries)
  let waiting: QueuedDelivery[] = []
  let waitingRetries: Retry[] = []
  let adding = false
  let retries: Retry[] = []
  let takeOwn: ((part: JobPart) => boolean) | undefined

  function add<D extends QueuedDelivery>(to: D[], deliveries: readonly D[]): void {
    if (waiting.length + waitingRetries.length + deliveries.length > MAX_WAITING) return
    for (const delivery of deliveries) to.push(delivery)
    if (!adding) void flush()
  }

  async function flush(): Promise<void> {
    adding = true
    while (waiting.length + waitingRetries.length > 0) {
      const jobs = [...toJobs(waiting), ...toDelayedJobs(waitingRetries)]
      waiting = []
      waitingRetries = []
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
    add(waitingRetries, gathered)
  }

  return {
    queue,
    enqueue: (deliveries) => add(waiting, deliveries),
    owe(deliveries) {
      const take = takeOwn
      if (!take) return add(waiting, deliveries)
      const refused = toJobs(deliveries)
        .flatMap(({ data }) => data.parts)
        .filter((part) => !take(part))
      add(waiting, refused.flatMap(deliveriesOf))
    },
    offerTo(take) {
      takeOwn = take
      return () => {
        takeOwn = undefined
      }
    },
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

function toDelayedJobs(retries: readonly Retry[]): NewJob<DeliveryJob>[] {
  const now = performance.now()
  return [...Map.groupBy(retries, ({ dueAt }) => dueAt)].flatMap(([dueAt, together]) =>
    toJobs(together, Math.max(0, dueAt - now)),
  )
}

function toJobs(deliveries: readonly QueuedDelivery[], delayMs = 0): NewJob<DeliveryJob>[] {
  const together = [...bySubscription(deliveries).values()].flat()
  const jobs = Math.ceil(together.length / JOB_SIZE)
  return Array.from({ length: jobs }, (_, job) => {
    const own = together.slice(job * JOB_SIZE, (job + 1) * JOB_SIZE)
    return { data: { parts: [...bySubscription(own).values()].map(toPart) }, delayMs }
  })
}

const bySubscription = (deliveries: readonly QueuedDelivery[]): Map<string, QueuedDelivery[]> =>
  Map.groupBy(deliveries, ({ subscriptionId }) => subscriptionId)

const deliveriesOf = ({ appId, subscriptionId, ids }: JobPart): QueuedDelivery[] =>
  ids.map((id) => ({ appId, subscriptionId, id }))

function toPart(deliveries: readonly QueuedDelivery[]): JobPart {
  const { appId, subscriptionId } = deliveries[0] as QueuedDelivery
  return { appId, subscriptionId, ids: deliveries.map(({ id }) => id) }
}
