import type { Test } from 'tap'
import { runListen } from '../../src/commands/listen/run.ts'
import { until } from './until.ts'

/** `npm run listen` under way in this process. */
export interface Listening {
  /** Every line that it has printed, errors too. */
  lines: string[]
  /** The exit code that it ends with. */
  ended: Promise<number>
  /** As Ctrl-C does. @returns the exit code */
  stop(): Promise<number>
  /** Waits for so many lines that say something. @returns them */
  waitFor(pattern: RegExp, count?: number): Promise<string[]>
  /** Waits until it is connected for the first time. */
  connected(): Promise<string[]>
}

/** Starts it; it is stopped when the test ends. */
export function startListening(t: Test, args: string[], environment: Record<string, string>): Listening {
  const lines: string[] = []
  const print = (text: string): void => void lines.push(...text.split('\n'))
  const abort = new AbortController()
  const ended = runListen(args, environment, { say: print, complain: print, signal: abort.signal })
  const stop = (): Promise<number> => {
    abort.abort()
    return ended
  }
  const waitFor = (pattern: RegExp, count = 1): Promise<string[]> =>
    until(
      () => {
        const found = lines.filter((line) => pattern.test(line))
        return found.length >= count && found
      },
      `there are ${count} lines with ${String(pattern)}`,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${lines.join('\n')}`, { cause: error })
    })
  t.teardown(stop)
  return { lines, ended, stop, waitFor, connected: () => waitFor(/Connected\./) }
}
