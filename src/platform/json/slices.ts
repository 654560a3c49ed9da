/**
 * Finds where the parts of a JSON text begin and end, so that a part can be stored and passed on exactly as
 * it was sent: no number loses digits, no key changes place, and nothing is serialised again.
 *
 * The text must have passed JSON.parse; nothing is checked here.
 */

export type Slice = readonly [from: number, to: number]

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const BACKSLASH = 0x5c
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

function skipSpace(text: string, at: number): number {
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

/** @param at the opening quote; @returns the index after the closing one */
function skipString(text: string, at: number): number {
  let end = at
  for (;;) {
    end = text.indexOf('"', end + 1)
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end + 1
  }
}

/** @param at the first character of a value; @returns the index after its last */
function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at)
  if (first === QUOTE) return skipString(text, at)
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    while (at < text.length) {
      const code = text.charCodeAt(at)
      if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code)) break
      at++
    }
    return at
  }
  let depth = 0
  for (;;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = skipString(text, at)
      continue
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--
    at++
    if (depth === 0) return at
  }
}

/**
 * Goes over the members of an object, reading each character once.
 *
 * @param at where the object begins (white space before it is skipped)
 * @param visit gets a member's name and where its value begins; @returns where the value ends
 * @returns where the object ends
 */
function walkMembers(text: string, at: number, visit: (name: string, at: number) => number): number {
  at = skipSpace(text, skipSpace(text, at) + 1)
  while (text.charCodeAt(at) !== CLOSE_BRACE) {
    const keyEnd = skipString(text, at)
    const key = text.slice(at, keyEnd)
    at = skipSpace(text, keyEnd)
    if (text.charCodeAt(at) === COLON) at = skipSpace(text, at + 1)
    const end = visit(key.includes('\\') ? (JSON.parse(key) as string) : key.slice(1, -1), at)
    at = skipSpace(text, end)
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1)
  }
  return at + 1
}

/** Goes over the elements of an array in the same way. */
function walkElements(text: string, at: number, visit: (at: number) => number): number {
  at = skipSpace(text, skipSpace(text, at) + 1)
  while (text.charCodeAt(at) !== CLOSE_BRACKET) {
    at = skipSpace(text, visit(at))
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1)
  }
  return at + 1
}

/**
 * Where the value of a member of an object is.
 *
 * @param at where the object begins (white space before it is skipped)
 * @returns undefined when there is no such member; of a repeated one the last, as JSON.parse takes it
 */
export function memberSlice(text: string, name: string, at = 0): Slice | undefined {
  let found: Slice | undefined
  walkMembers(text, at, (key, from) => {
    const to = skipValue(text, from)
    if (key === name) found = [from, to]
    return to
  })
  return found
}

/** Where the elements of an array are. @param at where the array begins (white space before it is skipped) */
export function elementSlices(text: string, at = 0): Slice[] {
  const slices: Slice[] = []
  walkElements(text, at, (from) => {
    const to = skipValue(text, from)
    slices.push([from, to])
    return to
  })
  return slices
}

/**
 * Where a member of each element of a list is, in one pass over the text, which begins with an object.
 *
 * @param list the name of the object's member that holds the list, an array of objects
 * @param name that of the member in each element
 * @returns one for each element, undefined where it has no such member
 */
export function listMemberSlices(text: string, list: string, name: string): (Slice | undefined)[] {
  let slices: (Slice | undefined)[] = []
  walkMembers(text, 0, (key, at) => {
    if (key !== list) return skipValue(text, at)
    slices = []
    return walkElements(text, at, (element) => {
      let found: Slice | undefined
      const end = walkMembers(text, element, (member, from) => {
        const to = skipValue(text, from)
        if (member === name) found = [from, to]
        return to
      })
      slices.push(found)
      return end
    })
  })
  return slices
}

/**
 * Whether arrays and objects are nested deeper than a limit.
 *
 * @param slice the part of the text to look at
 */
export function nestedDeeperThan(limit: number, text: string, [from, to]: Slice): boolean {
  let depth = 0
  for (let at = from; at < to;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = skipString(text, at)
      continue
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > limit) return true
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--
    at++
  }
  return false
}
