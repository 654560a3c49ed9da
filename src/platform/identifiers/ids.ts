import { randomFillSync } from 'node:crypto'
import { v5, v7 } from 'uuid'

/** Fixed namespace of the ids that are derived from names. Changing it would change those ids. */
const NAME_NAMESPACE = '6f0d3c3e-7d0b-4b52-9d51-3f6f1f0c9a51'

const RANDOM_BYTES = 16
/** Asking the system for random bytes costs more than the rest of an id, so it is done for many at once. */
const pool = new Uint8Array(256 * RANDOM_BYTES)
let used = pool.length
let lastMs = 0
let sequence = 0

/** A new time-ordered UUIDv7: ids that one process makes sort in the order it made them. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.subarray(used, used + RANDOM_BYTES)
  used += RANDOM_BYTES
  const now = Date.now()
  if (now > lastMs) {
    lastMs = now
    // 31 random bits, so that the sequence has room to count up within the millisecond
    sequence = new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1
  } else {
    sequence += 1
  }
  return v7({ random, msecs: lastMs, seq: sequence })
}

/** Whether a text is a UUID in its usual form, in either case. */
export const isUuid = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)

/** The same UUIDv5 for the same name, in every installation. */
export const idForName = (name: string): string => v5(name, NAME_NAMESPACE)
