import { HEARTBEAT_MS } from '../../platform/http/sse.ts'
import { readArguments, USAGE, UsageError, type ListenOptions } from './arguments.ts'
import { createForwarder } from './forwarder.ts'
import { followLog } from './live-log.ts'
import { createServiceClient, ServiceRefused } from './service-client.ts'

const SILENT_MS = 3 * HEARTBEAT_MS

export interface Terminal {
  say: (text: string) => void
  /** For errors. */
  complain: (text: string) => void
  /** Ends the command. */
  signal: AbortSignal
}

/**
 * `npm run listen`: forwards an app's events to a URL, one after the other, until it is told to stop.
 *
 * @returns the exit code: 0 when it was told to stop, 1 when the service refuses, 2 for bad arguments
 */
export async function runListen(
  args: string[],
  environment: NodeJS.ProcessEnv,
  { say, complain, signal }: Terminal,
): Promise<number> {
  try {
    const options = await readArguments(args, environment)
    if (options) await listen(options, say, signal)
    else say(USAGE)
    return 0
  } catch (error) {
    if (error instanceof UsageError) {
      complain(`${error.message}\n\n${USAGE}`)
      return 2
    }
    if (!(error instanceof ServiceRefused)) throw error
    complain(error.message)
    return 1
  }
}

async function listen(options: ListenOptions, say: Terminal['say'], signal: AbortSignal): Promise<void> {
  const client = createServiceClient(options.service, options.key, SILENT_MS)
  const forwarder = createForwarder(options)
  const closeAll = (): Promise<unknown> => Promise.all([client.close(), forwarder.close()])
  signal.addEventListener('abort', () => void closeAll(), { once: true })
  const counts = { forwarded: 0, failed: 0 }
  const sayNow = (text: string): void => say(`${timeOfDay()}  ${text}`)
  say(introduction(options))
  try {
    for await (const event of followLog({ ...options, client, signal, say: sayNow })) {
      const started = performance.now()
      const { succeeded, result } = await forwarder.forward(event)
      if (signal.aborted) break
      counts[succeeded ? 'forwarded' : 'failed'] += 1
      const ms = Math.round(performance.now() - started)
      sayNow(`${event.position}  ${event.type}  ${event.event_id}  ${result}  ${ms} ms`)
    }
  } finally {
    await closeAll()
    say(`${counts.forwarded} forwarded, ${counts.failed} failed.`)
  }
}

function introduction({ service, patterns, after, forward, secret }: ListenOptions): string {
  const from = after === undefined ? 'from now on' : `after position ${after}`
  return `Service     ${service}
Events      ${patterns.join(', ')}, ${from}
Forward to  ${forward}
Secret      ${secret}
Each event is posted once; stop with Ctrl-C.
`
}

const timeOfDay = (): string => new Date().toTimeString().slice(0, 8)
