/**
 * The JSON text of what an expression gave.
 *
 * It stops as soon as the text must become too long: a small value that holds the same object many times over
 * can be of any length as text.
 *
 * @param maxBytes of the text
 * @throws Error in words for the author of the expression
 */
export function plainJson(value: unknown, maxBytes: number): string {
  if (value === undefined) {
    throw new Error('The transformation gave nothing; make it give a value for every event, null at least.')
  }
  let atLeast = 0
  function checked(this: unknown, key: string, item: unknown): unknown {
    if (isFunction(item)) throw new Error('The transformation gave a function; give what it returns instead.')
    if (typeof item === 'number' && !Number.isFinite(item)) {
      throw new Error('The transformation gave a number that JSON does not have, such as infinity.')
    }
    atLeast += 1 + lengthOf(item) + (Array.isArray(this) ? 0 : key.length)
    if (atLeast > maxBytes) throw tooLong(maxBytes)
    return Object.is(item, -0) ? JSON.rawJSON('-0') : item
  }
  const text = JSON.stringify(value, checked)
  if (Buffer.byteLength(text) > maxBytes) throw tooLong(maxBytes)
  return text
}

/** Of scalars that may be of any length: texts, and numbers as `ExactNumber` gives them. */
function lengthOf(item: unknown): number {
  if (typeof item === 'string') return item.length
  return JSON.isRawJSON(item) ? item.rawJSON.length : 0
}

function tooLong(maxBytes: number): Error {
  return new Error(`The transformation's result is longer than ${maxBytes} bytes; leave something out.`)
}

const FUNCTION_MARKS = ['_jsonata_lambda', '_jsonata_function']

/** JSONata's functions are JavaScript's, or objects with one of these marks. */
function isFunction(item: unknown): boolean {
  if (typeof item === 'function') return true
  if (typeof item !== 'object' || item === null) return false
  return FUNCTION_MARKS.some((mark) => Object.hasOwn(item, mark) && Reflect.get(item, mark) === true)
}
