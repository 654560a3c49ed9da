import fc from 'fast-check'
import t from 'tap'
import { retryDelay } from '../../../src/features/deliveries/sending/retry-policy.ts'

const SCHEDULE = [5_000, 30_000, 120_000]

t.test('the waits are those of the schedule, a tenth more or less', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, random) => {
        const wait = SCHEDULE[attempt - 1] ?? 0
        const delay = retryDelay(attempt, SCHEDULE, random) ?? 0
        return delay >= wait * 0.9 - 1 && delay <= wait * 1.1 + 1
      },
    ),
  )
  t.not(retryDelay(1, SCHEDULE, 0), retryDelay(1, SCHEDULE, 0.9), 'it varies')
})

t.test('after the last wait there is no further attempt', async (t) => {
  t.equal(retryDelay(4, SCHEDULE), undefined)
  t.equal(retryDelay(1, []), undefined)
})
