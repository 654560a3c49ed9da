import { Type } from '@sinclair/typebox'

/**
 * Patterns over event type names, which are segments joined by dots.
 *
 * - `order.placed` matches that name alone.
 * - `*` stands for exactly one segment: `order.*` matches `order.placed`, not `order` nor `order.item.added`.
 * - `**` stands for one segment or more: `order.**` matches `order.placed` and `order.item.added`, not `order`.
 * - The pattern `*` alone matches every name.
 *
 * A star is always a whole segment; `ord*` is no pattern.
 */

/** The form of a pattern, for schemas. */
export const PATTERN_FORM = '^(?:[a-z0-9_]*|\\*{1,2})(?:\\.(?:[a-z0-9_]*|\\*{1,2}))*$'

export const EventPattern = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: PATTERN_FORM,
  examples: ['order.*'],
})

export type Matches = (type: string) => boolean

/** Whether any of some patterns of the right form matches. */
export function compilePatterns(patterns: readonly string[]): Matches {
  if (patterns.includes('*')) return () => true
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const wild = patterns.filter((pattern) => pattern.includes('*')).map((pattern) => pattern.split('.'))
  return (type) => {
    if (exact.has(type)) return true
    if (wild.length === 0) return false
    const segments = type.split('.')
    return wild.some((pattern) => matchesSegments(pattern, segments))
  }
}

/** Goes through the pattern once, keeping which numbers of segments it can have used so far. */
function matchesSegments(pattern: readonly string[], segments: readonly string[]): boolean {
  let used = new Set([0])
  for (const part of pattern) {
    const next = new Set<number>()
    for (const count of used) {
      if (count >= segments.length) continue
      if (part === '**') for (let more = count + 1; more <= segments.length; more++) next.add(more)
      else if (part === '*' || part === segments[count]) next.add(count + 1)
    }
    used = next
  }
  return used.has(segments.length)
}
