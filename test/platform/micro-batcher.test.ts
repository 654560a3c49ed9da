import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import {
  createMicroBatcher,
  OverloadedError,
  type MicroBatcher,
  type MicroBatcherOptions,
} from '../../src/platform/micro-batcher.ts'
import { until } from '../helpers/until.ts'

const FAILURE = new Error('the batch failed')

interface Item {
  key: string
  number: number
  weight: number
}

/** A batch that was handed over, to be ended by the test. */
interface Batch {
  numbers: number[]
  succeed(): void
  fail(error: Error): void
}

const item = (number: number, key = 'a', weight = 1): Item => ({ key, number, weight })

const WIDE: Omit<MicroBatcherOptions<Item, string>, 'run'> = {
  weight: (entry) => entry.weight,
  key: (entry) => entry.key,
  maxBatch: 100,
  maxWaiting: 100,
  maxConcurrentBatches: 1,
}

/** A batcher whose batches wait for the test to end them. The result of an item is its number as text. */
function held(options: Partial<typeof WIDE> = {}): {
  batcher: MicroBatcher<Item, string>
  batches: Batch[]
  started: (count: number) => Promise<Batch>
} {
  const batches: Batch[] = []
  const batcher = createMicroBatcher<Item, string>({
    ...WIDE,
    ...options,
    run: (items) =>
      new Promise((resolve, reject) => {
        batches.push({
          numbers: items.map(({ number }) => number),
          succeed: () => resolve(items.map(({ number }) => String(number))),
          fail: reject,
        })
      }),
  })
  const started = (count: number): Promise<Batch> =>
    until(() => batches[count - 1], `batch ${count} has started`)
  return { batcher, batches, started }
}

/** Gives a batch that could start every opportunity to. */
async function opportunity(): Promise<void> {
  for (let count = 0; count < 5; count++) await turn()
}

t.test(
  'what is added in one tick goes in one batch, key by key, and each item gets its own result',
  async (t) => {
    const { batcher, batches, started } = held()
    const results = Promise.all([batcher.add(item(1)), batcher.add(item(2, 'b')), batcher.add(item(3))])
    const batch = await started(1)
    t.same(batch.numbers, [1, 3, 2])
    batch.succeed()
    t.same(await results, ['1', '2', '3'])
    t.equal(batches.length, 1)
  },
)

t.test('what is added while a batch is under way gathers for the next one', async (t) => {
  const { batcher, batches, started } = held()
  const first = batcher.add(item(1))
  const batch = await started(1)
  const later = [batcher.add(item(2)), batcher.add(item(3, 'b'))]
  await opportunity()
  t.equal(batches.length, 1, 'there is one lane')
  batch.succeed()
  t.equal(await first, '1')
  const next = await started(2)
  t.same(next.numbers, [2, 3])
  next.succeed()
  t.same(await Promise.all(later), ['2', '3'])
})

t.test('batches run side by side, but never two with the same key', async (t) => {
  const { batcher, batches, started } = held({ maxConcurrentBatches: 2 })
  const results = [batcher.add(item(1, 'a'))]
  const first = await started(1)
  results.push(batcher.add(item(2, 'a')), batcher.add(item(3, 'b')))
  const second = await started(2)
  t.same(second.numbers, [3], 'the key that is under way waits, another overtakes it')
  results.push(batcher.add(item(4, 'c')))
  await opportunity()
  t.equal(batches.length, 2, 'there are two lanes')
  first.succeed()
  const third = await started(3)
  t.same(third.numbers, [2, 4])
  second.succeed()
  third.succeed()
  t.same(await Promise.all(results), ['1', '2', '3', '4'])
})

