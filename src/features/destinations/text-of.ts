/** Stands where a text was cut. */
const MORE = '\n…'
const CLOSING: Record<string, string> = { '{': '}', '[': ']' }

/**
 * JSON text with line breaks and indents, for people to read. Numbers and texts stay as they are to the letter.
 *
 * @param maxLength what is longer is cut somewhere behind this length
 */
export function indented(json: string, maxLength: number): string {
  let text = ''
  let depth = 0
  let inString = false
  const newLine = (): string => `\n${'  '.repeat(depth)}`
  for (let at = 0; at < json.length && text.length <= maxLength; at++) {
    const character = json.charAt(at)
    if (inString) {
      text += character
      if (character === '\\') text += json.charAt(++at)
      else if (character === '"') inString = false
    } else if (character === '"') {
      text += character
      inString = true
    } else if (character === '{' || character === '[') {
      const next = nextAt(json, at + 1)
      if (json[next] === CLOSING[character]) {
        text += character + json.charAt(next)
        at = next
      } else {
        depth++
        text += character + newLine()
      }
    } else if (character === '}' || character === ']') {
      depth--
      text += newLine() + character
    } else if (character === ',') text += character + newLine()
    else if (character === ':') text += ': '
    else if (!/\s/.test(character)) text += character
  }
  return text
}

/** Where the next character that is no white space stands. */
function nextAt(json: string, at: number): number {
  while (/\s/.test(json.charAt(at))) at++
  return at
}

/**
 * As much of a text as fits, in whole characters; a text that was cut ends with `…` on a line of its own.
 *
 * @param maxLength of the result
 * @param escape what stands for a character in the result
 */
export function fitted(
  text: string,
  maxLength: number,
  escape: (character: string) => string = (character) => character,
): string {
  let fitting = ''
  let withRoom = 0
  for (const character of text) {
    const escaped = escape(character)
    if (fitting.length + escaped.length > maxLength) return fitting.slice(0, withRoom) + MORE
    fitting += escaped
    if (fitting.length + MORE.length <= maxLength) withRoom = fitting.length
  }
  return fitting
}

/** A backtick that cannot end a block of code: no two of them stand side by side. */
export const LONE_BACKTICK = '`\u200b'

/**
 * A title and a payload in a block of code, as chats write both.
 *
 * @param maxLength of the whole
 * @param escape what stands for a character of the payload
 */
export function titledBlock(
  title: string,
  payload: string,
  maxLength: number,
  escape: (character: string) => string,
): string {
  const room = maxLength - `${title}\n\`\`\`\n\n\`\`\``.length
  return `${title}\n\`\`\`\n${fitted(indented(payload, room), room, escape)}\n\`\`\``
}
