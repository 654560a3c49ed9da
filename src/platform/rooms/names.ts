/**
 * Names of topics (what live messages are about) and rooms (who observes them): segments with `/` between them.
 *
 * No name holds a space, a comma or a star, so that lists of names and patterns of them need no escapes.
 */

const MAX_SEGMENTS = 8
/** Characters of a whole name. */
export const MAX_LENGTH = 255
const SEGMENT_FORM = '[A-Za-z0-9_.:@~-]{1,128}'
const SEGMENT = new RegExp(`^${SEGMENT_FORM}$`)
/** The form of a name, for schemas, which also need its length. */
export const NAME_FORM = `^${SEGMENT_FORM}(?:/${SEGMENT_FORM}){0,${MAX_SEGMENTS - 1}}$`
const NAME = new RegExp(NAME_FORM)
/** What a message shows of a wrong segment. */
const SHOWN_LENGTH = 40

/** What may stand between the slashes of a name. Numbers and the like are not made texts of. */
export const isSegment = (value: unknown): value is string => typeof value === 'string' && SEGMENT.test(value)

/** Whether a text is the name of a room. Topics have names of the same form. */
export const isRoom = (text: string): boolean => text.length <= MAX_LENGTH && NAME.test(text)

/**
 * Makes a name of its segments.
 *
 * @throws RangeError naming the segment that is wrong, or that there are too many or too much of them
 */
function build({ paths }: { paths: readonly string[] }): string {
  if (paths.length < 1 || paths.length > MAX_SEGMENTS) {
    throw new RangeError(`has ${paths.length} segments, and must have 1 to ${MAX_SEGMENTS}`)
  }
  for (const [index, segment] of paths.entries()) {
    if (isSegment(segment)) continue
    const shown = JSON.stringify(String(segment).slice(0, SHOWN_LENGTH))
    throw new RangeError(
      `has ${shown} as segment ${index + 1}, and a segment is 1 to 128 of A-Z a-z 0-9 _ . : @ ~ -`,
    )
  }
  const name = paths.join('/')
  if (name.length > MAX_LENGTH) {
    throw new RangeError(`has ${name.length} characters, and may have ${MAX_LENGTH}`)
  }
  return name
}

export const WebSocketTopics = { build }
export const WebSocketRooms = { build }
