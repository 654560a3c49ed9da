import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { Problem } from '../../../platform/http/problems.ts'
import { encodeTextFrame, PING } from '../../../platform/http/websocket-frames.ts'
import { memberSlice, type Slice } from '../../../platform/json-slices.ts'
import type { Log } from '../../../platform/log.ts'
import type { Emitter, Grant, Member, Presence, PresenceChange } from '../contracts.ts'
import { readClientFrame, type ClientFrame, type ErrorCode } from '../frames.ts'
import type { GrantWatch } from '../grant-watch.ts'
import { compileRoomPatterns } from '../patterns.ts'
import { createPublishLimit, MAX_PUBLISH_BYTES } from '../publish-limits.ts'
import { createConnection } from './connection.ts'
import { memberJson, WEBSOCKET } from './encoding.ts'
import { FAREWELLS, FAREWELL_MS, retryMs, type Farewell } from './farewell.ts'
import type { Membership } from './app-hub.ts'
import type { Hub } from './hub.ts'

/** Rooms of one connection. */
const MAX_ROOMS = 128
const MAX_MEMBERS = 1_000
/** Frames of a client that wait for those before them; then its socket is not read. */
const MAX_WAITING = 64

export interface SessionDeps {
  hub: Hub
  presence: Presence
  emitter: Emitter
  verifyToken: (token: string) => Promise<Grant>
  grantWatch: GrantWatch
  log: Log
  heartbeatMs: number
  /** How long an observer may read nothing of what waits for it. */
  stallMs: number
}

/** One observer's WebSocket (docs/observation.md). */
export interface Session {
  /** Says why it ends and closes. @param connections that are ended together */
  end(why: Farewell, connections?: number): void
  /** Whether it was heard of since the last ping. */
  isAlive(): boolean
  ping(): void
}

type FrameOf<Action extends ClientFrame['action']> = Extract<ClientFrame, { action: Action }>

