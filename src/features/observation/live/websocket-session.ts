import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { Problem } from '../../../platform/http/problems.ts'
import { encodePongFrame, encodeTextFrame, PING } from '../../../platform/http/websocket-frames.ts'
import { memberSlice, type Slice } from '../../../platform/json/slices.ts'
import type { Log } from '../../../platform/log/log.ts'
import type { Emitter, Grant, Member, Presence, PresenceChange } from '../contracts.ts'
import { readClientFrame, type ClientFrame, type ErrorCode } from '../frames.ts'
import type { GrantWatch, Watched } from '../access/grant-watch.ts'
import { compileRoomPatterns } from '../patterns.ts'
import { createPublishLimit, MAX_PUBLISH_BYTES, type PublishLimit } from '../publishing/publish-limits.ts'
import { Connection, type Speaker } from './connection.ts'
import { memberJson, WEBSOCKET } from './encoding.ts'
import { CLOSE_REASONS, CLOSE_TIMEOUT_MS, retryMs, type CloseReason } from './close-reasons.ts'
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

type FrameOf<Action extends ClientFrame['action']> = Extract<ClientFrame, { action: Action }>

/**
 * One observer's WebSocket (docs/observation.md). Frames of a client are handled one after the other, so that what it
 * sends first is done first.
 *
 * There are many thousands of these in a process, most of them idle: what is not always needed is made when it is.
 */
export class Session implements Speaker {
  readonly #deps: SessionDeps
  readonly #socket: WebSocket
  readonly #connection: Connection
  readonly #watch: Watched
  #grant: Grant
  #isAlive = true
  #isEnding = false
  readonly #rooms = new Map<string, Membership>()
  /** Frames to be handled; undefined while none is. */
  #waiting: string[] | undefined
  #publications: PublishLimit | undefined

