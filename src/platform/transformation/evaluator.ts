/**
 * The program of an evaluator's process: answers one request after the other. Whoever started it gives it flags
 * for its memory, an empty environment, and ends it when an answer takes too long.
 */
import { Worker } from 'node:worker_threads'
import type jsonata from 'jsonata'
import { LRUCache } from 'lru-cache'
import { parseExactly } from '../json/exact-numbers.ts'
import { errorMessage } from './error-message.ts'
import { compileIsolated, freezeIntrinsics } from './isolated-jsonata.ts'
import { plainJson } from './plain-json.ts'
import { READY } from './protocol.ts'
import type { Answer, EvaluatorSettings, Request } from './protocol.ts'

const settings: EvaluatorSettings = JSON.parse(process.argv[2] ?? '')

/** What a compiled expression takes of the memory, with its JSONata, rounded up from what was measured. */
const JSONATA_BYTES = 200_000
const BYTES_PER_CHARACTER = 200
const CACHED_SHARE = 1 / 4

const cache = new LRUCache<string, jsonata.Expression>({
  maxSize: settings.memoryMb * 1_000_000 * CACHED_SHARE,
  sizeCalculation: (_compiled, expression) => JSONATA_BYTES + BYTES_PER_CHARACTER * expression.length,
})

/**
 * A compiled expression is kept, unless it has what it takes to change its JSONata: the transform operator, or
 * expressions that come as data.
 */
const CAN_CHANGE_JSONATA = /\||\$eval/

function compile(expression: string): jsonata.Expression {
  const known = cache.get(expression)
  if (known !== undefined) return known
  const compiled = compileIsolated(expression, settings.timeMs)
  if (!CAN_CHANGE_JSONATA.test(expression)) cache.set(expression, compiled)
  return compiled
}

async function answer(request: Request): Promise<Answer> {
  try {
    const value: unknown = await compile(request.expression).evaluate(parseExactly(request.input))
    return { output: plainJson(value, settings.outputBytes) }
  } catch (error) {
    return { error: errorMessage(error) }
  }
}

process.on('message', (request: Request) => {
  // The answer waits until nothing of the evaluation runs any more: JSONata evaluates the items of an array at the
  // same time, and the first error is not the end of the others. What goes on forever must not look done.
  void answer(request).then((given) => setImmediate(() => process.send?.(given)))
})

// A terminal sends its signals to the whole group; when to end is up to the process that started this one.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})

new Worker(new URL('end-with-parent.ts', import.meta.url)).unref()
freezeIntrinsics()
process.send?.(READY)
