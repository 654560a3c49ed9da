import type { FastifyReply } from 'fastify'

/**
 * Encoding of the server-sent events format (WHATWG HTML, section 9.2). Pure text: whoever holds the sockets
 * joins what it has into one write.
 */

export interface SseMessage {
  /** Becomes the client's last event id. Must hold no line break and no zero character. */
  id?: string
  /** The name the client listens to; `message` when left out. Must hold no line break. */
  event?: string
  /** Any text; each of its lines becomes a `data:` line. */
  data: string
}

const LINE_BREAK = /\r\n|\r|\n/

/**
 * One message as it goes over the wire.
 *
 * @throws RangeError for an id or a name that would break out of its line
 */
export function encodeMessage({ id, event, data }: SseMessage): string {
  let frame = ''
  if (id !== undefined) frame += `id: ${oneLine(id)}\n`
  if (event !== undefined) frame += `event: ${oneLine(event)}\n`
  // indexOf is far cheaper than the split, and most data has no line break
  if (data.indexOf('\n') === -1 && data.indexOf('\r') === -1) return `${frame}data: ${data}\n\n`
  for (const line of data.split(LINE_BREAK)) frame += `data: ${line}\n`
  return `${frame}\n`
}

/** A line that clients ignore; it keeps proxies from closing a silent connection. */
export const encodeComment = (text: string): string => `: ${oneLine(text)}\n\n`

/** Moves the client's last event id on without dispatching an event: a block with an id and no data. */
export const encodeId = (id: string): string => `id: ${oneLine(id)}\n\n`

/** Tells the client how long to wait before it reconnects, in milliseconds. */
export const encodeRetry = (milliseconds: number): string => `retry: ${Math.round(milliseconds)}\n\n`

/** Answers `HEAD` where `GET` is a stream: what the stream would begin with, and nothing after it. */
export function sendStreamHead(reply: FastifyReply): void {
  reply.hijack()
  reply.raw.writeHead(200, { ...(reply.getHeaders() as Record<string, string>), ...SSE_HEADERS }).end()
}

/** A stream never stays silent for longer than this, in milliseconds. */
export const HEARTBEAT_MS = 15_000

/** Headers of an event stream; the last two keep proxies from buffering or changing it. */
export const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
} as const

function oneLine(text: string): string {
  if (/[\r\n\0]/.test(text)) throw new RangeError('A line break or zero character cannot be sent here.')
  return text
}
