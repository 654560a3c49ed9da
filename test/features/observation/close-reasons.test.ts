import t from 'tap'
import { retryMs } from '../../../src/features/observation/live/close-reasons.ts'

t.test('clients that are sent away together come back spread over time', async (t) => {
  const waits = (connections: number): number[] => Array.from({ length: 10_000 }, () => retryMs(connections))
  for (const [connections, most] of [
    [1, 3_000],
    [1_000, 3_000],
    [10_000, 20_000],
  ] as const) {
    const drawn = waits(connections)
    t.ok(Math.min(...drawn) >= 500 && Math.max(...drawn) <= most, `${connections} within ${most} ms`)
    const late = drawn.filter((wait) => wait > (500 + most) / 2).length
    t.ok(late > 4_000 && late < 6_000, `${late} of them in the later half`)
  }
})
