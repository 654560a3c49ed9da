import type { Log } from '../../platform/log.ts'
import type { NewJob, Queue, Queues } from '../../platform/queue/port.ts'

/** Deliveries of one subscription that one job carries: the queue's cost is per job. */
const JOB_SIZE = 100
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
  /** @param attempt number of the coming attempt; a retry is queued once however often this is called */
  enqueueRetry(delivery: QueuedDelivery, attempt: number, delayMs: number): void
  /** What the workers take jobs from. */
  queue: Queue<DeliveryJob>
}

export function createDeliveryQueue(queues: Queues, log: Log): DeliveryQueue {
  const queue = queues.queue<DeliveryJob>('deliveries')
  let waiting: NewJob<DeliveryJob>[] = []
  let waitingIds = 0
  let adding = false

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

  return {
    queue,
    enqueue: (deliveries) => add(toJobs(deliveries)),
    enqueueRetry: ({ appId, id, subscriptionId }, attempt, delayMs) =>
      add([{ data: { appId, subscriptionId, ids: [id] }, id: `${id}-${attempt}`, delayMs }]),
  }
}

function toJobs(deliveries: readonly QueuedDelivery[]): NewJob<DeliveryJob>[] {
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
    }))
  })
}
