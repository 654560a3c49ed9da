import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Limits } from './limits.ts'
import { isAnswer, READY } from './protocol.ts'
import type { Answer, EvaluatorSettings, Request } from './protocol.ts'
import { TransformationError } from './transformation-error.ts'

const PROGRAM = fileURLToPath(new URL('evaluator.ts', import.meta.url))

/** It takes a tenth of a second; only a machine without any time to spare takes longer than this. */
const START_MS = 30_000
/** JSONata itself ends most of what takes too long; what it cannot end is killed this much later. */
const KILL_AFTER_MS = 50

export interface EvaluatorProcess {
  /** One at a time. Never counts the start of the process. */
  evaluate(request: Request): Promise<Evaluation>
  /** Whether it can take another request. */
  usable(): boolean
  /** Kills it; whatever runs ends with an error that is `busy`. */
  stop(): Promise<void>
}

export interface Evaluation {
  answer: Answer
  milliseconds: number
}

/**
 * Starts a process that evaluates expressions.
 *
 * A process, as a thread is not enough: JavaScript that runs out of memory in a thread mostly ends the whole
 * process, whatever the thread's own limits are.
 *
 * It does not keep this process alive unless it evaluates something, and ends with it.
 */
export function startEvaluatorProcess(limits: Limits): EvaluatorProcess {
  const settings: EvaluatorSettings = {
    timeMs: limits.timeMs,
    memoryMb: limits.memoryMb,
    outputBytes: limits.outputBytes,
  }
  const child = fork(PROGRAM, [JSON.stringify(settings)], {
    execArgv: [`--max-old-space-size=${limits.memoryMb}`, '--disallow-code-generation-from-strings'],
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  child.unref()
  child.channel?.unref()

  const ready = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  let answered: ((answer: Answer) => void) | undefined
  let usable = true
  let stopped = false

  child.on('message', (message) => {
    if (message === READY) ready.resolve()
    else if (isAnswer(message)) answered?.(message)
  })
  // When it could not be started there is no exit.
  child.on('error', end)
  child.on('exit', end)

  function end(): void {
    usable = false
    ended.resolve()
  }

  function kill(): void {
    usable = false
    child.kill('SIGKILL')
  }

  async function started(): Promise<void> {
    const timer = setTimeout(kill, START_MS)
    await Promise.race([ready.promise, ended.promise])
    clearTimeout(timer)
    if (!usable) throw unavailable(stopped)
  }

  async function answerTo(request: Request): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>()
    answered = answer.resolve
    let late = false
    function killUnlessAnswered(): void {
      late = true
      kill()
    }
    // After a pause of this process an answer may be waiting to be read; it is, before the immediate runs.
    let immediate: NodeJS.Immediate | undefined
    const timer = setTimeout(() => {
      immediate = setImmediate(killUnlessAnswered)
    }, limits.timeMs + KILL_AFTER_MS)
    child.send(request, () => {})
    const given = await Promise.race([answer.promise, ended.promise])
    answered = undefined
    clearTimeout(timer)
    clearImmediate(immediate)
    if (given !== undefined) return given
    if (late) return { error: `The transformation took longer than ${limits.timeMs} ms; make it simpler.` }
    if (stopped) throw unavailable(stopped)
    return { error: `The transformation needed more than ${limits.memoryMb} MB of memory; make it simpler.` }
  }

  return {
    async evaluate(request) {
      child.ref()
      try {
        await started()
        const start = performance.now()
        const answer = await answerTo(request)
        return { answer, milliseconds: performance.now() - start }
      } finally {
        child.unref()
      }
    },
    usable: () => usable,
    async stop() {
      stopped = true
      child.ref()
      kill()
      await ended.promise
    },
  }
}

function unavailable(stopped: boolean): TransformationError {
  const reason = stopped ? 'The service stops' : 'The process for transformations did not start'
  return new TransformationError(`${reason}; try again.`, { busy: true })
}