t.test('another batch of a key starts once as much waits for it as is under way', async (t) => {
  const { batcher, batches, started } = held({ maxConcurrentBatches: 4, maxConcurrentBatchesPerKey: 2 })
  const results = [batcher.add(item(1, 'a', 5))]
  const first = await started(1)
  results.push(batcher.add(item(2, 'a', 4)))
  await opportunity()
  t.equal(batches.length, 1, 'less waits than is under way')
  results.push(batcher.add(item(3, 'a', 1)))
  const second = await started(2)
  t.same(second.numbers, [2, 3])
  results.push(batcher.add(item(4, 'a', 50)))
  await opportunity()
  t.equal(batches.length, 2, 'the key has as many as it may')
  second.succeed()
  const third = await started(3)
  t.same(third.numbers, [4])
  first.succeed()
  third.succeed()
  t.same(await Promise.all(results), ['1', '2', '3', '4'])
})

t.test('a key with a full batch is enough for another, however heavy the one under way', async (t) => {
  const { batcher, started } = held({ maxConcurrentBatches: 2, maxConcurrentBatchesPerKey: 2, maxBatch: 10 })
  const results = [batcher.add(item(1, 'a', 90))]
  const first = await started(1)
  results.push(batcher.add(item(2, 'a', 10)))
  const second = await started(2)
  first.succeed()
  second.succeed()
  t.same(await Promise.all(results), ['1', '2'])
})

t.test('a key that always has more than fits leaves the others their turn', async (t) => {
  const { batcher, started } = held({ maxBatch: 2 })
  const results = [1, 2, 3, 4, 5, 6].map((number) => batcher.add(item(number, 'busy')))
  results.push(batcher.add(item(7, 'quiet')))
  const first = await started(1)
  t.same(first.numbers, [1, 2])
  first.succeed()
  const second = await started(2)
  t.same(second.numbers, [7, 3])
  second.succeed()
  for (let count = 3; count <= 4; count++) (await started(count)).succeed()
  t.same(await Promise.all(results), ['1', '2', '3', '4', '5', '6', '7'])
})

t.test('what does not fit one batch starts in others at once', async (t) => {
  const { batcher, batches, started } = held({ maxConcurrentBatches: 2, maxBatch: 1 })
  const results = ['a', 'b', 'c'].map((key, number) => batcher.add(item(number, key)))
  await started(2)
  t.same(
    batches.map(({ numbers }) => numbers),
    [[0], [1]],
  )
  for (const batch of batches) batch.succeed()
  ;(await started(3)).succeed()
  t.same(await Promise.all(results), ['0', '1', '2'])
})

t.test('a batch weighs no more than it may', async (t) => {
  const { batcher, batches, started } = held({ maxBatch: 10 })
  const weights = [4, 6, 1, 25, 5, 6, 1]
  const results = weights.map((weight, number) => batcher.add(item(number, 'a', weight)))
  const expected = [[0, 1], [2], [3], [4], [5, 6]]
  for (let count = 1; count <= expected.length; count++) (await started(count)).succeed()
  await Promise.all(results)
  t.same(
    batches.map(({ numbers }) => numbers),
    expected,
    'a heavier item goes alone, and nothing light overtakes what did not fit',
  )
})

t.test('too much waiting is refused, and is taken again once there is room', async (t) => {
  const { batcher, started } = held({ maxWaiting: 10 })
  const results = [batcher.add(item(1, 'a', 50))]
  const first = await started(1)
  results.push(batcher.add(item(2, 'a', 9)), batcher.add(item(3, 'a', 1)))
  await t.rejects(batcher.add(item(4, 'a', 1)), OverloadedError)
  first.succeed()
  const second = await started(2)
  t.same(second.numbers, [2, 3], 'the refused item is not done')
  results.push(batcher.add(item(5, 'a', 10)))
  second.succeed()
  ;(await started(3)).succeed()
  t.same(await Promise.all(results), ['1', '2', '3', '5'])
})

t.test('an item heavier than may wait is taken when nothing waits', async (t) => {
  const { batcher, started } = held({ maxWaiting: 10 })
  const result = batcher.add(item(1, 'a', 1_000))
  await t.rejects(batcher.add(item(2)), OverloadedError)
  ;(await started(1)).succeed()
  t.equal(await result, '1')
})

