import { isNumber } from '../../../platform/json/exact-numbers.ts'
import { isRoom, isSegment, WebSocketRooms } from '../../../platform/rooms/names.ts'
import { memberOf } from '../../matching/index.ts'

/**
 * Makes a name from a payload, as `parseExactly` gives it; undefined when a place is filled with nothing, or with what
 * is no segment.
 */
export type Template = (payload: unknown) => string | undefined

interface Part {
  before: string
  /** Names of members that lead to a value in the payload; undefined in a segment without a place. */
  path: readonly string[] | undefined
  after: string
}

/** One place at most, so that two different values never make the same segment. */
const PART = /^([A-Za-z0-9_.:@~-]*)(?:\{payload((?:\.[^.{}]+)+)\}([A-Za-z0-9_.:@~-]*))?$/

/**
 * Reads the template of a topic or a room: a name with places such as `{payload.order.id}`, at most one in each
 * segment. A place is filled with a string, an integer of at most 21 digits, true or false; each must be
 * a segment itself.
 *
 * @throws RangeError saying, for the person who wrote it, what is wrong
 */
export function parseTemplate(text: string): Template {
  const parts = text.split('/').map(readPart)
  const shortest = parts.map(({ before, path, after }) => before + (path ? 'x' : '') + after)
  const name = WebSocketRooms.build({ paths: shortest })
  if (parts.every(({ path }) => path === undefined)) return () => name
  return (payload) => {
    const segments: string[] = []
    for (const { before, path, after } of parts) {
      const value = path ? textOf(path.reduce(memberOf, payload)) : ''
      if (value === undefined) return undefined
      segments.push(before + value + after)
    }
    const filled = segments.join('/')
    return isRoom(filled) ? filled : undefined
  }
}

function readPart(segment: string): Part {
  const found = PART.exec(segment)
  if (!found) {
    throw new RangeError(
      `has ${JSON.stringify(segment)} as a segment, and a segment is made of A-Z a-z 0-9 _ . : @ ~ - and at most one place such as {payload.id}`,
    )
  }
  const [, before = '', path, after = ''] = found
  return { before, path: path?.split('.').slice(1), after }
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'boolean') return String(value)
  if (isNumber(value)) return /^-?\d+$/.exec(String(value))?.[0]
  return isSegment(value) ? value : undefined
}
