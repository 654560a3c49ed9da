/**
 * A text that is the same for JSON values that mean the same, whatever the order of their keys.
 *
 * @param value what JSON.parse gives; members that are undefined are left out
 */
export function canonicalJson(value: unknown): string {
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

/** Digits that a JavaScript number always holds exactly. */
const EXACT_DIGITS = 15

/**
 * JSON.parse, but a number that JavaScript cannot hold exactly becomes the text it was written as, so that
 * two of them which differ stay different.
 */
export function parseKeepingNumbers(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value !== 'number' || context?.source === undefined) return value
    const digits = context.source.replace(/e.*$/i, '').replaceAll(/[-.]/g, '').replace(/^0+/, '')
    const exact = digits.length <= EXACT_DIGITS && Number.isFinite(value) && (value !== 0 || digits === '')
    return exact ? value : { number: context.source }
  })
}
