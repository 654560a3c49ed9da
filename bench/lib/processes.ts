import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import type { Scope } from './scope.ts'

/** A process that takes longer to stop is killed. */
const STOP_TIMEOUT_MS = 5_000

export interface Process {
  pid: number
  stop(): Promise<void>
}

const running = new Set<ChildProcess>()
// The last resort, when this process ends without having closed its scope.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Looks after a process: it is stopped with the scope, and the run fails should it end before. */
export function supervise(scope: Scope, name: string, start: () => ChildProcess): Promise<Process> {
  return scope.open(
    async () => {
      const child = start()
      running.add(child)
      let stopping: Promise<void> | undefined
      const ended = once(child, 'exit').then(([code, signal]) => {
        running.delete(child)
        if (!stopping) scope.fail(new Error(`${name} ended by itself (${signal ?? `code ${code}`}).`))
      })
      await once(child, 'spawn')
      return {
        pid: child.pid as number,
        stop: () => (stopping ??= stop(child, ended)),
      }
    },
    (started) => started.stop(),
  )
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  child.kill('SIGTERM')
  await ended
  clearTimeout(timer)
}

/**
 * CPU time that a process has used, all its threads together.
 *
 * It is the time that /proc/PID/stat shows, read from the threads' schedstat, which has nanoseconds where
 * stat has hundredths of a second: at one message a second that would be too coarse.
 */
export async function cpuSeconds(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`)
  const times = threads.map(async (thread) => {
    const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').catch(() => '0')
    return Number(text.split(' ')[0]) / 1e9
  })
  return (await Promise.all(times)).reduce((sum, seconds) => sum + seconds, 0)
}

/** CPU seconds that a process uses while something runs. */
export async function cpuDuring<T>(
  pid: number,
  run: () => Promise<T>,
): Promise<{ result: T; seconds: number }> {
  const before = await cpuSeconds(pid)
  const result = await run()
  return { result, seconds: (await cpuSeconds(pid)) - before }
}

/** Memory of a process that is in RAM. */
export async function residentKiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
}

/** Files and sockets that a process has open. */
export const openFiles = async (pid: number): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length
