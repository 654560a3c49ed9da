/**
 * Numbers of JSON that JavaScript's own cannot stand for, and JSON that is read without changing any number.
 *
 * JSON sets no bounds to its numbers; a double tells 17 digits apart at most, and nothing beyond 1e308. A number of
 * JavaScript stands here for the shortest decimal that is read as it, the one it is written as: 0.1 for a tenth.
 * Whatever was written with another value is an `ExactNumber`.
 */

declare global {
  interface JSON {
    /** Text of a scalar that `JSON.stringify` takes as it is. */
    rawJSON(text: string): object
    isRawJSON(value: unknown): value is { rawJSON: string }
  }
}

/** A number of JSON, in either form. */
export type JsonNumber = number | ExactNumber

/** ±0.digits × 10^point; zero has no digits. */
interface Decimal {
  sign: -1 | 0 | 1
  digits: string
  point: bigint
}

/** A number as it was written. `JSON.stringify` writes it to the letter. */
export class ExactNumber {
  readonly #text: string
  #decimal: Decimal | undefined

  /** @param text a number of JSON */
  constructor(text: string) {
    this.#text = text
    Object.freeze(this)
  }

  get decimal(): Decimal {
    return (this.#decimal ??= decimalOf(this.#text))
  }

  toJSON(): object {
    return JSON.rawJSON(this.#text)
  }

  /** All its digits, in the form in which JavaScript writes numbers: the same text for the same value. */
  toString(): string {
    return written(this.decimal)
  }

  /**
   * What JavaScript calculates with.
   *
   * @throws InexactNumber for a whole number beyond 2^53 with all its digits, and for what is too large or too small
   *   for a double; of other numbers no more is lost than of any decimal
   */
  valueOf(): number {
    const value = Number(this.#text)
    const { digits, point } = this.decimal
    const isWhole = point >= digits.length
    const isMeantWhole = isWhole && (digits.length > CERTAIN_DIGITS || !/e/i.test(this.#text))
    const isOutOfRange = !Number.isFinite(value) || (value === 0 && digits !== '')
    if (isOutOfRange || (isMeantWhole && !Number.isSafeInteger(value))) throw new InexactNumber(this.#text)
    return value
  }
}
Object.freeze(ExactNumber.prototype)

/** Digits that a double always tells apart, where it is neither very large nor very small. */
const CERTAIN_DIGITS = 15
const MAX_SHOWN = 40

/** JavaScript would calculate with another number. */
export class InexactNumber extends Error {
  override name = 'InexactNumber'

  constructor(text: string) {
    const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
    super(
      `The number ${shown} cannot be calculated with, as it cannot be held exactly; it can be compared and passed on.`,
    )
  }
}

const isExact = (value: unknown): value is ExactNumber => value instanceof ExactNumber

export const isNumber = (value: unknown): value is JsonNumber => typeof value === 'number' || isExact(value)

/** The number of JavaScript that stands for it, where there is one. */
export function settled(number: JsonNumber): JsonNumber {
  if (!isExact(number)) return number
  const text = String(number)
  const value = Number(text)
  return String(value) === text ? value : number
}

/** By their decimal values: negative when the first is smaller, 0 when they are equal, however they are written. */
export function compareNumbers(a: JsonNumber, b: JsonNumber): number {
  if (typeof a === 'number' && typeof b === 'number') return a === b ? 0 : a < b ? -1 : 1
  return compareDecimals(toDecimal(a), toDecimal(b))
}

const toDecimal = (number: JsonNumber): Decimal =>
  isExact(number) ? number.decimal : decimalOf(String(number))

function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.sign !== b.sign) return a.sign - b.sign
  if (a.point !== b.point) return a.point < b.point ? -a.sign : a.sign
  if (a.digits === b.digits) return 0
  return a.digits < b.digits ? -a.sign : a.sign
}

const ZERO = 0x30

function decimalOf(text: string): Decimal {
  const [, minus, whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? []
  const all = whole + fraction
  let from = 0
  let to = all.length
  while (from < to && all.charCodeAt(from) === ZERO) from++
  while (to > from && all.charCodeAt(to - 1) === ZERO) to--
  if (from === to) return { sign: 0, digits: '', point: 0n }
  return {
    sign: minus === '-' ? -1 : 1,
    digits: all.slice(from, to),
    point: BigInt(exponent) + BigInt(whole.length - from),
  }
}

/** As `Number::toString` (ECMA-262, 6.1.6.1.20) would, if it had all digits. */
function written({ sign, digits, point }: Decimal): string {
  if (sign === 0) return '0'
  const minus = sign < 0 ? '-' : ''
  const { length } = digits
  if (point > 0n && point <= 21n) {
    const at = Number(point)
    if (at >= length) return minus + digits.padEnd(at, '0')
    return `${minus}${digits.slice(0, at)}.${digits.slice(at)}`
  }
  if (point > -6n && point <= 0n) return `${minus}0.${'0'.repeat(Number(-point))}${digits}`
  const exponent = point - 1n
  const mantissa = length === 1 ? digits : `${digits.slice(0, 1)}.${digits.slice(1)}`
  return `${minus}${mantissa}e${exponent < 0n ? '' : '+'}${exponent}`
}

/** A number of JSON as its text has it: what a double does not stand for is an `ExactNumber`. */
export function exactNumber(text: string): JsonNumber {
  const value = Number(text)
  const plain = String(value)
  return plain === text || (Number.isFinite(value) && plain === written(decimalOf(text)))
    ? value
    : new ExactNumber(text)
}

/** The same, but one that is long, or that JavaScript would write otherwise (1.10, -0), is an `ExactNumber` too. */
export function writtenNumber(text: string): JsonNumber {
  const value = Number(text)
  return text.length <= CERTAIN_DIGITS && String(value) === text ? value : new ExactNumber(text)
}

/**
 * Texts in which a number may stand that a double does not stand for: with sixteen digits, or with an exponent. It is
 * much quicker to look than to ask of each number. What it finds in strings does no harm.
 */
const MAY_BE_INEXACT = /(?:^|[:,[\s])-?(?:[\d.]{16}|[\d.]+[eE])/
/** The same for numbers that JavaScript would write otherwise: zeros at the end of a fraction and -0 as well. */
const MAY_BE_REWRITTEN = /(?:^|[:,[\s])-?(?:[\d.]{16}|[\d.]+[eE]|\d+\.\d*0(?!\d)|(?<=-)0(?![.\d]))/

/** JSON.parse, but what a double does not stand for is an `ExactNumber`. */
export const parseExactly = (text: string): unknown =>
  MAY_BE_INEXACT.test(text) ? parseNumbers(text, exactNumber) : JSON.parse(text)

/** JSON.parse, but of a kind that JSON.stringify writes each number of as it was written. */
export const parseAsWritten = (text: string): unknown =>
  MAY_BE_REWRITTEN.test(text) ? parseNumbers(text, writtenNumber) : JSON.parse(text)

/** @param parsed what JSON.parse made of the text, which is of use when it writes every number as it was written */
export const asWritten = (text: string, parsed: unknown): unknown =>
  MAY_BE_REWRITTEN.test(text) ? parseNumbers(text, writtenNumber) : parsed

/** @param parsed what JSON.parse made of the text, which is of use when no number lost anything */
export const exactly = (text: string, parsed: unknown): unknown =>
  MAY_BE_INEXACT.test(text) ? parseNumbers(text, exactNumber) : parsed

function parseNumbers(text: string, read: (source: string) => JsonNumber): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source: string }) =>
    typeof value === 'number' && context ? read(context.source) : value,
  )
}
