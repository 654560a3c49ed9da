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
  lanes: number
  /** Items of a key that is under way in one lane wait, rather than start in another. */
  key(item: Item): string
}

/** Too much is waiting already. Nothing was done with the item. */
export class OverloadedError extends Error {
  override name = 'OverloadedError'
}

interface Waiting<Item, Result> {
  item: Item
  weight: number
  resolve(result: Result): void
  reject(error: unknown): void
}

/**
 * A batcher without a timer: a first item starts at the end of the current tick, and while it is under way
 * the next batch gathers. So a lone request waits for nobody, and the busier it is the larger the batches.
 */
export function createMicroBatcher<Item, Result>(
  options: MicroBatcherOptions<Item, Result>,
): MicroBatcher<Item, Result> {
  let waiting: Waiting<Item, Result>[] = []
  let waitingWeight = 0
  let underWay = 0
  let scheduled = false
  const busyKeys = new Set<string>()
  const idleListeners: (() => void)[] = []

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      while (underWay < options.lanes && startBatch());
    })
  }

  /** Takes the waiting items whose keys are free, in order, and runs them. */
  function startBatch(): boolean {
    const batch: Waiting<Item, Result>[] = []
    const rest: Waiting<Item, Result>[] = []
    const keys = new Set<string>()
    let weight = 0
    for (const entry of waiting) {
      const key = options.key(entry.item)
      // Once the batch is full every later item stays, so the items of a key keep their order.
      const full = batch.length > 0 && weight + entry.weight > options.maxBatch
      if (full) weight = options.maxBatch
      if (full || busyKeys.has(key)) {
        rest.push(entry)
        continue
      }
      batch.push(entry)
      keys.add(key)
      weight += entry.weight
    }
    if (batch.length === 0) return false
    waiting = rest
    for (const entry of batch) waitingWeight -= entry.weight
    for (const key of keys) busyKeys.add(key)
    underWay += 1
    void settle(batch).finally(() => {
      underWay -= 1
      for (const key of keys) busyKeys.delete(key)
      if (waiting.length > 0) schedule()
      else if (underWay === 0) for (const listener of idleListeners.splice(0)) listener()
    })
    return true
  }

  async function settle(batch: Waiting<Item, Result>[]): Promise<void> {
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
        waiting.push({ item, weight, resolve, reject })
        waitingWeight += weight
        schedule()
      })
    },
    idle() {
      if (waiting.length === 0 && underWay === 0) return Promise.resolve()
      return new Promise((resolve) => idleListeners.push(resolve))
    },
  }
}