/** Frames of a client are handled one after the other, so that what it sends first is done first. */
export function startSession(
  { hub, presence, emitter, verifyToken, grantWatch, log, heartbeatMs, stallMs }: SessionDeps,
  socket: WebSocket,
  stream: Duplex,
  granted: Grant,
): Session {
  let grant = granted
  let mayJoin = compileRoomPatterns(grant.rooms)
  let mayPublish = compileRoomPatterns(grant.publish)
  let isAlive = true
  let isEnding = false
  const rooms = new Map<string, Membership>()
  const waiting: string[] = []
  let isWorking = false
  const publications = createPublishLimit()
  const connection = createConnection(stream, stallMs, () => end('slow'))
  const watch = grantWatch.watch(grant, end)

  const send = (frame: object, ref?: string | number): void =>
    void connection.write(encodeTextFrame(JSON.stringify(ref === undefined ? frame : { ...frame, ref })))
  /** What members say of themselves goes out as it came in. */
  const sendMembers = (frame: object, members: readonly Member[], ref?: string | number): void => {
    const text = JSON.stringify({ ...frame, ref })
    connection.write(
      encodeTextFrame(`${text.slice(0, -1)},"members":[${members.map(memberJson).join(',')}]}`),
    )
  }
  const refuse = (code: ErrorCode, detail: string, ref?: string | number): void =>
    send({ type: 'error', code, detail }, ref)

  function end(why: Farewell, connections?: number): void {
    if (isEnding) return
    isEnding = true
    leaveAll()
    const { code, reason } = FAREWELLS[why]
    if (code !== FAREWELLS.binary.code) send({ type: 'closing', code, reason, retryMs: retryMs(connections) })
    socket.close(code, reason)
    setTimeout(() => socket.terminate(), FAREWELL_MS).unref()
  }

  socket.on('message', (data, isBinary) => {
    isAlive = true
    if (isEnding) return
    if (isBinary) return end('binary')
    waiting.push((data as Buffer).toString('utf8'))
    if (waiting.length >= MAX_WAITING) socket.pause()
    if (!isWorking) void work()
  })
  socket.on('pong', () => (isAlive = true))
  stream.once('close', () => {
    isEnding = true
    leaveAll()
  })

  /** Nothing may follow a close frame, and who ends is not there any more. */
  function leaveAll(): void {
    watch.stop()
    for (const room of rooms.keys()) exit(room)
  }

  async function work(): Promise<void> {
    isWorking = true
    for (let text = waiting.shift(); text !== undefined && !isEnding; text = waiting.shift()) {
      const frame = readClientFrame(text)
      if ('code' in frame) {
        refuse(frame.code, frame.detail, frame.ref)
        continue
      }
      try {
        await handle(frame, text)
      } catch (error) {
        log.warn({ appId: grant.appId, error: (error as Error).message }, 'an observer was not served')
        end('lost')
      }
    }
    isWorking = false
    if (socket.isPaused) socket.resume()
  }

  async function handle(frame: ClientFrame, text: string): Promise<void> {
    switch (frame.action) {
      case 'ping':
        return send({ type: 'pong' }, frame.ref)
      case 'join':
        return join(frame)
      case 'leave':
        return leave(frame)
      case 'publish':
        return publish(frame, text)
      case 'presence':
        return tellMembers(frame)
      case 'auth':
        return authorize(frame)
    }
  }

  async function join({ room, after, presence: watches = false, ref }: FrameOf<'join'>): Promise<void> {
    if (!mayJoin(room)) return refuse('forbidden', `The token does not allow to join "${room}".`, ref)
    const before = rooms.get(room)
    if (!before && rooms.size >= MAX_ROOMS)
      return refuse('too-many-rooms', `A connection may be in ${MAX_ROOMS} rooms; leave one first.`, ref)
    before?.leave()
    // Before the list is read, so that no change is missed between the two.
    const meanwhile: PresenceChange[] = []
    const stop = watches
      ? presence.onChange((change) => {
          if (change.appId === grant.appId && change.room === room) meanwhile.push(change)
        })
      : () => {}
    try {
      const members = watches ? await membersOf(room) : undefined
      const onPresence = watches
        ? (change: PresenceChange): void => void connection.write(WEBSOCKET.presence(change))
        : undefined
      const options = { rooms: [room], types: grant.types, encoding: WEBSOCKET, after, onPresence }
      const membership = await hub.join(grant.appId, connection, options, ({ position, lost }) => {
        const start = { type: 'joined', room, position, recovered: !lost, ...(lost && { reason: lost }) }
        if (members) sendMembers(start, members, ref)
        else send(start, ref)
        for (const change of meanwhile) onPresence?.(change)
      })
      if (!membership || isEnding) return membership?.leave()
      rooms.set(room, membership)
      if (grant.member && !before) presence.enter(grant.appId, room, connection.id, grant.member)
    } finally {
      stop()
    }
  }

  function leave({ room, ref }: FrameOf<'leave'>): void {
    if (!rooms.has(room)) return refuseNotJoined(room, ref)
    exit(room)
    send({ type: 'left', room }, ref)
  }

  function exit(room: string): void {
    rooms.get(room)?.leave()
    rooms.delete(room)
    absent(room)
  }

  function absent(room: string): void {
    if (grant.member) presence.leave(grant.appId, room, connection.id, grant.member)
  }

  /** The data goes on to the letter. */
  function publish({ room, topic, ref }: FrameOf<'publish'>, frame: string): void {
    if (!mayPublish(room))
      return refuse('forbidden', `The token does not allow to publish to "${room}".`, ref)
    const data = frame.slice(...(memberSlice(frame, 'data') as Slice))
    if (Buffer.byteLength(data) > MAX_PUBLISH_BYTES)
      return refuse('too-large', `"data" may have ${MAX_PUBLISH_BYTES} bytes of JSON.`, ref)
    if (!publications.take()) return refuse('rate-limited', 'Too many publications; wait a second.', ref)
    emitter.emit({ appId: grant.appId, rooms: [room], topic, data })
    send({ type: 'published', room }, ref)
  }

  async function tellMembers({ room, ref }: FrameOf<'presence'>): Promise<void> {
    if (!rooms.has(room)) return refuseNotJoined(room, ref)
    sendMembers({ type: 'presence', room }, await membersOf(room), ref)
  }

  const refuseNotJoined = (room: string, ref?: string | number): void =>
    refuse('not-joined', `This connection is not in "${room}".`, ref)

  const membersOf = (room: string): Promise<Member[]> => presence.list(grant.appId, room, MAX_MEMBERS)

  /** The holder stays the same; what it may no longer see it leaves. */
  async function authorize({ token, ref }: FrameOf<'auth'>): Promise<void> {
    let next: Grant
    try {
      next = await verifyToken(token)
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      return refuse('unauthorized', error.message, ref)
    }
    if (next.appId !== grant.appId || next.member?.id !== grant.member?.id)
      return refuse('unauthorized', 'The token is of another app or for another member.', ref)
    grant = { ...next, member: grant.member }
    mayJoin = compileRoomPatterns(grant.rooms)
    mayPublish = compileRoomPatterns(grant.publish)
    watch.replace(grant)
    for (const [room, membership] of rooms) {
      if (mayJoin(room)) membership.setTypes(grant.types)
      else {
        exit(room)
        send({ type: 'left', room, reason: 'forbidden' })
      }
    }
    send({ type: 'authorized', expiresAt: endOf(grant) }, ref)
  }

  send({
    type: 'welcome',
    connection: connection.id,
    heartbeatSeconds: heartbeatMs / 1000,
    expiresAt: endOf(grant),
  })
  return {
    end,
    isAlive: () => isAlive,
    ping() {
      if (isEnding) return
      isAlive = false
      connection.write(PING)
    },
  }
}

const endOf = ({ expiresAt }: Grant): string | null =>
  expiresAt === undefined ? null : new Date(expiresAt).toISOString()
