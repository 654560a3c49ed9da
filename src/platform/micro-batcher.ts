/** Collects what arrives while a batch is under way and runs it as the next one. */
export interface MicroBatcher<Item, Result> {
  /**
   * @returns what `run` gave for this item
   * @throws OverloadedError when too much is waiting, else whatever `run` threw for the whole batch
   */
  add(item: Item): Promise<Result>
  /** Resolves once nothing is waiting or under way. */
  idle(): Promise<void>
}

export interface MicroBatcherOptions<Item, Result> {
  /** Handles a batch; its results are in the order of the items. */
  run(items: readonly Item[]): Promise<readonly Result[]>
  /** How much one item counts towards `maxBatch` and `maxWaiting`. */
  weight(item: Item): number
  /** A batch is closed when it weighs this much; a single heavier item still goes, alone. */
  maxBatch: number
  /** More than this waiting is refused. */
  maxWaiting: number
  /** Batches under way at once. */
  maxConcurrentBatches: number
  /** Batches of a key that may be under way at once; one unless told, so that its items keep their order. */
  maxConcurrentBatchesPerKey?: number
  /** Items of a key that has as many batches as it may wait, rather than start another. */
  key(item: Item): string
}

/** Too much is waiting already. Nothing was done with the item. */
export class OverloadedError extends Error {
  override name = 'OverloadedError'
}

interface Entry<Item, Result> {
  item: Item
  weight: number
  resolve(result: Result): void
  reject(error: unknown): void
}

/** The items of one key. */
interface Queue<Item, Result> {
  waiting: Entry<Item, Result>[]
  waitingWeight: number
  batches: number
  weightUnderWay: number
}

/**
 * A batcher without a timer: a first item starts at the end of the current tick, and while it is under way
 * the next batch gathers. So a lone request waits for nobody, and the busier it is the larger the batches.
 *
 * A further batch of a key starts once as much waits for it as is under way: then the one is prepared while the
 * other is carried out, and a few items do not go in many small batches.
 */
export function createMicroBatcher<Item, Result>(
  options: MicroBatcherOptions<Item, Result>,
): MicroBatcher<Item, Result> {
  const { maxBatch, maxConcurrentBatches, maxConcurrentBatchesPerKey = 1 } = options
  /** Those with something waiting or under way; whose turn it is comes first. */
  const queues = new Map<string, Queue<Item, Result>>()
  let waitingWeight = 0
  let underWay = 0
  let scheduled = false
  const idleListeners: (() => void)[] = []

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      while (underWay < maxConcurrentBatches && startBatch());
    })
  }

  function mayStart({
    waiting,
    waitingWeight: weight,
    batches,
    weightUnderWay,
  }: Queue<Item, Result>): boolean {
    if (waiting.length === 0) return false
    return (
      batches === 0 || (batches < maxConcurrentBatchesPerKey && weight >= Math.min(weightUnderWay, maxBatch))
    )
  }

  /** Runs what waits of the keys that may start, as much as fits. */
  function startBatch(): boolean {
    const batch: Entry<Item, Result>[] = []
    const parts: { key: string; weight: number }[] = []
    let weight = 0
    for (const [key, queue] of queues) {
      if (!mayStart(queue)) continue
      let count = 0
      let partWeight = 0
      for (const entry of queue.waiting) {
        if (batch.length + count > 0 && weight + partWeight + entry.weight > maxBatch) break
        count += 1
        partWeight += entry.weight
      }
      if (count > 0) {
        batch.push(...queue.waiting.splice(0, count))
        weight += partWeight
        queue.waitingWeight -= partWeight
        queue.weightUnderWay += partWeight
        queue.batches += 1
        parts.push({ key, weight: partWeight })
      }
      if (queue.waiting.length === 0) continue
      if (count > 0) moveToEnd(key, queue)
      break
    }
    if (batch.length === 0) return false
    waitingWeight -= weight
    underWay += 1
    void settle(batch).finally(() => {
      underWay -= 1
      for (const part of parts) release(part)
      if (queues.size === 0) for (const listener of idleListeners.splice(0)) listener()
      else schedule()
    })
    return true
  }

  function moveToEnd(key: string, queue: Queue<Item, Result>): void {
    queues.delete(key)
    queues.set(key, queue)
  }

  function release({ key, weight }: { key: string; weight: number }): void {
    const queue = queues.get(key) as Queue<Item, Result>
    queue.batches -= 1
    queue.weightUnderWay -= weight
    if (queue.batches === 0 && queue.waiting.length === 0) queues.delete(key)
  }

  async function settle(batch: Entry<Item, Result>[]): Promise<void> {
    try {
      const results = await options.run(batch.map((entry) => entry.item))
      for (const [index, entry] of batch.entries()) entry.resolve(results[index] as Result)
    } catch (error) {
      for (const entry of batch) entry.reject(error)
    }
  }

  return {
    add(item) {
      const weight = options.weight(item)
      if (waitingWeight > 0 && waitingWeight + weight > options.maxWaiting) {
        return Promise.reject(new OverloadedError('Too many requests are waiting.'))
      }
      return new Promise((resolve, reject) => {
        const queue = queueOf(options.key(item))
        queue.waiting.push({ item, weight, resolve, reject })
        queue.waitingWeight += weight
        waitingWeight += weight
        schedule()
      })
    },
    idle() {
      if (queues.size === 0) return Promise.resolve()
      return new Promise((resolve) => idleListeners.push(resolve))
    },
  }

  function queueOf(key: string): Queue<Item, Result> {
    let queue = queues.get(key)
    if (!queue) {
      queue = { waiting: [], waitingWeight: 0, batches: 0, weightUnderWay: 0 }
      queues.set(key, queue)
    }
    return queue
  }
}
