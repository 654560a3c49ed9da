import type { Socket } from 'node:net'
import { OutboundError } from './error.ts'

/** What is received for one request, in all: headers, interim responses, chunk extensions and so on; unless more is asked for. */
export const MAX_RECEIVED_BYTES = 131_072

/** Errors of connections that the other side closed before anything of the answer to the last request came. */
const closedMeanwhile = new WeakSet<Error>()

/** What undici and the system say of a connection that the other side closed. */
const CLOSED_CODES = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/**
 * Whether a request failed because its connection, which had been used before, was closed by the other side when
 * nothing of the answer had come: that it was closed just before the request came is the likeliest reason.
 */
export const wasClosedMeanwhile = (error: Error): boolean => closedMeanwhile.has(error)

/**
 * Follows the answers that come on a connection to a server, one for each request, and closes it when one brings
 * too much. More being written is the sign of the next request: there is one at a time.
 *
 * The bytes are seen where undici reads them, before it does anything with them.
 *
 * @param maxReceivedBytes of one answer, with all that belongs to it
 */
export function watchAnswers(socket: Socket, maxReceivedBytes: number): void {
  let written = 0
  let received = 0
  let pass = interimResponses()

  function receive(chunk: Buffer): Buffer | null {
    if (socket.bytesWritten !== written) {
      written = socket.bytesWritten
      received = 0
      pass = interimResponses()
    }
    received += chunk.length
    if (received > maxReceivedBytes) {
      const message = `The response is longer than ${maxReceivedBytes} bytes.`
      socket.destroy(new OutboundError('connection-failed', message))
      return null
    }
    pass(chunk)
    return chunk
  }

  const read = socket.read.bind(socket)
  socket.read = (size?: number) => {
    const chunk = read(size) as Buffer | null
    return chunk && receive(chunk)
  }
  socket.on('error', (error: NodeJS.ErrnoException) => {
    const wasUsed = received > 0
    const isUnanswered = socket.bytesWritten !== written
    if (wasUsed && isUnanswered && CLOSED_CODES.has(error.code ?? '')) closedMeanwhile.add(error)
  })
}

/** The beginning of an interim response (RFC 9112, section 4): with any last two digits. */
const INTERIM = Buffer.from('HTTP/1.1 1??')
const ANY = '?'.charCodeAt(0)
const HEAD_END = Buffer.from('\r\n\r\n')
const [CR, LF, ZERO, TWO] = Buffer.from('\r\n02') as unknown as [number, number, number, number]

/**
 * Has the interim responses before an answer pass through undici, which passes over all but `100 Continue`: that
 * one it takes for a fault of the server unless it asked for it, while any client must pass over it as well (RFC
 * 9110, section 15.2). So a 100 becomes a 102. Only the status lines before the final one are looked at.
 *
 * @returns to be given the pieces of an answer, which it changes in place
 */
function interimResponses(): (piece: Buffer) => void {
  /** How many bytes of `INTERIM` have come, and then how many of `HEAD_END`. */
  let matched = 0
  let ended = 0
  let isFinal = false
  let tens = 0

  function see(byte: number, piece: Buffer, at: number): void {
    if (matched === INTERIM.length) {
      ended = byte === HEAD_END[ended] ? ended + 1 : Number(byte === CR)
      if (ended < HEAD_END.length) return
      matched = 0
      ended = 0
      return
    }
    if (matched === 0 && (byte === CR || byte === LF)) return // empty lines may stand before a status line
    const expected = INTERIM[matched]
    if (expected !== ANY && expected !== byte) {
      isFinal = true
      return
    }
    matched += 1
    if (matched === INTERIM.length - 1) tens = byte
    if (matched === INTERIM.length && tens === ZERO && byte === ZERO) piece[at] = TWO
  }

  return (piece) => {
    for (let at = 0; at < piece.length && !isFinal; at++) see(piece[at] as number, piece, at)
  }
}
