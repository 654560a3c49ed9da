/**
 * One-dimensional Postgres arrays in the binary wire format, for statements that pass columns to `unnest`.
 *
 * The text format would have every quote and backslash of every JSON payload escaped here and unescaped in
 * the server; in the binary format a value is its length and its bytes.
 */

const OID = { bool: 16, bytea: 17, int8: 20, int4: 23, text: 25, json: 114, uuid: 2950 } as const

const HEADER_BYTES = 20
const NULL_LENGTH = -1

function encode<T>(
  oid: number,
  values: readonly (T | null)[],
  size: (value: T) => number,
  write: (value: T, into: Buffer, at: number) => void,
): Buffer {
  if (values.length === 0) {
    const empty = Buffer.alloc(12)
    empty.writeInt32BE(oid, 8)
    return empty
  }
  let total = HEADER_BYTES
  let hasNull = 0
  const sizes = new Array<number>(values.length)
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as T | null
    const bytes = value === null ? NULL_LENGTH : size(value)
    sizes[index] = bytes
    if (bytes === NULL_LENGTH) hasNull = 1
    total += 4 + Math.max(bytes, 0)
  }
  const buffer = Buffer.allocUnsafe(total)
  buffer.writeInt32BE(1, 0) // dimensions
  buffer.writeInt32BE(hasNull, 4)
  buffer.writeInt32BE(oid, 8)
  buffer.writeInt32BE(values.length, 12)
  buffer.writeInt32BE(1, 16) // lower bound
  let at = HEADER_BYTES
  for (let index = 0; index < values.length; index++) {
    const bytes = sizes[index] as number
    at = buffer.writeInt32BE(bytes, at)
    if (bytes === NULL_LENGTH) continue
    write(values[index] as T, buffer, at)
    at += bytes
  }
  return buffer
}

const textSize = (value: string): number => Buffer.byteLength(value, 'utf8')
const writeText = (value: string, into: Buffer, at: number): void => {
  into.write(value, at, 'utf8')
}

const UUID_LENGTH = 36
const HYPHENS = new Set([8, 13, 18, 23])
/** Where the two digits of each byte of a UUID begin in its text. */
const UUID_DIGITS = Array.from({ length: UUID_LENGTH }, (_, at) => at)
  .filter((at) => !HYPHENS.has(at))
  .filter((_, index) => index % 2 === 0)
/** The value of a hexadecimal digit by its character code; NaN for other characters. */
const HEX = Array.from({ length: 128 }, (_, code) => Number.parseInt(String.fromCharCode(code), 16))

function writeUuid(value: string, into: Buffer, at: number): void {
  let sum = 0
  for (let byte = 0; byte < 16; byte++) {
    const digit = UUID_DIGITS[byte] as number
    const bits = (HEX[value.charCodeAt(digit)] as number) * 16 + (HEX[value.charCodeAt(digit + 1)] as number)
    sum += bits
    into[at + byte] = bits
  }
  // Any other character makes it NaN.
  if (value.length !== UUID_LENGTH || !(sum >= 0)) throw new TypeError(`Not a UUID: ${value}`)
}

/** Encoders by element type. Each takes the elements and gives a query parameter to be cast, e.g. `$1::uuid[]`. */
export const pgArray = {
  uuid: (values: readonly (string | null)[]): Buffer => encode(OID.uuid, values, () => 16, writeUuid),
  text: (values: readonly (string | null)[]): Buffer => encode(OID.text, values, textSize, writeText),
  /** The elements are JSON texts, stored to the letter. */
  json: (values: readonly (string | null)[]): Buffer => encode(OID.json, values, textSize, writeText),
  bool: (values: readonly (boolean | null)[]): Buffer =>
    encode(
      OID.bool,
      values,
      () => 1,
      (value, into, at) => into.writeUInt8(value ? 1 : 0, at),
    ),
  int4: (values: readonly (number | null)[]): Buffer =>
    encode(
      OID.int4,
      values,
      () => 4,
      (value, into, at) => into.writeInt32BE(value, at),
    ),
  int8: (values: readonly (number | null)[]): Buffer =>
    encode(
      OID.int8,
      values,
      () => 8,
      (value, into, at) => into.writeBigInt64BE(BigInt(value), at),
    ),
  bytea: (values: readonly (Buffer | null)[]): Buffer =>
    encode(
      OID.bytea,
      values,
      (value) => value.length,
      (value, into, at) => value.copy(into, at),
    ),
}
