import { ExactNumber } from './exact-numbers.ts'

/**
 * A text that is the same for JSON values that mean the same, whatever the order of their keys.
 *
 * @param value what `parseExactly` gives; members that are undefined are left out
 */
export function canonicalJson(value: unknown): string {
  if (value instanceof ExactNumber) return String(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`)
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value)
}