  /** @param stream that the socket was made of */
  constructor(deps: SessionDeps, socket: WebSocket, stream: Duplex, grant: Grant) {
    this.#deps = deps
    this.#socket = socket
    this.#grant = grant
    this.#connection = new Connection(stream, deps.stallMs, this)
    this.#watch = deps.grantWatch.watch(grant, (reason) => this.end(reason))
    this.#send({
      type: 'welcome',
      connection: this.#connection.id(),
      heartbeatSeconds: deps.heartbeatMs / 1000,
      expiresAt: endOf(grant),
    })
  }

  /** Says why it ends and closes. @param connections that are ended together */
  end(why: CloseReason, connections?: number): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#leaveAll()
    const { code, reason } = CLOSE_REASONS[why]
    if (code !== CLOSE_REASONS.binary.code)
      this.#send({ type: 'closing', code, reason, retryMs: retryMs(connections) })
    this.#socket.close(code, reason)
    setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS).unref()
  }

  sendAway(): void {
    this.end('slow')
  }

  gone(): void {
    this.#isEnding = true
    this.#leaveAll()
  }

  /** Whether it was heard of since the last ping. */
  isAlive(): boolean {
    return this.#isAlive
  }

  ping(): void {
    if (this.#isEnding) return
    this.#isAlive = false
    this.#connection.write(PING)
  }

  heardPong(): void {
    this.#isAlive = true
  }

  /** Who does not read its pongs is not read either, until it does. */
  heardPing(data: Buffer): void {
    this.#isAlive = true
    if (this.#isEnding || this.#connection.write(encodePongFrame(data)) || this.#socket.isPaused) return
    this.#socket.pause()
    const stop = this.#connection.onDrain(() => {
      stop()
      this.#socket.resume()
    })
  }

  heard(data: Buffer, isBinary: boolean): void {
    this.#isAlive = true
    if (this.#isEnding) return
    if (isBinary) return this.end('binary')
    const text = data.toString('utf8')
    if (!this.#waiting) {
      this.#waiting = [text]
      void this.#work(this.#waiting)
      return
    }
    this.#waiting.push(text)
    if (this.#waiting.length >= MAX_WAITING) this.#socket.pause()
  }

  #send(frame: object, ref?: string | number): void {
    this.#connection.write(encodeTextFrame(JSON.stringify(ref === undefined ? frame : { ...frame, ref })))
  }

  /** What members say of themselves goes out as it came in. */
  #sendMembers(frame: object, members: readonly Member[], ref?: string | number): void {
    const text = JSON.stringify({ ...frame, ref })
    this.#connection.write(
      encodeTextFrame(`${text.slice(0, -1)},"members":[${members.map(memberJson).join(',')}]}`),
    )
  }

  #refuse(code: ErrorCode, detail: string, ref?: string | number): void {
    this.#send({ type: 'error', code, detail }, ref)
  }

  /** Nothing may follow a close frame, and who ends is not there any more. */
  #leaveAll(): void {
    this.#watch.stop()
    for (const room of this.#rooms.keys()) this.#exit(room)
  }

  async #work(waiting: string[]): Promise<void> {
    for (let text = waiting.shift(); text !== undefined && !this.#isEnding; text = waiting.shift()) {
      const frame = readClientFrame(text)
      if ('code' in frame) {
        this.#refuse(frame.code, frame.detail, frame.ref)
        continue
      }
      try {
        await this.#handle(frame, text)
      } catch (error) {
        this.#deps.log.warn(
          { appId: this.#grant.appId, error: (error as Error).message },
          'an observer was not served',
        )
        this.end('lost')
      }
    }
    this.#waiting = undefined
    if (this.#socket.isPaused) this.#socket.resume()
  }

  async #handle(frame: ClientFrame, text: string): Promise<void> {
    switch (frame.action) {
      case 'ping':
        return this.#send({ type: 'pong' }, frame.ref)
      case 'join':
        return this.#join(frame)
      case 'leave':
        return this.#leave(frame)
      case 'publish':
        return this.#publish(frame, text)
      case 'presence':
        return this.#tellMembers(frame)
      case 'auth':
        return this.#authorize(frame)
    }
  }

  async #join({ room, after, presence: watches = false, ref }: FrameOf<'join'>): Promise<void> {
    const { hub, presence } = this.#deps
    const { appId, types, member } = this.#grant
    if (!this.#mayJoin(room))
      return this.#refuse('forbidden', `The token does not allow to join "${room}".`, ref)
    const before = this.#rooms.get(room)
    if (!before && this.#rooms.size >= MAX_ROOMS) {
      return this.#refuse(
        'too-many-rooms',
        `A connection may be in ${MAX_ROOMS} rooms; leave one first.`,
        ref,
      )
    }
    before?.leave()
    // Before the list is read, so that no change is missed between the two.
    const meanwhile: PresenceChange[] = []
    const stop = watches
      ? presence.onChange((change) => {
          if (change.appId === appId && change.room === room) meanwhile.push(change)
        })
      : () => {}
    try {
      const members = watches ? await this.#membersOf(room) : undefined
      const onPresence = watches ? this.#tellingPresence() : undefined
      const options = { rooms: [room], types, encoding: WEBSOCKET, after, onPresence }
      const membership = await hub.join(appId, this.#connection, options, ({ position, lost }) => {
        const start = { type: 'joined', room, position, recovered: !lost, ...(lost && { reason: lost }) }
        if (members) this.#sendMembers(start, members, ref)
        else this.#send(start, ref)
        for (const change of meanwhile) onPresence?.(change)
      })
      if (!membership || this.#isEnding) return membership?.leave()
      this.#rooms.set(room, membership)
      if (member && !before) presence.enter(appId, room, this.#connection.id(), member)
    } finally {
      stop()
    }
  }

  /** Made here, since made where a room is joined it would hold all that is there. */
  #tellingPresence(): (change: PresenceChange) => void {
    return (change) => void this.#connection.write(WEBSOCKET.presence(change))
  }

  #leave({ room, ref }: FrameOf<'leave'>): void {
    if (!this.#rooms.has(room)) return this.#refuseNotJoined(room, ref)
    this.#exit(room)
    this.#send({ type: 'left', room }, ref)
  }

  #exit(room: string): void {
    const { appId, member } = this.#grant
    this.#rooms.get(room)?.leave()
    this.#rooms.delete(room)
    if (member) this.#deps.presence.leave(appId, room, this.#connection.id(), member)
  }

  /** The data goes on to the letter. */
  #publish({ room, topic, ref }: FrameOf<'publish'>, frame: string): void {
    const { appId, publish } = this.#grant
    if (!compileRoomPatterns(publish)(room))
      return this.#refuse('forbidden', `The token does not allow to publish to "${room}".`, ref)
    const data = frame.slice(...(memberSlice(frame, 'data') as Slice))
    if (Buffer.byteLength(data) > MAX_PUBLISH_BYTES)
      return this.#refuse('too-large', `"data" may have ${MAX_PUBLISH_BYTES} bytes of JSON.`, ref)
    this.#publications ??= createPublishLimit()
    if (!this.#publications.take())
      return this.#refuse('rate-limited', 'Too many publications; wait a second.', ref)
    this.#deps.emitter.emit({ appId, rooms: [room], topic, data })
    this.#send({ type: 'published', room }, ref)
  }

  async #tellMembers({ room, ref }: FrameOf<'presence'>): Promise<void> {
    if (!this.#rooms.has(room)) return this.#refuseNotJoined(room, ref)
    this.#sendMembers({ type: 'presence', room }, await this.#membersOf(room), ref)
  }

  #refuseNotJoined(room: string, ref?: string | number): void {
    this.#refuse('not-joined', `This connection is not in "${room}".`, ref)
  }

  #membersOf(room: string): Promise<Member[]> {
    return this.#deps.presence.list(this.#grant.appId, room, MAX_MEMBERS)
  }

  /** Patterns are compiled when they are asked: to keep them would be memory of every connection. */
  #mayJoin(room: string): boolean {
    return compileRoomPatterns(this.#grant.rooms)(room)
  }

  /** The holder stays the same; what it may no longer see it leaves. */
  async #authorize({ token, ref }: FrameOf<'auth'>): Promise<void> {
    let next: Grant
    try {
      next = await this.#deps.verifyToken(token)
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      return this.#refuse('unauthorized', error.message, ref)
    }
    const { appId, member } = this.#grant
    if (next.appId !== appId || next.member?.id !== member?.id)
      return this.#refuse('unauthorized', 'The token is of another app or for another member.', ref)
    this.#grant = { ...next, member }
    this.#watch.replace(this.#grant)
    for (const [room, membership] of this.#rooms) {
      if (this.#mayJoin(room)) membership.setTypes(next.types)
      else {
        this.#exit(room)
        this.#send({ type: 'left', room, reason: 'forbidden' })
      }
    }
    this.#send({ type: 'authorized', expiresAt: endOf(next) }, ref)
  }
}

const endOf = ({ expiresAt }: Grant): string | null =>
  expiresAt === undefined ? null : new Date(expiresAt).toISOString()
