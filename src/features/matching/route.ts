import { canonicalJson } from '../../platform/json/canonical-json.ts'
import { sha256 } from '../../platform/secrets/secret-box.ts'
import { compileFilter } from './filter.ts'
import type { Flow } from './flow.ts'
import { compilePatterns, type Matches } from './patterns.ts'

/** Longer keys are known by their digests. */
const MAX_KEY_LENGTH = 200

/** What of a subscription decides on the events it gets. */
export interface RoutedSubscription {
  id: string
  patterns: readonly string[]
  filter: Record<string, unknown> | null
  ordering: Flow['ordering'] | null
}

/** What is looked at of an event. */
export interface RoutedEvent {
  type: string
  orgid?: string | undefined
  /** As `parseExactly` gives it; asked only when something depends on it. */
  payload: () => unknown
}

/** Which events a subscription gets, and in which order. */
export interface Route {
  subscriptionId: string
  matchesType: Matches
  /** Whether an event of a matching type passes the filter. */
  accepts(event: RoutedEvent): boolean
  /** Events with the same key are delivered one after the other; null for those in no order. */
  orderingKey(event: RoutedEvent): string | null
}

export function compileRoute({ id, patterns, filter, ordering }: RoutedSubscription): Route {
  const passes = filter === null ? undefined : compileFilter(filter)
  return {
    subscriptionId: id,
    matchesType: compilePatterns(patterns),
    accepts: ({ payload }) => passes?.(payload() ?? {}) ?? true,
    orderingKey: compileKey(ordering),
  }
}

function compileKey(ordering: Flow['ordering'] | null): Route['orderingKey'] {
  if (!ordering) return () => null
  const { key } = ordering
  if (key === undefined) return () => ''
  if (key === 'type') return ({ type }) => type
  if (key === 'orgid') return ({ orgid }) => orgid ?? null
  const [, ...names] = key.split('.')
  return ({ payload }) => keyText(names.reduce(member, payload()))
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined

/** Different values have different keys: the number 1 is not the text "1". */
function keyText(value: unknown): string | null {
  if (value === undefined || value === null) return null
  const text = canonicalJson(value)
  if (text.length <= MAX_KEY_LENGTH && !text.includes('\\u')) return text
  return `sha256:${sha256(text).toString('hex')}`
}
