import { compareNumbers, ExactNumber, isNumber, settled } from '../../platform/json/exact-numbers.ts'

/** Tells of a value, as `parseExactly` gives it; undefined stands for one that is missing. */
export type PayloadMatches = (value: unknown) => boolean

/** Compares with an operand; for an operand that it cannot take, says what it must be. */
type Comparison = (operand: unknown) => PayloadMatches | string

export const isStructure = (value: unknown): value is Record<string, unknown> | unknown[] =>
  typeof value === 'object' && value !== null && !(value instanceof ExactNumber)

/** Payloads have no `ExactNumber` where a double will do, so that most are compared as JavaScript compares. */
const settledScalar = (value: unknown): unknown => (value instanceof ExactNumber ? settled(value) : value)

/** The operators that compare a value with data. */
export const COMPARISONS: ReadonlyMap<string, Comparison> = new Map<string, Comparison>([
  ['eq', equalTo],
  ['ne', (operand) => not(equalTo(operand))],
  ['gt', ordered((order) => order > 0)],
  ['gte', ordered((order) => order >= 0)],
  ['lt', ordered((order) => order < 0)],
  ['lte', ordered((order) => order <= 0)],
  ['in', (operand) => (Array.isArray(operand) ? oneOf(operand) : NOT_A_LIST)],
  ['nin', (operand) => (Array.isArray(operand) ? not(oneOf(operand)) : NOT_A_LIST)],
  ['exists', exists],
  ['startsWith', ofStrings((value, operand) => value.startsWith(operand))],
  ['endsWith', ofStrings((value, operand) => value.endsWith(operand))],
  ['contains', contains],
])

const NOT_A_LIST = 'must be a list of values'

export const always: PayloadMatches = () => true

export const not =
  (matches: PayloadMatches): PayloadMatches =>
  (value) =>
    !matches(value)

export function allOf(parts: readonly PayloadMatches[]): PayloadMatches {
  const [first = always] = parts
  return parts.length < 2 ? first : (value) => parts.every((matches) => matches(value))
}

export const anyOf =
  (parts: readonly PayloadMatches[]): PayloadMatches =>
  (value) =>
    parts.some((matches) => matches(value))

/** Looks for what a path leads to, and asks of that. */
export function at(path: readonly string[], matches: PayloadMatches): PayloadMatches {
  if (path.length === 0) return matches
  return (value) => {
    for (const segment of path) value = memberOf(value, segment)
    return matches(value)
  }
}

/** What stands in the JSON under a name or a number; undefined where there is nothing. */
export function memberOf(value: unknown, name: string): unknown {
  if (!isStructure(value) || !Object.hasOwn(value, name)) return undefined
  // an array's `length` is its own, too, but no number
  return Array.isArray(value) ? value[Number(name)] : value[name]
}

function equalTo(operand: unknown, count = countOnce): PayloadMatches {
  const equals = equalityWith(operand)
  return (value) => equals(value, count)
}

function oneOf(operands: readonly unknown[]): PayloadMatches {
  const structures = operands.filter(isStructure).map(equalityWith)
  const all = operands.filter((operand) => !isStructure(operand)).map(settledScalar)
  const scalars = new Set(all.filter((operand) => !(operand instanceof ExactNumber)))
  const exact = new Set(all.filter((operand) => operand instanceof ExactNumber).map(String))
  return (value) => {
    if (value instanceof ExactNumber) return exact.has(String(value))
    if (!isStructure(value)) return scalars.has(value)
    return structures.some((equals) => equals(value, countOnce))
  }
}

type Count = (value: object) => number

const countMembers: Count = (value) => Object.keys(value).length

const counts = new WeakMap<object, number>()

/** Many conditions may be alike in all but their size; members of a large value are counted for the first. */
const countOnce: Count = (value) => {
  const count = counts.get(value) ?? countMembers(value)
  counts.set(value, count)
  return count
}

/** Whether a JSON value means the same as the operand. Goes no deeper than the operand does. */
function equalityWith(operand: unknown): (value: unknown, count: Count) => boolean {
  if (!isStructure(operand)) {
    const scalar = settledScalar(operand)
    return scalar instanceof ExactNumber
      ? (value) => value instanceof ExactNumber && compareNumbers(value, scalar) === 0
      : (value) => value === scalar
  }
  if (Array.isArray(operand)) {
    const items = operand.map(equalityWith)
    return (value, count) =>
      Array.isArray(value) &&
      value.length === items.length &&
      items.every((equals, index) => equals(value[index], count))
  }
  const members = Object.entries(operand).map(([name, member]) => ({ name, equals: equalityWith(member) }))
  return (value, count) =>
    isStructure(value) &&
    !Array.isArray(value) &&
    members.every(({ name, equals }) => Object.hasOwn(value, name) && equals(value[name], count)) &&
    members.length === count(value)
}

/** @param holds whether it holds for a value that is smaller (less than 0), equal (0) or greater */
function ordered(holds: (order: number) => boolean): Comparison {
  return (operand) => {
    if (isNumber(operand)) {
      const number = settled(operand)
      return (value) => isNumber(value) && holds(compareNumbers(value, number))
    }
    if (typeof operand === 'string') {
      return (value) => typeof value === 'string' && holds(value === operand ? 0 : value < operand ? -1 : 1)
    }
    return 'must be a number or a string'
  }
}

function ofStrings(holds: (value: string, operand: string) => boolean): Comparison {
  return (operand) =>
    typeof operand === 'string'
      ? (value) => typeof value === 'string' && holds(value, operand)
      : 'must be a string'
}

function exists(operand: unknown): PayloadMatches | string {
  if (typeof operand !== 'boolean') return 'must be true or false'
  return (value) => (value !== undefined) === operand
}

function contains(operand: unknown): PayloadMatches {
  const wanted = settledScalar(operand)
  const isElement =
    isStructure(wanted) || wanted instanceof ExactNumber ? equalTo(wanted, countMembers) : undefined
  return (value) => {
    if (Array.isArray(value)) return isElement ? value.some(isElement) : value.includes(wanted)
    return typeof value === 'string' && typeof operand === 'string' && value.includes(operand)
  }
}
