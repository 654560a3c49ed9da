import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'
import type { Duplex } from 'node:stream'

/** How to take an encoding off a body; told its beginning, the one that servers get wrong is taken off as well. */
export const DECODERS: Readonly<Record<string, (bytes?: Buffer) => Duplex>> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  // By the specification with a head (RFC 1950); some servers leave it out.
  deflate: (bytes) => (bytes === undefined || hasZlibHead(bytes) ? createInflate() : createInflateRaw()),
  br: () => createBrotliDecompress(),
  zstd: () => createZstdDecompress(),
}

const hasZlibHead = (bytes: Buffer): boolean =>
  bytes.length > 1 && ((bytes[0] as number) & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0

/** The encodings of a body that are to be taken off, the first of them first. @param header Content-Encoding */
export function encodingsOf(header: string | string[] | undefined): string[] {
  if (header === undefined) return []
  const names = String(header).split(',')
  return names
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'identity')
    .toReversed()
}
