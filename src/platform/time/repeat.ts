import { setTimeout as wait } from 'node:timers/promises'

export interface Repeating {
  /** Begins no further step and waits for the one that is under way. */
  close(): Promise<void>
}

/**
 * Runs a step over and over: at once again while it says that there may be more to do, else after a pause.
 *
 * @param step tells whether there may be more
 * @param options.intervalMs the pause, in milliseconds
 * @param options.onError told of a step that failed; the next one comes after the pause
 */
export function repeat(
  step: () => Promise<boolean>,
  { intervalMs, onError }: { intervalMs: number; onError: (error: Error) => void },
): Repeating {
  const stop = new AbortController()

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      const more = await step().catch((error: Error) => {
        onError(error)
        return false
      })
      if (!more) await wait(intervalMs, undefined, { signal: stop.signal }).catch(() => {})
    }
  }

  const running = run()
  return {
    close() {
      stop.abort()
      return running
    },
  }
}
