import type { FastifyReply } from 'fastify'
import { encodeMessage, encodeRetry, SSE_HEADERS } from '../../../platform/http/sse.ts'
import type { Grant, Presence } from '../contracts.ts'
import type { GrantWatch } from '../grant-watch.ts'
import type { Joined } from './app-hub.ts'
import { createConnection } from './connection.ts'
import { SSE } from './encoding.ts'
import { FAREWELLS, FAREWELL_MS, retryMs, type Farewell } from './farewell.ts'
import type { Hub } from './hub.ts'

export interface RoomStreamDeps {
  hub: Hub
  presence: Presence
  grantWatch: GrantWatch
  heartbeatMs: number
  /** How long an observer may read nothing of what waits for it. */
  stallMs: number
}

/** One observer's stream of server-sent events. */
export interface RoomStream {
  /** Says why it ends, and ends it. @param connections that are ended together */
  end(why: Farewell, connections?: number): void
  /** Shows that the stream is alive, and moves the client's last id past what was not in its rooms. */
  heartbeat(): void
}

/**
 * @param options.lastId where to go on: a position, or one with how many messages of its event were given
 * @returns undefined when the client is gone by now
 */
export async function startStream(
  { hub, presence, grantWatch, heartbeatMs, stallMs }: RoomStreamDeps,
  reply: FastifyReply,
  grant: Grant,
  options: { rooms: readonly string[]; lastId: string | undefined; watchesPresence: boolean },
): Promise<RoomStream | undefined> {
  const { raw } = reply
  const { socket } = reply.request
  const { rooms, lastId } = options
  const { appId, member } = grant
  let isEnding = false
  let announced = 0
  /** Of the rooms, once they were joined. */
  let leave = (): void => {}
  const connection = createConnection(socket, stallMs, () => end('slow'))
  const { after, given } = placeOf(lastId)

  const write = (text: string): boolean => connection.write(Buffer.from(text))

  function end(why: Farewell, connections?: number): void {
    if (isEnding) return
    isEnding = true
    if (!raw.headersSent) return void raw.destroy()
    leave()
    const { code, reason } = FAREWELLS[why]
    const wait = retryMs(connections)
    const data = JSON.stringify({ code, reason, retryMs: wait })
    write(encodeRetry(wait) + encodeMessage({ event: 'closing', data }))
    raw.end()
    // A client that reads nothing would keep the connection, and with it a server that is to stop.
    setTimeout(() => raw.destroy(), FAREWELL_MS).unref()
  }

  function begin({ position, lost }: Joined): void {
    reply.hijack()
    // Without the framing of chunks the same bytes go to every socket, past what a response does for each write.
    raw.useChunkedEncodingByDefault = false
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      ...SSE_HEADERS,
      connection: 'close',
    })
    raw.flushHeaders()
    announced = position
    const start = { position, recovered: !lost, ...(lost && { reason: lost }) }
    const data = JSON.stringify({
      rooms: rooms.map((room) => ({ room, ...start })),
      heartbeatSeconds: heartbeatMs / 1000,
    })
    const id = given > 0 && !lost ? lastId : undefined
    write(encodeRetry(retryMs()) + encodeMessage({ id: id ?? `${position}`, event: 'joined', data }))
  }

  const membership = await hub.join(
    appId,
    connection,
    {
      rooms,
      types: grant.types,
      encoding: SSE,
      after,
      given,
      onPresence: options.watchesPresence
        ? (change) => void connection.write(SSE.presence(change))
        : undefined,
    },
    begin,
  )
  if (!membership) return undefined
  const watch = grantWatch.watch(grant, end)
  if (member) for (const room of rooms) presence.enter(appId, room, connection.id, member)
  leave = () => {
    leave = () => {}
    watch.stop()
    membership.leave()
    if (member) for (const room of rooms) presence.leave(appId, room, connection.id, member)
  }
  connection.onGone(() => {
    isEnding = true
    leave()
  })
  return {
    end,
    heartbeat() {
      if (isEnding || connection.buffered() > 0) return
      const position = membership.position()
      const id = position > announced ? { id: `${position}` } : {}
      write(encodeMessage({ ...id, event: 'heartbeat', data: '{}' }))
      announced = position
    },
  }
}

/** Of `41-1`: one message of event 41 was given, so it goes on from 40. */
function placeOf(lastId: string | undefined): { after: number | undefined; given: number } {
  if (lastId === undefined) return { after: undefined, given: 0 }
  const [position = 0, given = 0] = lastId.split('-').map(Number)
  return given > 0 ? { after: Math.max(0, position - 1), given } : { after: position, given: 0 }
}
