/**
 * Filters over the payloads of events.
 *
 * A filter is an object whose members must all hold; `{}` matches every payload.
 *
 * **Paths.** A member's name is a path into the payload, of segments joined by dots: `customer.country`.
 * Digits are an index into an array (`items.0.sku`) and the name of a member in an object. The prefix
 * `payload.` may be written or left out: `payload.order.id` is `order.id`, and `payload` alone is the payload
 * as a whole. A payload's own member called `payload` is reached by `payload.payload`. Only what stands in the
 * JSON is reached, never a `length` or anything else that JavaScript adds. Members with an empty name or a dot
 * in their name cannot be reached.
 *
 * **Values.** A member's value is
 * - a string, a number, true, false, null or an array: short for `eq` with it;
 * - an object of operators: a condition, of which every operator must hold;
 * - an object without operators: it leads on, so that `{"customer": {"country": "DE"}}` is
 *   `{"customer.country": "DE"}`. An empty object asks for nothing.
 *
 * An object with operators and other names is refused. A member of the payload that is called like an operator
 * is written with a path that leads to it: `customer.all`.
 *
 * **Operators.**
 * - `eq`, `ne`: equal as JSON, whatever the order of members; `ne` is not `eq`, and holds for what is missing.
 * - `gt`, `gte`, `lt`, `lte`: a number with a number by size, a string with a string by UTF-16 code units;
 *   for anything else they do not hold.
 * - `in`, `nin`: equal to one of a list of values; `nin` is not `in`, and holds for what is missing.
 * - `exists`: true or false. What is null exists.
 * - `startsWith`, `endsWith`: of strings.
 * - `contains`: a string that is part of the string, or a value that is equal to an element of the array.
 * - `any`, `all`: some or all of a list of conditions hold, each of which is what may stand in the member's
 *   place (`{"amount": {"any": [5, {"gt": 10}]}}`). The list is not empty.
 * - `not`: what may stand in the member's place does not hold.
 *
 * **Filters in filters.** In a filter itself `any` and `all` take lists of filters and `not` takes a filter:
 * `{"any": [{"type": "a"}, {"amount": {"gt": 5}}]}`. They may stand next to paths. Other operators may not
 * stand there. A payload's member called like an operator is written `payload.any`.
 *
 * **With `$`.** Every operator may be written with a `$`, as in `{"amount": {"$gt": 5}}`; `$or` is `any`, and
 * `$and` is `all`. Any other name that begins with `$` is refused; a payload's member of such a name is written
 * with the path that leads to it: `payload.$ref`, `customer.$gt`.
 *
 * **Numbers** are compared by their decimal values, whatever their size: 1.0, 1 and 1e0 are equal, -0 and 0 are,
 * and 9007199254740993 is greater than 9007199254740992.
 *
 * **Limits.** 100 conditions, which are the operators that compare and the values that are short for `eq`;
 * 10 levels, where the filter is the first and each object or array in it is one deeper than what it stands in,
 * without counting the lists of `any` and `all`; 20 segments and 500 characters (UTF-16 code units) of a whole
 * path, without the prefix; 8,192 bytes of JSON; 10 `contains`, of texts of at most 200 characters, because each
 * may look through the whole payload.
 */
import type { Violation } from '../../platform/json-schema/json-schema.ts'
import { escapePointer } from '../../platform/json-schema/json-schema.ts'
import { Problem } from '../../platform/http/problems.ts'
import { AnyObject } from '../../platform/http/schemas.ts'
import { allOf, always, anyOf, at, COMPARISONS, isStructure, not } from './filter-operators.ts'
import type { PayloadMatches } from './filter-operators.ts'

export type { PayloadMatches }

/** The form of a filter, for schemas: loose, as compileFilter has the exact rules. */
export const PayloadFilter = AnyObject({
  description:
    'Which payloads are meant: paths into the payload with values or operators (`eq`, `ne`, `gt`, `gte`, ' +
    '`lt`, `lte`, `in`, `nin`, `exists`, `startsWith`, `endsWith`, `contains`, `any`, `all`, `not`, each also ' +
    'with a `$` before it), which must all hold. `{}` matches every payload.',
  examples: [{ 'customer.country': 'DE', amount: { gte: 100 } }],
})

