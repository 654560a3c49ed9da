import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { until } from './until.ts'

const ROOT = join(import.meta.dirname, '../..')
/** What a process of ours has in its environment whatever the test: the second one compiles nothing again. */
export const BARE_ENVIRONMENT: Record<string, string> = {
  PATH: process.env['PATH'] ?? '',
  NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
}

/** A process of ours, started as a user starts it. */
export interface StartedProcess {
  /** Every line of its output so far. */
  output: string[]
  child: ChildProcess
  /** The exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>
  /** Sends a signal and waits for the end. @returns the exit code, or the signal that ended it */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>
}

/** A Heliograph process that has started. */
export interface HeliographProcess extends StartedProcess {
  /** Where the API listens; empty for a worker. */
  url: string
}

/**
 * Starts `node src/main.ts ROLE` and waits until it says that it has started. What is still running when the
 * test ends is asked to stop.
 *
 * @param environment all of its environment but BARE_ENVIRONMENT
 */
export async function startProcess(
  t: Test,
  role: 'all' | 'api' | 'worker',
  environment: Record<string, string>,
  cwd = ROOT,
): Promise<HeliographProcess> {
  const started = startScript(t, ['src/main.ts', role], { LOG_LEVEL: 'info', ...environment }, cwd)
  const { output } = started
  let gone = false
  void started.exited.then(() => (gone = true))
  await until(() => {
    if (gone) throw new Error(`The ${role} process ended:\n${output.join('\n')}`)
    return output.some((line) => line.includes('"msg":"started"'))
  }, `the ${role} process has started`)
  const [, url = ''] = /Server listening at (http:[^"]+)/.exec(output.join('\n')) ?? []
  return { ...started, url }
}

/**
 * Starts one of our scripts. What is still running when the test ends is asked to stop.
 *
 * @param script its path in the repository, and its arguments
 * @param environment all of its environment but BARE_ENVIRONMENT
 */
export function startScript(
  t: Test,
  [script, ...args]: [string, ...string[]],
  environment: Record<string, string>,
  cwd = ROOT,
): StartedProcess {
  const child = spawn(process.execPath, [join(ROOT, script), ...args], {
    cwd,
    env: { ...BARE_ENVIRONMENT, ...environment },
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
  return { output, child, exited, end }
}
