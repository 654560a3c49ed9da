import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { compileFunction } from 'node:vm'
import type jsonata from 'jsonata'
import { exact, withExactNumbers } from './jsonata-numbers.ts'

const path = createRequire(import.meta.url).resolve('jsonata')
const source = withExactNumbers(readFileSync(path, 'utf8'))
const instantiate = compileFunction(source, ['exports', 'module', 'exact'], { filename: path })

/** Deepest nesting of one evaluation, in JSONata's steps: a function that never returns ends here. */
const MAX_DEPTH = 5_000

/**
 * Compiles an expression with a JSONata of its own.
 *
 * Expressions must not share one: the transform operator can reach the definitions of functions and change them
 * for all, as in `{} ~> |$sum|{"implementation": function($x){...}}|`.
 *
 * @param timeMs after which JSONata itself gives up between two of its steps
 * @throws JSONata's error when it cannot be parsed
 */
export function compileIsolated(expression: string, timeMs: number): jsonata.Expression {
  const module: { exports?: typeof jsonata } = {}
  instantiate({}, module, exact)
  if (module.exports === undefined) throw new Error('JSONata is not where it was.')
  return module.exports(expression, { timeout: timeMs, stack: MAX_DEPTH })
}

/**
 * Freezes what JavaScript itself shares between all expressions: nobody can leave something there. It is for a
 * process that only evaluates; call it once.
 */
export function freezeIntrinsics(): void {
  const shared = [Object, Function, Array, String, Number, Boolean, Symbol, RegExp, Date, Promise, Map, Set]
  const errors = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]
  for (const constructor of [...shared, ...errors]) {
    freezeWithFunctions(constructor)
    freezeWithFunctions(constructor.prototype)
  }
  for (const namespace of [Math, JSON, Reflect]) freezeWithFunctions(namespace)
}

function freezeWithFunctions(target: object): void {
  for (const { value } of Object.values(Object.getOwnPropertyDescriptors(target))) {
    if (typeof value === 'function') Object.freeze(value)
  }
  Object.freeze(target)
}
