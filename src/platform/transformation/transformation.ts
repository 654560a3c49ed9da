import jsonata from 'jsonata'
import { LRUCache } from 'lru-cache'
import pLimit from 'p-limit'
import { errorMessage } from './error-message.ts'
import type { Evaluation } from './evaluator-process.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import type { Limits } from './limits.ts'
import { createProcessPool } from './process-pool.ts'
import type { Use } from './process-pool.ts'
import { TransformationError } from './transformation-error.ts'

export { TransformationError } from './transformation-error.ts'

/** An expression is slow for a minute after it took this share of its time, or more. */
const SLOW_SHARE = 1 / 5
const SLOW_MS = 60_000
const SLOW_KNOWN = 1_000

/**
 * Evaluates a JSONata expression on JSON text.
 *
 * Numbers of the input that a double does not stand for are compared and passed on exactly; arithmetic with them fails,
 * unless they are fractions of which a double has the first 15 digits.
 *
 * @returns the result as JSON text
 * @throws TransformationError in words for the author of the expression
 */
export type Transform = (expression: string, input: string) => Promise<string>

export interface Transformer {
  transform: Transform
  /**
   * Parses an expression, without evaluating it.
   *
   * @throws TransformationError when it is not JSONata or too long
   */
  check: (expression: string) => void
  /** Ends all processes. What runs or waits fails with an error that is `busy`. */
  close: () => Promise<void>
}

/**
 * Evaluates expressions of tenants, which may be hostile, in processes of their own.
 *
 * The processes start when they are needed. Expressions that were slow lately have their turns one after the
 * other, so that the other processes are left to the rest.
 *
 * @param changes to the default limits
 */
export function createTransformer(changes: Partial<Limits> = {}): Transformer {
  const limits = { ...DEFAULT_LIMITS, ...changes }
  const turns = pLimit(limits.processes)
  const slowTurns = pLimit(1)
  const slow = new LRUCache<string, true>({ max: SLOW_KNOWN, ttl: SLOW_MS })
  const pool = createProcessPool(limits)
  let closing: Promise<void> | undefined

  function refuseWhenClosed(): void {
    if (closing !== undefined) throw new TransformationError('The service stops; try again.', { busy: true })
  }

  async function evaluate(expression: string, input: string, use: Use): Promise<Evaluation> {
    refuseWhenClosed()
    const process = pool.take(use)
    try {
      const evaluation = await process.evaluate({ expression, input })
      if (evaluation.milliseconds >= limits.timeMs * SLOW_SHARE) slow.set(expression, true)
      return evaluation
    } finally {
      pool.giveBack(process, use)
    }
  }

  async function inTurn(expression: string, input: string): Promise<Evaluation> {
    const queue = slow.has(expression) ? slowTurns : turns
    if (queue.pendingCount >= limits.waiting) {
      throw new TransformationError('Too many transformations are waiting; try again.', { busy: true })
    }
    if (queue === turns) {
      // It may have turned out to be slow while this one waited.
      const evaluation = await turns(() =>
        slow.has(expression) ? undefined : evaluate(expression, input, 'quick'),
      )
      if (evaluation !== undefined) return evaluation
    }
    return slowTurns(() => turns(() => evaluate(expression, input, 'slow')))
  }

  function refuseTooLong(expression: string): void {
    if (Buffer.byteLength(expression) <= limits.expressionBytes) return
    throw new TransformationError(
      `The expression is longer than ${limits.expressionBytes} bytes; make it shorter.`,
    )
  }

  return {
    async transform(expression, input) {
      refuseTooLong(expression)
      refuseWhenClosed()
      const { answer } = await inTurn(expression, input)
      if ('error' in answer) throw new TransformationError(answer.error)
      return answer.output
    },
    check(expression) {
      refuseTooLong(expression)
      try {
        jsonata(expression)
      } catch (error) {
        throw new TransformationError(errorMessage(error))
      }
    },
    async close() {
      closing ??= pool.stop()
      await closing
    },
  }
}
