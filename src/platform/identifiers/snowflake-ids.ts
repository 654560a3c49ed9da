import { Problem } from '../http/problems.ts'
import type { ProcessLease } from '../process/lease.ts'

/** Snowflakes count milliseconds from here; 41 bits of them last until 2089. Never to be changed. */
export const SNOWFLAKE_EPOCH = Date.UTC(2020, 0, 1)

/** Ids from the epoch's first month on as decimal numbers; all of them fit into a `bigint` of Postgres. */
export const SNOWFLAKE_FORM = '^(?:[1-9]\\d{16,17}|[1-8]\\d{18})$'
export const SNOWFLAKE_CURSOR = new RegExp(SNOWFLAKE_FORM)

const LARGEST = 2n ** 63n - 1n
/** Below the time stand 10 bits of the process's number, and 12 that count within the millisecond. */
const TIME_SHIFT = 22n
const NUMBER_SHIFT = 12n
const MAX_COUNT = 4095

export interface SnowflakeIds {
  /**
   * A new id: larger than every one before it of this process, and unlike any of another process.
   *
   * @throws Problem `unavailable` while this process has no number that is certainly its own
   */
  next(): string
}

/**
 * Makes Snowflake ids: 41 bits of the database's time in milliseconds, 10 bits of the process's number, and
 * 12 bits that count within the millisecond. There must be one of these per lease.
 *
 * After 4,096 ids of one millisecond time is taken to be a millisecond later; the lease keeps the number from others
 * for longer than that can come to. A clock that is set back makes ids go on from the time they had come to.
 */
export function createSnowflakeIds(
  lease: Pick<ProcessLease, 'number' | 'isValid' | 'databaseNow'>,
): SnowflakeIds {
  let timestamp = -Infinity
  let count = 0
  return {
    next() {
      if (!lease.isValid()) {
        throw new Problem(
          'unavailable',
          'This process cannot make ids until it reaches the database again. Nothing was stored.',
        )
      }
      const now = Math.floor(lease.databaseNow())
      if (now > timestamp) {
        timestamp = now
        count = 0
      } else if (count === MAX_COUNT) {
        timestamp += 1
        count = 0
      } else {
        count += 1
      }
      const time = BigInt(timestamp - SNOWFLAKE_EPOCH) << TIME_SHIFT
      return (time | (BigInt(lease.number) << NUMBER_SHIFT) | BigInt(count)).toString()
    },
  }
}

/** When an id was made, by the database's clock. */
export const timeOfSnowflake = (id: string): Date =>
  new Date(Number(BigInt(id) >> TIME_SHIFT) + SNOWFLAKE_EPOCH)

/**
 * The smallest id of a millisecond, and at the same time larger than every id before it.
 *
 * @param time milliseconds since the Unix epoch; of a time that no id can have, the nearest that one can
 */
export function firstSnowflakeAt(time: number): string {
  const first = BigInt(time - SNOWFLAKE_EPOCH) << TIME_SHIFT
  if (first < 0n) return '0'
  return (first > LARGEST ? LARGEST : first).toString()
}
