import { startEvaluatorProcess } from './evaluator-process.ts'
import type { EvaluatorProcess } from './evaluator-process.ts'
import type { Limits } from './limits.ts'

/** A process nobody needs for this long ends. */
const IDLE_MS = 30_000

/** What a process was last used for: slow expressions often take theirs with them. */
export type Use = 'quick' | 'slow'

interface Idle {
  use: Use
  timer: NodeJS.Timeout
}

export interface ProcessPool {
  /** A process for one evaluation: one of the same use if there is one; a new one rather than another's. */
  take(use: Use): EvaluatorProcess
  giveBack(process: EvaluatorProcess, use: Use): void
  /** Ends all processes, those in use as well. */
  stop(): Promise<void>
}

/**
 * Keeps the processes of evaluators.
 *
 * @param limits as many processes are taken at the same time, at most; whoever takes them sees to it
 */
export function createProcessPool(limits: Limits): ProcessPool {
  const all = new Set<EvaluatorProcess>()
  const idle = new Map<EvaluatorProcess, Idle>()

  function forget(process: EvaluatorProcess): void {
    clearTimeout(idle.get(process)?.timer)
    idle.delete(process)
    all.delete(process)
  }

  async function stopProcess(process: EvaluatorProcess): Promise<void> {
    forget(process)
    await process.stop()
  }

  function start(): EvaluatorProcess {
    const process = startEvaluatorProcess(limits)
    all.add(process)
    return process
  }

  function takeIdle(use: Use): EvaluatorProcess | undefined {
    for (const process of idle.keys()) if (!process.usable()) forget(process)
    const entries = [...idle]
    const same = entries.find(([, { use: last }]) => last === use)
    const taken = same ?? (all.size < limits.processes ? undefined : entries[0])
    if (taken === undefined) return undefined
    const [process, { timer }] = taken
    clearTimeout(timer)
    idle.delete(process)
    return process
  }

  return {
    take: (use) => takeIdle(use) ?? start(),
    giveBack(process, use) {
      if (!process.usable()) return forget(process)
      const timer = setTimeout(() => void stopProcess(process), IDLE_MS).unref()
      idle.set(process, { use, timer })
    },
    async stop() {
      await Promise.all([...all].map(stopProcess))
    },
  }
}
