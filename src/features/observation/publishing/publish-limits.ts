/** Largest `data` of a publication, in bytes of JSON text. */
export const MAX_PUBLISH_BYTES = 16_384

const PER_SECOND = 20
const BURST = 40

export interface PublishLimit {
  /** @returns whether one more publication is allowed now, which it then counts as */
  take(): boolean
}

/**
 * How often one connection may publish: 20 times a second, with bursts of 40.
 *
 * @param now a monotonic clock in milliseconds
 */
export function createPublishLimit(now: () => number = () => performance.now()): PublishLimit {
  let tokens = BURST
  let filledAt = now()
  return {
    take() {
      const at = now()
      tokens = Math.min(BURST, tokens + ((at - filledAt) * PER_SECOND) / 1_000)
      filledAt = at
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
  }
}
