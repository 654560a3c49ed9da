import { createLink, type End, type Options } from './link.ts'
import {
  begin,
  deliver,
  type Joined,
  type Member,
  type PresenceChange,
  type Room,
  type RoomHandlers,
  type RoomMessage,
} from './rooms.ts'

export { watch } from './watch.ts'
export type { Options, Status, StatusDetail, Token } from './link.ts'
export type { Joined, Member, PresenceChange, RoomHandlers, RoomMessage } from './rooms.ts'

export interface Observer {
  /**
   * Joins a room, now and after every reconnect.
   *
   * @param options.after the position to begin after; from now on unless given
   * @returns leaves it
   * @throws Error when it is joined already
   */
  join(room: string, options: { after?: number; presence?: boolean }, handlers: RoomHandlers): () => void
  /** Sends an ephemeral message, at most once. Rejects with an Error whose `code` says why. */
  publish(room: string, topic: string, data: unknown): Promise<void>
  /** Who is in a joined room. Rejects as `publish` does. */
  members(room: string): Promise<Member[]>
  close(): void
}

type Frame = { ref?: number } & (
  | { type: 'welcome'; heartbeatSeconds: number; expiresAt: string | null }
  | ({ type: 'joined' } & Joined)
  | { type: 'left' | 'published' | 'pong' }
  | { type: 'authorized'; expiresAt: string | null }
  | ({ type: 'message' } & RoomMessage)
  | ({ type: 'presence' } & (PresenceChange | { room: string; members: Member[]; change?: undefined }))
  | { type: 'closing'; code: number; reason: string; retryMs: number }
  | { type: 'error'; code: string; detail: string }
)
type Answer = Frame | undefined

interface JoinedRoom extends Room {
  handlers: RoomHandlers
  presence: boolean
}

/** Of a frame without its `ref`. */
const MAX_FRAME_BYTES = 65_536 - 64
/** Joining anew would be refused anew. */
const FINAL_REFUSALS = new Set(['forbidden', 'too-many-rooms', 'bad-frame'])

const failure = (code: string, detail: string): Error => Object.assign(new Error(detail), { code })

