import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Test } from 'tap'
import { until } from './until.ts'

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** A frame as a client may send it, or may not. */
export interface RawFrame {
  opcode: number
  payload?: Buffer | string
  isLast?: boolean
  isMasked?: boolean
  /** Bits that only extensions may set. */
  reserved?: number
  /** What the header says, if not the truth. */
  length?: number
}

/** The bytes of a frame (RFC 6455, section 5.2). */
export function rawFrame(frame: RawFrame): Buffer {
  const { opcode, isLast = true, isMasked = true, reserved = 0 } = frame
  const payload = Buffer.from(frame.payload ?? '')
  const length = frame.length ?? payload.length
  const first = (isLast ? 0x80 : 0) | (reserved << 4) | opcode
  const mask = randomBytes(4)
  const header =
    length < 126
      ? Buffer.from([first, (isMasked ? 0x80 : 0) | length])
      : Buffer.from([first, (isMasked ? 0x80 : 0) | 127, 0, 0, 0, 0, 0, 0, 0, 0])
  if (length >= 126) header.writeBigUInt64BE(BigInt(length), 2)
  if (!isMasked) return Buffer.concat([header, payload])
  const masked = payload.map((byte, index) => byte ^ (mask[index % 4] as number))
  return Buffer.concat([header, mask, masked])
}

/** A WebSocket of which every byte is the test's own. */
export interface RawWebSocket {
  write(...frames: (RawFrame | Buffer)[]): void
  /** Texts that the server sent. */
  texts: string[]
  /** What the pongs brought that it sent. */
  pongs: string[]
  /** The code of the server's close frame; undefined when it closed without one. */
  closed: Promise<number | undefined>
  /** Stops reading what the server sends. */
  pause(): void
  resume(): void
}

/** @throws Error when the server does not switch protocols */
export async function openRawWebSocket(t: Test, baseUrl: string, key: string): Promise<RawWebSocket> {
  const { hostname, port } = new URL(baseUrl)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(
    [
      'GET /observation/ws HTTP/1.1',
      `Host: ${hostname}:${port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      `Authorization: Bearer ${key}`,
      '\r\n',
    ].join('\r\n'),
  )
  let received = Buffer.alloc(0)
  let isOpen = false
  let code: number | undefined
  const texts: string[] = []
  const pongs: string[] = []
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    if (!isOpen) {
      const end = received.indexOf('\r\n\r\n')
      if (end === -1 || !received.toString().startsWith('HTTP/1.1 101')) return
      isOpen = true
      received = received.subarray(end + 4)
    }
    for (let frame = readFrame(received); frame; frame = readFrame(received)) {
      received = received.subarray(frame.bytes)
      if (frame.opcode === OPCODE.text) texts.push(frame.payload.toString())
      if (frame.opcode === OPCODE.pong) pongs.push(frame.payload.toString())
      if (frame.opcode === OPCODE.close)
        code = frame.payload.length >= 2 ? frame.payload.readUInt16BE() : 1005
    }
  })
  const closed = new Promise<number | undefined>((resolve) => socket.once('close', () => resolve(code)))
  await until(() => isOpen, `the server switched protocols (${received.toString()})`)
  return {
    texts,
    pongs,
    closed,
    write(...frames) {
      for (const frame of frames) socket.write(Buffer.isBuffer(frame) ? frame : rawFrame(frame))
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  }
}

function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; bytes: number } | undefined {
  if (bytes.length < 2) return undefined
  const [first = 0, second = 0] = bytes
  let length = second & 0x7f
  let start = 2
  if (length === 126) {
    if (bytes.length < 4) return undefined
    length = bytes.readUInt16BE(2)
    start = 4
  } else if (length === 127) {
    if (bytes.length < 10) return undefined
    length = Number(bytes.readBigUInt64BE(2))
    start = 10
  }
  if (bytes.length < start + length) return undefined
  return { opcode: first & 0x0f, payload: bytes.subarray(start, start + length), bytes: start + length }
}
