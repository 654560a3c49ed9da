import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { until } from './until.ts'

const ROOT = join(import.meta.dirname, '../..')

/** A Heliograph process, started as a user starts it. */
export interface HeliographProcess {
  /** Where the API listens; empty for a worker. */
  url: string
  /** Every line of its standard output so far. */
  output: string[]
  child: ChildProcess
  /** Sends a signal and waits for the end. @returns the exit code, or the signal that ended it */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>
}

/**
 * Starts `node src/main.ts ROLE` and waits until it says that it has started. What is still running when the
 * test ends is asked to stop.
 *
 * @param environment all of its environment but PATH
 */
export async function startProcess(
  t: Test,
  role: 'all' | 'api' | 'worker',
  environment: Record<string, string>,
  cwd = ROOT,
): Promise<HeliographProcess> {
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), role], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', LOG_LEVEL: 'info', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => output.push(line))
  createInterface({ input: child.stderr }).on('line', (line) => output.push(line))
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  let gone = false
  void exited.then(() => (gone = true))
  const end = (signal: NodeJS.Signals): Promise<number | NodeJS.Signals> => {
    if (!gone) child.kill(signal)
    return exited
  }
  t.teardown(() => end('SIGTERM'))
  await until(() => {
    if (gone) throw new Error(`The ${role} process ended:\n${output.join('\n')}`)
    return output.some((line) => line.includes('"msg":"started"'))
  }, `the ${role} process has started`)
  const [, url = ''] = /Server listening at (http:[^"]+)/.exec(output.join('\n')) ?? []
  return { url, output, child, end }
}
