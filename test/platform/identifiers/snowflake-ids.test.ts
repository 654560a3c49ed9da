import fc from 'fast-check'
import t from 'tap'
import {
  createSnowflakeIds,
  firstSnowflakeAt,
  SNOWFLAKE_CURSOR,
  SNOWFLAKE_EPOCH,
  timeOfSnowflake,
} from '../../../src/platform/identifiers/snowflake-ids.ts'

const NOW = Date.UTC(2026, 10, 21, 17, 32, 56, 188)
const PER_MILLISECOND = 4096

/** A lease whose clock a test sets. */
function createLease(number: number) {
  return {
    number,
    valid: true,
    now: NOW,
    isValid() {
      return this.valid
    },
    databaseNow() {
      return this.now
    },
  }
}

const ascending = (ids: readonly string[]): boolean =>
  ids.every((id, index) => index === 0 || BigInt(ids[index - 1] as string) < BigInt(id))

/** What happens to the clock between some ids: it goes on, stands, or is set back. */
const steps = fc.array(
  fc.record({
    ms: fc.oneof(fc.integer({ min: -100_000, max: 100_000 }), fc.double({ min: 0, max: 2, noNaN: true })),
    count: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 4_000, max: 9_000 })),
  }),
  { maxLength: 6 },
)
const number = fc.integer({ min: 0, max: 1023 })

t.test('ids of two processes are unique and ascending, whatever their clocks do', async (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(number, { minLength: 2, maxLength: 2 }),
      steps,
      steps,
      (numbers, one, other) => {
        const all = new Set<string>()
        let count = 0
        for (const [index, script] of [one, other].entries()) {
          const lease = createLease(numbers[index] as number)
          const ids = createSnowflakeIds(lease)
          const made: string[] = []
          for (const step of script) {
            lease.now += step.ms
            for (let each = 0; each < step.count; each++) made.push(ids.next())
          }
          count += made.length
          for (const id of made) all.add(id)
          if (!ascending(made)) return false
        }
        return all.size === count
      },
    ),
    { numRuns: 60 },
  )
  t.pass('they are')
})

t.test('an id has the time, the number and a count in it', async (t) => {
  fc.assert(
    fc.property(number, fc.integer({ min: 0, max: PER_MILLISECOND - 1 }), (own, count) => {
      const ids = createSnowflakeIds(createLease(own))
      let id = ids.next()
      for (let each = 0; each < count; each++) id = ids.next()
      const parts = [BigInt(id) >> 22n, (BigInt(id) >> 12n) & 1023n, BigInt(id) & 4095n]
      t.strictSame(parts, [BigInt(NOW - SNOWFLAKE_EPOCH), BigInt(own), BigInt(count)])
      return timeOfSnowflake(id).getTime() === NOW && SNOWFLAKE_CURSOR.test(id)
    }),
    { numRuns: 20 },
  )
})

t.test('more ids than fit into a millisecond take the next', async (t) => {
  const ids = createSnowflakeIds(createLease(1023))
  const made = Array.from({ length: 2 * PER_MILLISECOND + 1 }, () => ids.next())
  t.equal(new Set(made).size, made.length)
  t.ok(ascending(made))
  const times = [0, PER_MILLISECOND - 1, PER_MILLISECOND, 2 * PER_MILLISECOND].map(
    (index) => timeOfSnowflake(made[index] as string).getTime() - NOW,
  )
  t.strictSame(times, [0, 0, 1, 2])
})

t.test('another number is taken over at once', async (t) => {
  const lease = createLease(0)
  const ids = createSnowflakeIds(lease)
  const before = ids.next()
  lease.number = 1023
  const after = ids.next()
  t.equal((BigInt(after) >> 12n) & 1023n, 1023n)
  t.ok(ascending([before, after]))
})

t.test('without a number that is certainly its own there are none', async (t) => {
  const lease = createLease(5)
  const ids = createSnowflakeIds(lease)
  ids.next()
  lease.valid = false
  t.throws(() => ids.next(), { name: 'Problem', problem: 'unavailable' })
  lease.valid = true
  t.match(ids.next(), SNOWFLAKE_CURSOR)
})

t.test('the ids of a time', async (t) => {
  const lease = createLease(0)
  const ids = createSnowflakeIds(lease)
  const before = ids.next()
  lease.now += 1
  const after = ids.next()
  const first = firstSnowflakeAt(NOW + 1)
  t.ok(BigInt(before) < BigInt(first) && BigInt(first) <= BigInt(after))
  t.equal(timeOfSnowflake(first).getTime(), NOW + 1)
  t.equal(firstSnowflakeAt(SNOWFLAKE_EPOCH), '0')
  t.equal(firstSnowflakeAt(Date.UTC(1970, 0, 1)), '0')
  t.equal(firstSnowflakeAt(-8.64e15), '0')
  t.equal(firstSnowflakeAt(8.64e15), String(2n ** 63n - 1n), 'the largest that a bigint takes')
})