t.test('an error is that of every item of its batch, and of no other', async (t) => {
  const { batcher, started } = held()
  const failed = [batcher.add(item(1)), batcher.add(item(2))]
  const first = await started(1)
  const after = batcher.add(item(3))
  first.fail(FAILURE)
  t.same(
    await Promise.allSettled(failed),
    failed.map(() => ({ status: 'rejected', reason: FAILURE })),
  )
  ;(await started(2)).succeed()
  t.equal(await after, '3', 'the lane and the key are free again')
})

t.test('an error thrown before anything is awaited is no different', async (t) => {
  const batcher = createMicroBatcher<Item, string>({
    ...WIDE,
    run() {
      throw new Error('at once')
    },
  })
  await t.rejects(batcher.add(item(1)), { message: 'at once' })
  await batcher.idle()
})

t.test('it is idle once nothing waits nor is under way', async (t) => {
  const { batcher, started } = held()
  await batcher.idle()
  const result = batcher.add(item(1))
  let idle = 0
  const toldOnce = (): void => void (idle += 1)
  const whileWaiting = batcher.idle().then(toldOnce)
  const first = await started(1)
  const whileUnderWay = batcher.idle().then(toldOnce)
  await opportunity()
  t.equal(idle, 0, 'a batch is under way')
  const next = batcher.add(item(2))
  first.succeed()
  await result
  const second = await started(2)
  await opportunity()
  t.equal(idle, 0, 'another batch is under way')
  second.fail(new Error('the last one failed'))
  await t.rejects(next)
  await Promise.all([whileWaiting, whileUnderWay])
  t.equal(idle, 2)
})

t.test('whatever is added, the rules hold', async (t) => {
  const anyItem = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    weight: fc.integer({ min: 1, max: 12 }),
    /** Turns of the event loop before it is added. */
    pause: fc.constantFrom(0, 0, 0, 1, 3),
    /** Turns that a batch that begins with it takes. */
    takes: fc.nat({ max: 4 }),
    fails: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyItem, { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 20 }),
      async (plan, maxConcurrentBatches, maxBatch) => {
        const items = plan.map((entry, number) => Object.assign(entry, { number }))
        const busy = new Set<string>()
        const done: Item[] = []
        const failed = new Set<number>()
        let underWay = 0
        const batcher = createMicroBatcher<(typeof items)[number], number>({
          ...WIDE,
          maxConcurrentBatches,
          maxBatch,
          maxWaiting: Number.MAX_SAFE_INTEGER,
          async run(batch) {
            underWay += 1
            assert.ok(underWay <= maxConcurrentBatches, 'no more batches at once than allowed')
            const weight = batch.reduce((sum, entry) => sum + entry.weight, 0)
            assert.ok(weight <= maxBatch || batch.length === 1, 'a batch of more than one keeps to its limit')
            const keys = new Set(batch.map(({ key }) => key))
            for (const key of keys) assert.ok(!busy.has(key), 'a key is in one batch at a time')
            for (const key of keys) busy.add(key)
            for (let count = 0; count < (batch[0]?.takes ?? 0); count++) await turn()
            for (const key of keys) busy.delete(key)
            done.push(...batch)
            underWay -= 1
            if (batch.some(({ fails }) => fails)) {
              for (const { number } of batch) failed.add(number)
              throw FAILURE
            }
            return batch.map(({ number }) => number)
          },
        })
        const results: Promise<unknown>[] = []
        for (const entry of items) {
          for (let count = 0; count < entry.pause; count++) await turn()
          results.push(batcher.add(entry).catch((error: unknown) => error))
        }
        await batcher.idle()
        assert.equal(done.length, items.length, 'idle comes after the last batch')
        assert.deepEqual(
          await Promise.all(results),
          items.map(({ number }) => (failed.has(number) ? FAILURE : number)),
          'each item has its own result, or the error of its batch',
        )
        for (const key of 'abcd') {
          const numbers = done.filter((entry) => entry.key === key).map(({ number }) => number)
          assert.deepEqual(
            numbers,
            numbers.toSorted((a, b) => a - b),
            'the items of a key keep their order',
          )
        }
      },
    ),
    { numRuns: 300 },
  )
  t.pass('for arbitrary items and limits')
})
