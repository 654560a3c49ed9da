import { TextDecoder } from 'node:util'
import type { Duplex } from 'node:stream'
import { DECODERS, encodingsOf } from './decoders.ts'
import type { RawResponse } from './exchange.ts'

/** More encodings than anybody has a reason for. */
const MAX_ENCODINGS = 8
/** What comes out of the pieces before a fault is kept. */
const PIECE_BYTES = 1_024

/**
 * The beginning of a body as text, decoded where it is encoded. What is no text is told in words, in brackets: how
 * much it is and of what type, or what is wrong with it.
 *
 * @param limit in bytes of the text
 */
export function bodyText({ headers, bytes }: RawResponse, limit: number): string | Promise<string> {
  if (bytes.length === 0) return ''
  const type = headers['content-type'] ?? ''
  const encodings = encodingsOf(headers['content-encoding'])
  return encodings.length === 0 ? textOf(bytes, type, limit) : decodedText(bytes, { encodings, type, limit })
}

async function decodedText(
  bytes: Buffer,
  { encodings, type, limit }: { encodings: readonly string[]; type: string; limit: number },
): Promise<string> {
  const unknown = encodings.find((name) => !Object.hasOwn(DECODERS, name))
  if (unknown !== undefined)
    return `[${amount(bytes, limit)} in an encoding that is not known: ${brief(unknown)}]`
  if (encodings.length > MAX_ENCODINGS) return `[${amount(bytes, limit)}, encoded ${encodings.length} times]`
  let decoded = bytes
  let isWhole = bytes.length < limit
  for (const name of encodings) {
    const decoder = DECODERS[name]?.(decoded) as Duplex
    const result = await decode(decoded, decoder, limit)
    if (result.isBroken && result.bytes.length === 0)
      return `[${amount(bytes, limit)} that are no valid ${name}]`
    decoded = result.bytes
    isWhole &&= !result.isBroken && decoded.length < limit
  }
  return decoded.length === 0 ? '' : textOf(decoded, type, limit, isWhole)
}

/** The beginning of what comes out, one byte at least beyond the limit where there is more. */
function decode(
  bytes: Buffer,
  decoder: Duplex,
  limit: number,
): Promise<{ bytes: Buffer; isBroken: boolean }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    let isBroken = false
    decoder.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > limit) decoder.destroy()
    })
    decoder.on('error', () => {
      isBroken = true
    })
    decoder.on('close', () => resolve({ bytes: Buffer.concat(chunks), isBroken }))
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) decoder.write(bytes.subarray(at, at + PIECE_BYTES))
    decoder.end()
  })
}

/** @param isWhole whether the bytes end where the body does, and not in the middle of a character */
function textOf(bytes: Buffer, type: string, limit: number, isWhole = bytes.length < limit): string {
  try {
    const text = decoderFor(type).decode(bytes.subarray(0, limit), { stream: !isWhole })
    if (!text.includes('\0')) return text
  } catch {
    // It is no text in the character set that it is said to be in.
  }
  const [mediaType = ''] = type.split(';', 1)
  return `[${amount(bytes, limit)}${mediaType === '' ? '' : ` of ${brief(mediaType.trim())}`} that are no text]`
}

function decoderFor(type: string): TextDecoder {
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(type) ?? []
  try {
    return new TextDecoder(charset, { fatal: true })
  } catch {
    return new TextDecoder('utf-8', { fatal: true })
  }
}

const amount = ({ length }: Buffer, limit: number): string =>
  length < limit ? `${length} bytes` : `at least ${limit} bytes`

/** What a server says, in one line without what is not seen. */
const brief = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 100)
