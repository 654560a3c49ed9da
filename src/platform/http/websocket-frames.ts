/** A ping without data, as a server sends it. */
export const PING = Buffer.from([0x89, 0x00])

/** The answer to a ping (RFC 6455, section 5.5.3). @param data of the ping, 125 bytes at most */
export const encodePongFrame = (data: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0x8a, data.length]), data])

/**
 * One unfragmented, unmasked text frame as a server sends it (RFC 6455, section 5.2), ready to be written to any
 * number of sockets. Only for connections without extensions.
 */
export function encodeTextFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const headerBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(headerBytes + length)
  frame[0] = 0x81 // the last fragment, of text
  if (headerBytes === 2) {
    frame[1] = length
  } else if (headerBytes === 4) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  frame.write(text, headerBytes)
  return frame
}