const MAX_CONDITIONS = 100
/** Each may look through the whole payload, and compare its operand at every place. */
const MAX_CONTAINS = 10
const MAX_CONTAINS_CHARACTERS = 200
const MAX_DEPTH = 10
/** Of JSON: no filter of ten levels comes near. What is beyond it could overflow the stack. */
const MAX_NESTING = 100
const MAX_SEGMENTS = 20
const MAX_PATH_CHARACTERS = 500
const MAX_BYTES = 8_192
const PREFIX = 'payload'
const LOGIC = new Set(['any', 'all', 'not'])
const SIGN = '$'
/** What people know from other filters. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['$or', 'any'],
  ['$and', 'all'],
])

/**
 * Makes a function of a filter. It takes any JSON value, parsed by `parseExactly`, and never throws; what it costs
 * grows with the payload and with the filter only.
 *
 * @param filter parsed, with its numbers kept
 *
 * @throws Problem `invalid-filter` listing each violation with JSON pointers that begin with `/filter`; of a
 *   filter that is too large or much too deep only that is said
 */
export function compileFilter(filter: Record<string, unknown>): PayloadMatches {
  const top = { pointer: '/filter', depth: 1 }
  if (isDeeperThan(MAX_NESTING, filter)) throw refusal([{ pointer: top.pointer, detail: TOO_DEEP }])
  const bytes = Buffer.byteLength(JSON.stringify(filter))
  if (bytes > MAX_BYTES) {
    throw refusal([{ pointer: top.pointer, detail: `takes ${bytes} bytes, and may take ${MAX_BYTES}` }])
  }
  const reader = new FilterReader()
  const matches = reader.readFilter(filter, top)
  const tooMany = [
    ...excess(reader.conditions, MAX_CONDITIONS, 'conditions'),
    ...excess(reader.contains, MAX_CONTAINS, 'contains'),
  ]
  if (tooMany.length > 0) {
    throw refusal([...tooMany.map((detail) => ({ pointer: top.pointer, detail })), ...reader.violations])
  }
  if (reader.violations.length > 0) throw refusal(reader.violations)
  return matches
}

const refusal = (violations: readonly Violation[]): Problem =>
  new Problem('invalid-filter', 'The filter cannot be used. Change what the errors name.', violations)

const excess = (count: number, max: number, what: string): string[] =>
  count > max ? [`has ${count} ${what}, and may have ${max}`] : []

const isDeeperThan = (levels: number, value: unknown): boolean =>
  isStructure(value) &&
  (levels === 0 || Object.values(value).some((member) => isDeeperThan(levels - 1, member)))

const MAX_SHOWN = 100
const shortened = (path: string): string =>
  path.length > MAX_SHOWN ? `${path.slice(0, MAX_SHOWN).toWellFormed()}…` : path

const TOO_DEEP = `is nested deeper than ${MAX_DEPTH} levels`
const NO_OPERATOR =
  `is no operator; the operators are ${[...COMPARISONS.keys(), ...LOGIC].map((name) => SIGN + name).join(', ')}, ` +
  `each with or without ${SIGN}, and $or and $and`

