/** npm passes a signal on that the terminal already sent to the whole group, so one Ctrl-C may come twice. */
const SAME_REQUEST_MS = 1_000

/**
 * Calls back at the first SIGINT or SIGTERM. A second one, a second or more later, ends the process at once.
 */
export function onStopSignal(stop: (signal: string) => void): void {
  let first: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      if (first === undefined) {
        first = Date.now()
        stop(signal)
      } else if (Date.now() - first > SAME_REQUEST_MS) process.exit(130)
    })
  }
}
