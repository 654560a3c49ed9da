import assert from 'node:assert/strict'
import { canonicalJson } from '../../src/platform/json/canonical-json.ts'

/**
 * The language of payload filters once more, written plainly to compare with: nothing is compiled, and
 * everything is looked up from the top by its whole path.
 */

export type Json = Record<string, unknown>

export const OPERATORS = new Set(
  'eq ne gt gte lt lte in nin exists startsWith endsWith contains any all not'.split(' '),
)

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const same = (a: unknown, b: unknown): boolean =>
  a !== undefined && b !== undefined && canonicalJson(a) === canonicalJson(b)

function lookUp(payload: unknown, path: readonly string[]): unknown {
  return (path[0] === 'payload' ? path.slice(1) : path).reduce<unknown>(
    (value, name) =>
      typeof value === 'object' && value !== null ? new Map(Object.entries(value)).get(name) : undefined,
    payload,
  )
}

/** @param filter of the right form */
export const filterHolds = (filter: unknown, payload: unknown): boolean =>
  Object.entries(filter as Json).every(([name, value]) => {
    if (name === 'any') return (value as unknown[]).some((part) => filterHolds(part, payload))
    if (name === 'all') return (value as unknown[]).every((part) => filterHolds(part, payload))
    if (name === 'not') return !filterHolds(value, payload)
    return memberHolds(value, payload, name.split('.'))
  })

/**
 * What may stand as the value of a filter's member.
 *
 * @param path whole, with or without the prefix
 */
export function memberHolds(condition: unknown, payload: unknown, path: readonly string[]): boolean {
  if (!isObject(condition)) return same(lookUp(payload, path), condition)
  const members = Object.entries(condition)
  if (members.some(([name]) => OPERATORS.has(name))) {
    return members.every(([name, operand]) => operatorHolds(name, operand, payload, path))
  }
  return members.every(([name, value]) => memberHolds(value, payload, [...path, ...name.split('.')]))
}

function operatorHolds(name: string, operand: unknown, payload: unknown, path: readonly string[]): boolean {
  const value = lookUp(payload, path)
  const order = (): number => {
    if (typeof value === 'number' && typeof operand === 'number') return Math.sign(value - operand)
    if (typeof value !== 'string' || typeof operand !== 'string') return Number.NaN
    const [first] = [value, operand].toSorted()
    if (value === operand) return 0
    return first === value ? -1 : 1
  }
  const text = typeof value === 'string' ? value : undefined
  const operands = operand as unknown[]
  switch (name) {
    case 'eq':
      return same(value, operand)
    case 'ne':
      return !same(value, operand)
    case 'gt':
      return order() > 0
    case 'gte':
      return order() >= 0
    case 'lt':
      return order() < 0
    case 'lte':
      return order() <= 0
    case 'in':
      return operands.some((one) => same(value, one))
    case 'nin':
      return !operands.some((one) => same(value, one))
    case 'exists':
      return operand === (value !== undefined)
    case 'startsWith':
      return text?.slice(0, (operand as string).length) === operand
    case 'endsWith':
      return (
        text !== undefined && operand === text.slice(Math.max(0, text.length - (operand as string).length))
      )
    case 'contains':
      if (Array.isArray(value)) return value.some((item) => same(item, operand))
      return (
        typeof operand === 'string' && text !== undefined && text.split(operand).length > (operand ? 1 : -1)
      )
    case 'any':
      return operands.some((one) => memberHolds(one, payload, path))
    case 'all':
      return operands.every((one) => memberHolds(one, payload, path))
    default:
      assert.equal(name, 'not')
      return !memberHolds(operand, payload, path)
  }
}
