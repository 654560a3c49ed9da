const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * Reads a comma-separated list of durations such as `5s,2m,1h`.
 *
 * @returns milliseconds, in the order given; empty for an empty text
 * @throws Error naming the part that is not a duration
 */
export function parseDurations(text: string): number[] {
  if (text.trim() === '') return []
  return text.split(',').map((part) => {
    const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(part.trim())
    if (!match) throw new Error(`"${part.trim()}" is not a duration: write a number and ms, s, m, h or d.`)
    return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
  })
}
