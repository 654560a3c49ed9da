import { once } from 'node:events'
import type { EventSourceMessage } from 'eventsource-parser'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { openEventStream } from './observer.ts'
import { until } from './until.ts'

/** A frame of the server, looked into freely. */
// oxlint-disable-next-line typescript/no-explicit-any -- frames are of many forms
export type Frame = any

/** A client of `/observation/ws`. */
export interface RoomSocket {
  socket: WebSocket
  /** Everything that the server sent. */
  frames: Frame[]
  closed: Promise<{ code: number; reason: string }>
  send(frame: object): void
  /** Sends a frame and waits for what answers it. */
  ask(frame: object): Promise<Frame>
  join(room: string, options?: { after?: number; presence?: boolean }): Promise<Frame>
  /** The messages of a room, in the order in which they came. */
  messages(room?: string): Frame[]
  waitFor(condition: (frame: Frame) => boolean, what: string): Promise<Frame>
}

let references = 0

/** Connects a WebSocket and waits until it is open. */
export async function openSocket(
  t: Test,
  baseUrl: string,
  credential: { key: string } | { token: string },
  headers: Record<string, string> = {},
): Promise<RoomSocket> {
  const query = 'token' in credential ? `?token=${encodeURIComponent(credential.token)}` : ''
  const socket = new WebSocket(`${baseUrl.replace('http', 'ws')}/observation/ws${query}`, {
    headers: { ...('key' in credential && { authorization: `Bearer ${credential.key}` }), ...headers },
    perMessageDeflate: false,
  })
  t.teardown(() => socket.terminate())
  const frames: Frame[] = []
  socket.on('message', (data) => frames.push(JSON.parse((data as Buffer).toString())))
  socket.on('error', () => {})
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  )
  await once(socket, 'open')

  const waitFor: RoomSocket['waitFor'] = (condition, what) =>
    until(() => frames.find((frame) => condition(frame)), what)
  const client: RoomSocket = {
    socket,
    frames,
    closed,
    send: (frame) => socket.send(JSON.stringify(frame)),
    ask(frame) {
      const ref = `r${(references += 1)}`
      client.send({ ...frame, ref })
      return waitFor((answer) => answer.ref === ref, `${JSON.stringify(frame)} was answered`)
    },
    join: (room, options = {}) => client.ask({ action: 'join', room, ...options }),
    messages: (room) =>
      frames.filter((frame) => frame.type === 'message' && (room === undefined || frame.room === room)),
    waitFor,
  }
  return client
}

/** A client of `/observation/sse`. */
export interface RoomEvents {
  events: EventSourceMessage[]
  ended: Promise<void>
  drop(): void
  /** Data of the messages, with the ids they came with. */
  messages(): { id: string | undefined; data: Frame }[]
  waitFor(condition: (event: EventSourceMessage) => boolean, what: string): Promise<EventSourceMessage>
}

/** Opens a stream of rooms and waits for its first event. */
export async function openRoomEvents(
  t: Test,
  baseUrl: string,
  key: string,
  query: string,
  lastEventId?: string,
): Promise<RoomEvents> {
  const url = `${baseUrl}/observation/sse${query}`
  const { messages: events, ended, drop } = await openEventStream(t, url, key, lastEventId)
  const stream: RoomEvents = {
    events,
    ended,
    drop,
    messages: () =>
      events
        .filter(({ event }) => event === 'message')
        .map(({ id, data }) => ({ id, data: JSON.parse(data) })),
    waitFor: (condition, what) => until(() => events.find((event) => condition(event)), what),
  }
  await stream.waitFor(({ event }) => event === 'joined', 'the stream has begun')
  return stream
}
