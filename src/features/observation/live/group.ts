import type { Slice } from '../../events/index.ts'
import { compilePatterns } from '../../matching/index.ts'
import type { Encoding } from './encoding.ts'

/** Observers that are sent the same bytes: the same rooms and types over the same transport. */
export interface Group<Member> {
  readonly key: string
  readonly rooms: ReadonlySet<string>
  readonly encoding: Encoding
  /** All its observers. */
  readonly members: Set<Member>
  /** Those that are given events as they come; the others read the log at their own pace. */
  readonly live: Set<Member>
  /** What the group is sent of a slice, made once; undefined when nothing of it is for the group. */
  encode(slice: Slice): Buffer | undefined
  /** The same for an observer that has so many of the first event's messages already. */
  encodeFrom(slice: Slice, given: number): Buffer | undefined
}

export const groupKey = (encoding: Encoding, rooms: readonly string[], types: readonly string[]): string =>
  `${encoding.name} ${rooms.join(',')} ${types.join(',')}`

export function createGroup<Member>(
  encoding: Encoding,
  rooms: readonly string[],
  types: readonly string[],
): Group<Member> {
  const observed = new Set(rooms)
  const matches = compilePatterns([...types])
  const key = groupKey(encoding, rooms, types)

  function encodeFrom({ events }: Slice, given: number): Buffer | undefined {
    const parts: Buffer[] = []
    for (const [index, event] of events.entries()) {
      if (event.rooms.length === 0 || !matches(event.type)) continue
      const own = event.rooms.filter((room) => observed.has(room))
      if (own.length > 0) parts.push(encoding.event(event, own, index === 0 ? given : 0))
    }
    return parts.length > 1 ? Buffer.concat(parts) : parts[0]
  }

  return {
    key,
    rooms: observed,
    encoding,
    members: new Set(),
    live: new Set(),
    encode(slice) {
      if (!slice.made.has(key)) slice.made.set(key, encodeFrom(slice, 0))
      return slice.made.get(key) as Buffer | undefined
    },
    encodeFrom,
  }
}