/** The operator that a name stands for, if any. */
function operatorOf(name: string): string | undefined {
  const operator = ALIASES.get(name) ?? (name.startsWith(SIGN) ? name.slice(SIGN.length) : name)
  return COMPARISONS.has(operator) || LOGIC.has(operator) ? operator : undefined
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  isStructure(value) && !Array.isArray(value)

/** Where something stands in a filter. */
interface Place {
  pointer: string
  depth: number
  /** Segments that lead there; undefined in a filter itself, where the prefix may follow. */
  path?: readonly string[]
}

/** What may stand at a place: a filter, or the value of a member. */
type Read = (value: unknown, place: Place) => PayloadMatches

const below = (place: Place, name: string | number): Place => ({
  ...place,
  pointer: `${place.pointer}/${escapePointer(String(name))}`,
  depth: place.depth + 1,
})

/** Reads one filter. What it gives is of use only if there are no violations. */
class FilterReader {
  readonly violations: Violation[] = []
  conditions = 0
  contains = 0

  readFilter: Read = (filter, place) => {
    if (!isObject(filter)) return this.#refuse(place, 'must be a filter, which is an object')
    if (this.#isTooDeep(place)) return always
    return allOf(
      Object.entries(filter).map(([name, value]) => {
        const inside = below(place, name)
        const operator = operatorOf(name)
        if (operator === undefined) return this.#readMember(name, value, inside)
        if (LOGIC.has(operator)) return this.#readLogic(operator, value, inside, this.readFilter)
        return this.#refuse(
          inside,
          `is an operator, which needs a path; a member of the payload is written ${PREFIX}.${name}`,
        )
      }),
    )
  }

  #readMember(name: string, value: unknown, place: Place): PayloadMatches {
    if (name.startsWith(SIGN)) {
      const path = [PREFIX, ...(place.path ?? []), name].join('.')
      return this.#refuse(place, `${NO_OPERATOR}; a member of the payload is written ${shortened(path)}`)
    }
    const segments = name.split('.')
    if (segments.includes('')) return this.#refuse(place, 'is a path with an empty segment')
    if (place.path === undefined && segments[0] === PREFIX) segments.shift()
    const path = [...(place.path ?? []), ...segments]
    if (path.length > MAX_SEGMENTS) {
      return this.#refuse(place, `is a path of more than ${MAX_SEGMENTS} segments`)
    }
    if (path.join('.').length > MAX_PATH_CHARACTERS) {
      return this.#refuse(place, `is a path of more than ${MAX_PATH_CHARACTERS} characters`)
    }
    return at(segments, this.#readValue(value, { ...place, path }))
  }

  #readValue: Read = (value, place) => {
    if (!isObject(value)) return this.#readComparison('eq', value, place)
    if (this.#isTooDeep(place)) return always
    const members = Object.entries(value)
    const operators = members.filter(([name]) => operatorOf(name) !== undefined)
    const unknown = members.filter(([name]) => name.startsWith(SIGN) && operatorOf(name) === undefined)
    if (unknown.length > 0) {
      for (const [name, operand] of unknown) this.#readMember(name, operand, below(place, name))
      return always
    }
    if (operators.length > 0 && operators.length < members.length) {
      const names = operators.map(([name]) => name).join(', ')
      return this.#refuse(
        place,
        `has operators (${names}) next to other names; a member of the payload that is called like an ` +
          'operator is written with the path to it',
      )
    }
    return allOf(
      members.map(([name, operand]) => {
        const inside = below(place, name)
        const operator = operatorOf(name)
        if (operator === undefined) return this.#readMember(name, operand, inside)
        return LOGIC.has(operator)
          ? this.#readLogic(operator, operand, inside, this.#readValue)
          : this.#readComparison(operator, operand, inside)
      }),
    )
  }

  #readLogic(name: string, operand: unknown, place: Place, read: Read): PayloadMatches {
    if (name === 'not') return not(read(operand, place))
    if (!Array.isArray(operand)) return this.#refuse(place, 'must be a list of conditions')
    if (operand.length === 0) return this.#refuse(place, 'must have a condition')
    const parts = operand.map((part, index) => read(part, { ...below(place, index), depth: place.depth }))
    return name === 'any' ? anyOf(parts) : allOf(parts)
  }

  #readComparison(name: string, operand: unknown, place: Place): PayloadMatches {
    this.conditions++
    if (name === 'contains') {
      this.contains++
      if (typeof operand === 'string' && operand.length > MAX_CONTAINS_CHARACTERS) {
        return this.#refuse(place, `must be at most ${MAX_CONTAINS_CHARACTERS} characters long`)
      }
    }
    const matches = COMPARISONS.get(name)?.(operand) ?? always
    if (typeof matches === 'string') return this.#refuse(place, matches)
    this.#checkDepth(operand, place)
    return matches
  }

  #checkDepth(value: unknown, place: Place): void {
    if (!isStructure(value) || this.#isTooDeep(place)) return
    for (const [name, member] of Object.entries(value)) this.#checkDepth(member, below(place, name))
  }

  #isTooDeep(place: Place): boolean {
    if (place.depth <= MAX_DEPTH) return false
    this.#refuse(place, TOO_DEEP)
    return true
  }

  #refuse({ pointer }: Place, detail: string): PayloadMatches {
    this.violations.push({ pointer, detail })
    return always
  }
}