/** Observes rooms over one WebSocket. */
export function connect(options: Options & { WebSocket?: typeof WebSocket }): Observer {
  const { timeoutMs = 10_000, WebSocket: Socket = WebSocket } = options
  const rooms = new Map<string, JoinedRoom>()
  const asked = new Map<number, (answer: Answer) => void>()
  let socket: WebSocket | undefined
  let [isOpen, silentBeats, lastRef] = [false, 0, 0]
  let farewell: End = {}
  let beat: ReturnType<typeof setInterval>
  let opening: ReturnType<typeof setTimeout>
  let renewal: ReturnType<typeof setTimeout>

  const link = createLink(options, (url, token) => {
    const opened = new Socket(
      `${url.replace(/^http/, 'ws')}/observation/ws?token=${encodeURIComponent(token)}`,
    )
    socket = opened
    farewell = {}
    opening = setTimeout(() => drop({ reason: 'It took too long to connect.' }), timeoutMs)
    opened.addEventListener('message', ({ data }) => {
      if (opened === socket) receive(JSON.parse(String(data)) as Frame)
    })
    opened.addEventListener('close', ({ code, reason }) => {
      if (opened === socket) drop({ code, reason })
    })
  })

  /** Lets go of the connection without waiting for it to close: one that is dead would take long. */
  function drop(end: End): void {
    const dropped = socket
    socket = undefined
    isOpen = false
    for (const timer of [beat, opening, renewal]) clearTimeout(timer)
    dropped?.close()
    const unanswered = [...asked.values()]
    asked.clear()
    link.retry({ ...end, ...farewell })
    for (const answer of unanswered) answer(undefined)
  }

  const send = (frame: object): void => socket?.send(JSON.stringify(frame))

  /** A server that does not answer in time is gone. */
  function ask(frame: object, onAnswer: (answer: Answer) => void): void {
    const ref = ++lastRef
    const late = setTimeout(() => drop({ reason: 'The server did not answer.' }), timeoutMs)
    asked.set(ref, (answer) => {
      clearTimeout(late)
      onAnswer(answer)
    })
    send({ ...frame, ref })
  }

  function receive(frame: Frame): void {
    silentBeats = 0
    const answer = asked.get(frame.ref ?? 0)
    if (answer) {
      asked.delete(frame.ref ?? 0)
      answer(frame)
    } else if (frame.type === 'welcome') welcome(frame)
    else if (frame.type === 'closing') farewell = frame
    else if (frame.type === 'message') deliver(rooms.get(frame.room), frame)
    else if (frame.type === 'presence' && frame.change) rooms.get(frame.room)?.handlers.onPresence?.(frame)
  }

  function welcome({
    heartbeatSeconds,
    expiresAt,
  }: {
    heartbeatSeconds: number
    expiresAt: string | null
  }): void {
    clearTimeout(opening)
    isOpen = true
    silentBeats = 0
    beat = setInterval(() => {
      if (++silentBeats >= 2) ask({ action: 'ping' }, () => {})
    }, heartbeatSeconds * 1000)
    if (expiresAt) link.tokens.endsAt(expiresAt)
    renewLater()
    for (const [name, room] of rooms) enter(name, room)
    link.opened()
  }

  function enter(name: string, room: JoinedRoom): void {
    room.begun = false
    ask({ action: 'join', room: name, after: room.last, presence: room.presence }, (answer) => {
      if (rooms.get(name) !== room || !answer) return
      if (answer.type === 'joined') return begin(room, answer)
      if (answer.type !== 'error') return
      if (!FINAL_REFUSALS.has(answer.code)) return drop({ reason: answer.detail })
      rooms.delete(name)
      room.handlers.onRefused?.(answer)
    })
  }

  /** In band, so that nothing is interrupted. What fails here ends with 4401, and is then mended by a reconnect. */
  function renewLater(): void {
    const dueMs = link.tokens.dueMs()
    if (dueMs === undefined || link.tokens.isFixed) return
    renewal = setTimeout(() => {
      const current = socket
      link.tokens.renew().then(
        (token) => {
          if (current !== socket) return
          ask({ action: 'auth', token }, (answer) => {
            if (answer?.type === 'authorized') link.tokens.endsAt(answer.expiresAt)
            if (answer?.type === 'error') link.tokens.forget()
            if (answer) renewLater()
          })
        },
        () => current === socket && renewLater(),
      )
    }, dueMs)
  }

  /** @returns the answer's part that is asked for; rejects when there is none */
  const request = <Part>(frame: object, part: (answer: Frame) => Part | undefined): Promise<Part> =>
    new Promise((resolve, reject) => {
      if (!isOpen) return reject(failure('not-connected', 'There is no connection at the moment.'))
      if (new TextEncoder().encode(JSON.stringify(frame)).length > MAX_FRAME_BYTES)
        return reject(failure('too-large', 'The message is larger than a frame may be.'))
      ask(frame, (answer) => {
        if (!answer) return reject(failure('no-answer', 'The connection ended before the answer.'))
        const wanted = part(answer)
        if (wanted !== undefined) return resolve(wanted)
        reject(
          answer.type === 'error' ? failure(answer.code, answer.detail) : failure('no-answer', answer.type),
        )
      })
    })

  void link.start()
  return {
    join(name, { after, presence = false }, handlers) {
      if (rooms.has(name)) throw new Error(`The room ${name} is joined already.`)
      const room: JoinedRoom = { handlers, presence, last: after, begun: false }
      rooms.set(name, room)
      if (isOpen) enter(name, room)
      return () => {
        if (rooms.get(name) !== room) return
        rooms.delete(name)
        if (isOpen) send({ action: 'leave', room: name })
      }
    },
    publish: (room, topic, data) =>
      request({ action: 'publish', room, topic, data }, ({ type }) =>
        type === 'published' ? null : undefined,
      ).then(() => {}),
    members: (room) =>
      request({ action: 'presence', room }, (answer) => ('members' in answer ? answer.members : undefined)),
    close() {
      link.close({ reason: 'It was closed.' })
      drop({})
    },
  }
}
