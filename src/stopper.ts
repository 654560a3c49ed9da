import type { Config } from './config.ts'
import type { Log } from './platform/log/log.ts'

/** Extra time for closing connections and the embedded Postgres after what was under way is done. */
const CLOSE_MARGIN_MS = 15_000

/** Stops a process once, whoever asks for it first. */
export interface Stopper {
  /**
   * Stops as soon as there is something that can be stopped: asked earlier, it waits for the start.
   *
   * @param code that the process ends with
   */
  stop(reason: string, code: number): void
  /** Aborted as soon as a stop is asked for: a start that waits for something need not wait any more. */
  readonly signal: AbortSignal
  /** The process has started, and this is how it stops. */
  ready(close: () => Promise<void>): void
}

export function createStopper(config: Config, log: Log): Stopper {
  const abort = new AbortController()
  let asked: { reason: string; code: number } | undefined
  let closeAll: (() => Promise<void>) | undefined
  let stopping = false

  function stopNow(): void {
    if (!asked || !closeAll || stopping) return
    stopping = true
    const { reason, code } = asked
    log.info({ reason }, 'stopping')
    setTimeout(() => {
      log.fatal('not stopped in time')
      process.exit(1)
    }, config.SHUTDOWN_TIMEOUT_MS + CLOSE_MARGIN_MS).unref()
    closeAll()
      .then(() => log.info('stopped'))
      .catch((error: Error) => log.error({ err: error }, 'not stopped cleanly'))
      .finally(() => process.exit(code))
  }

  return {
    signal: abort.signal,
    stop(reason, code) {
      asked ??= { reason, code }
      abort.abort()
      stopNow()
    },
    ready(close) {
      closeAll = close
      stopNow()
    },
  }
}
