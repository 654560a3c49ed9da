import type { FastifyReply } from 'fastify'
import type { ServerResponse } from 'node:http'
import { encodeMessage, encodeRetry, SSE_HEADERS } from '../../../platform/http/sse.ts'
import type { Log } from '../../../platform/log/log.ts'
import type { Grant, Presence } from '../contracts.ts'
import type { GrantWatch, Watched } from '../access/grant-watch.ts'
import type { Joined, JoinOptions, Membership } from './app-hub.ts'
import { Connection, type Speaker } from './connection.ts'
import { SSE } from './encoding.ts'
import { CLOSE_REASONS, CLOSE_TIMEOUT_MS, retryMs, type CloseReason } from './close-reasons.ts'
import type { Hub } from './hub.ts'

export interface RoomStreamDeps {
  hub: Hub
  presence: Presence
  grantWatch: GrantWatch
  log: Log
  heartbeatMs: number
  /** How long an observer may read nothing of what waits for it. */
  stallMs: number
}

interface StreamOptions {
  rooms: readonly string[]
  /** Where to go on: a position, or one with how many messages of its event were given. */
  lastId: string | undefined
  watchesPresence: boolean
}

/** @returns undefined when the client is gone by now */
export async function startStream(
  deps: RoomStreamDeps,
  reply: FastifyReply,
  grant: Grant,
  options: StreamOptions,
): Promise<RoomStream | undefined> {
  const stream = new RoomStream(deps, reply.raw, grant, options.rooms)
  return (await stream.join(reply, options)) ? stream : undefined
}

/**
 * One observer's stream of server-sent events.
 *
 * There are many thousands of these in a process: it keeps nothing of the request.
 */
export class RoomStream implements Speaker {
  readonly #deps: RoomStreamDeps
  readonly #response: ServerResponse
  readonly #connection: Connection
  readonly #grant: Grant
  readonly #rooms: readonly string[]
  #isEnding = false
  #announced = 0
  /** Both undefined until the rooms were joined, and once they were left. */
  #membership: Membership | undefined
  #watch: Watched | undefined

  constructor(deps: RoomStreamDeps, response: ServerResponse, grant: Grant, rooms: readonly string[]) {
    this.#deps = deps
    this.#response = response
    this.#grant = grant
    this.#rooms = rooms
    this.#connection = new Connection(response.req.socket, deps.stallMs, this)
  }

  /** @returns false when the client is gone by now */
  async join(reply: FastifyReply, { lastId, watchesPresence }: StreamOptions): Promise<boolean> {
    const { appId, types } = this.#grant
    const { after, given } = placeOf(lastId)
    const onPresence = watchesPresence ? this.#tellingPresence() : undefined
    const membership = await this.#deps.hub.join(
      appId,
      this.#connection,
      { rooms: this.#rooms, types, encoding: SSE, after, given, onPresence },
      (joined) => this.#begin(reply, joined, given > 0 ? lastId : undefined),
    )
    if (!membership) return false
    if (this.#isEnding) {
      membership.leave()
      return false
    }
    this.#joined(membership)
    return true
  }

  // The two below are not part of `join`, since the functions that they make would hold all that it knows of the request.
  #tellingPresence(): JoinOptions['onPresence'] {
    return (change) => void this.#connection.write(SSE.presence(change))
  }

  #joined(membership: Membership): void {
    this.#membership = membership
    this.#watch = this.#deps.grantWatch.watch(this.#grant, (reason) => this.end(reason))
    const { appId, member } = this.#grant
    if (!member) return
    for (const room of this.#rooms) this.#deps.presence.enter(appId, room, this.#connection.id(), member)
  }

  /** Says why it ends, and ends it. @param connections that are ended together */
  end(why: CloseReason, connections?: number): void {
    if (this.#isEnding) return
    this.#isEnding = true
    const response = this.#response
    if (!response.headersSent) return void response.destroy()
    this.#leave()
    const { code, reason } = CLOSE_REASONS[why]
    const wait = retryMs(connections)
    const data = JSON.stringify({ code, reason, retryMs: wait })
    this.#write(encodeRetry(wait) + encodeMessage({ event: 'closing', data }))
    response.end()
    // A client that reads nothing would keep the connection, and with it a server that is to stop.
    setTimeout(() => response.destroy(), CLOSE_TIMEOUT_MS).unref()
  }

  sendAway(): void {
    this.end('slow')
  }

  gone(): void {
    this.#isEnding = true
    this.#leave()
  }

  /** Shows that the stream is alive, and moves the client's last id past what was not in its rooms. */
  heartbeat(): void {
    if (this.#isEnding || !this.#membership || this.#connection.buffered() > 0) return
    const position = this.#membership.position()
    const id = position > this.#announced ? { id: `${position}` } : {}
    this.#write(encodeMessage({ ...id, event: 'heartbeat', data: '{}' }))
    this.#announced = position
  }

  /** @param id of the last message that was given, where not all of its event were */
  #begin(reply: FastifyReply, { position, lost }: Joined, id: string | undefined): void {
    const response = this.#response
    reply.hijack()
    // Without the framing of chunks the same bytes go to every socket, past what a response does for each write.
    response.useChunkedEncodingByDefault = false
    response.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      ...SSE_HEADERS,
      connection: 'close',
    })
    response.flushHeaders()
    this.#announced = position
    const start = { position, recovered: !lost, ...(lost && { reason: lost }) }
    const data = JSON.stringify({
      rooms: this.#rooms.map((room) => ({ room, ...start })),
      heartbeatSeconds: this.#deps.heartbeatMs / 1000,
    })
    const lastId = lost || id === undefined ? `${position}` : id
    this.#write(encodeRetry(retryMs()) + encodeMessage({ id: lastId, event: 'joined', data }))
  }

  #write(text: string): void {
    this.#connection.write(Buffer.from(text))
  }

  #leave(): void {
    if (!this.#membership) return
    this.#watch?.stop()
    this.#membership.leave()
    this.#membership = this.#watch = undefined
    const { appId, member } = this.#grant
    if (!member) return
    for (const room of this.#rooms) this.#deps.presence.leave(appId, room, this.#connection.id(), member)
  }
}

/** Of `41-1`: one message of event 41 was given, so it goes on from 40. */
function placeOf(lastId: string | undefined): { after: number | undefined; given: number } {
  if (lastId === undefined) return { after: undefined, given: 0 }
  const [position = 0, given = 0] = lastId.split('-').map(Number)
  return given > 0 ? { after: Math.max(0, position - 1), given } : { after: position, given: 0 }
}
