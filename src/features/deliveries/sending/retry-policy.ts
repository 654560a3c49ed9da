/** Jitter of the waits between attempts: as a share, up or down. */
const JITTER = 0.1

/**
 * How long to wait after a failed attempt.
 *
 * @param attempt its number, from 1
 * @param delaysMs the waits after the first, second, … attempt
 * @param random a number in [0, 1)
 * @returns milliseconds, or undefined when there is no attempt after this one
 */
export function retryDelay(
  attempt: number,
  delaysMs: readonly number[],
  random = Math.random(),
): number | undefined {
  const delay = delaysMs[attempt - 1]
  return delay === undefined ? undefined : Math.round(delay * (1 - JITTER + 2 * JITTER * random))
}
