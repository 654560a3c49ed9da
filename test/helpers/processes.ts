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
 * Starts `heliograph ROLE` and waits until it says that it has started. What is still running when the
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
  return untilStarted(startRole(t, role, environment, cwd), `the ${role} process`)
}

/**
 * Starts `heliograph ROLE`, and does not wait for it.
 *
 * @param environment all of its environment but BARE_ENVIRONMENT
 */
export const startRole = (
  t: Test,
  role: 'all' | 'api' | 'worker' | 'migrate' | 'rotate-encryption-key',
  environment: Record<string, string>,
  cwd = ROOT,
): StartedProcess => startScript(t, ['bin/heliograph.js', role], { LOG_LEVEL: 'info', ...environment }, cwd)

/** Waits until a process says that it has started. */
export async function untilStarted(started: StartedProcess, name: string): Promise<HeliographProcess> {
  const { output } = started
  await untilSays(started, '"msg":"started"', `${name} has started`)
  const [, url = ''] = /Server listening at (http:[^"]+)/.exec(output.join('\n')) ?? []
  return { ...started, url }
}

/** Waits for a text in a process's output. @throws Error when the process ends without it */
export async function untilSays(
  { output, exited }: StartedProcess,
  text: string | RegExp,
  what = `a process says ${String(text)}`,
): Promise<void> {
  let gone = false
  void exited.then(() => (gone = true))
  const isSaid = (): boolean =>
    output.some((line) => (typeof text === 'string' ? line.includes(text) : text.test(line)))
  await until(() => {
    if (gone && !isSaid()) throw new Error(`The process ended before ${what}:\n${output.join('\n')}`)
    return isSaid()
  }, what)
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
