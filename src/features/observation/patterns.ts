/**
 * Patterns of rooms, as tokens have them: names in which a segment may be `*`, exactly one segment of any kind,
 * or `**`, any number of them, none included. A star is always a whole segment.
 */
import { isRoom } from '../../platform/rooms/names.ts'

const STARS = /(?<=^|\/)\*{1,2}(?=\/|$)/g

/** Whether a text is a pattern. It has no more segments and characters than the name of a room may have. */
export const isRoomPattern = (text: string): boolean =>
  isRoom(text.replace(STARS, (stars) => 'x'.repeat(stars.length)))

/**
 * Whether any of some patterns matches a room. What is no name of a room matches none.
 *
 * @param patterns of the right form
 */
export function compileRoomPatterns(patterns: readonly string[]): (room: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const wild = patterns.filter((pattern) => pattern.includes('*')).map((pattern) => pattern.split('/'))
  return (room) => {
    if (exact.has(room)) return true
    if (wild.length === 0 || !isRoom(room)) return false
    const segments = room.split('/')
    return wild.some((pattern) => matchesSegments(pattern, segments))
  }
}

/** Goes through the pattern once, keeping whether it can have used the first n segments so far. */
function matchesSegments(pattern: readonly string[], segments: readonly string[]): boolean {
  let used = [true, ...segments.map(() => false)]
  for (const part of pattern) {
    const fewest = used.indexOf(true)
    if (fewest === -1) return false
    used = used.map((_, count) => {
      if (part === '**') return count >= fewest
      return used[count - 1] === true && (part === '*' || part === segments[count - 1])
    })
  }
  return used[segments.length] === true
}
