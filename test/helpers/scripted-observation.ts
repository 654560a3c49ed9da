import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import { readClientFrame, type ClientFrame } from '../../src/features/observation/frames.ts'

/** A connection as the server has it. */
export interface ScriptedSocket {
  token: string
  /** What the client sent over it. */
  frames: ClientFrame[]
  rooms: Set<string>
  send: (frame: object) => void
  /** Says `closing` first where `retryMs` is given. */
  close(code: number, retryMs?: number): void
  /** Breaks the connection without a word. */
  cut(): void
}

/** Answers the frames of docs/observation.md from a log in memory, and does what real servers do rarely. */
export interface ScriptedObservation {
  url: string
  /** Of all connections so far, the last one last. */
  sockets: ScriptedSocket[]
  /** Query strings of the streams so far, and how to break the last one. */
  streams: {
    query: URLSearchParams
    cut: () => void
    end: (text: string) => void
    send: (text: string) => void
  }[]
  /** @returns its position */
  append(...rooms: string[]): number
  /** The log no longer holds what is up to this position. */
  expire(position: number): void
  /** The log is only so long, as after a restore. */
  restore(position: number): void
  /** Takes frames before they are answered: true when it has done so. */
  onFrame: (frame: ClientFrame, socket: ScriptedSocket) => boolean
  /** Whether a token is taken; others are refused with 401. */
  accepts: (token: string) => boolean
  /** A stream breaks after so many messages. */
  streamLimit: number
}

export async function startScripted(t: Test, heartbeatSeconds = 25): Promise<ScriptedObservation> {
  let log: { position: number; rooms: string[] }[] = []
  let [head, expired] = [0, 0]
  const listeners = new Set<(entry: { position: number; rooms: string[] }) => void>()
  const message = (room: string, position: number) => ({
    room,
    topic: 'some/topic',
    position,
    data: { position },
    event: { id: crypto.randomUUID(), type: 'some.type', createdAt: new Date().toISOString() },
  })
  const startOf = (room: string, after = head) => {
    const reason = after < expired ? 'expired' : after > head ? 'unknown' : undefined
    return {
      room,
      position: reason ? head : after,
      recovered: reason === undefined,
      ...(reason && { reason }),
    }
  }
  const server = createServer((request, response) => stream(request, response))
  const webSockets = new WebSocketServer({
    server,
    verifyClient: ({ req }: { req: IncomingMessage }) => allowed(req),
  })
  const tokenOf = ({ url = '' }: IncomingMessage): string =>
    new URL(url, 'http://x').searchParams.get('token') ?? ''
  const allowed = (request: IncomingMessage): boolean => scripted.accepts(tokenOf(request))

  webSockets.on('connection', (webSocket, request) => {
    const socket = toScripted(webSocket, tokenOf(request))
    scripted.sockets.push(socket)
    const give = ({ position, rooms }: { position: number; rooms: string[] }): void => {
      for (const room of rooms)
        if (socket.rooms.has(room)) socket.send({ type: 'message', ...message(room, position) })
    }
    listeners.add(give)
    webSocket.on('close', () => listeners.delete(give))
    webSocket.on('message', (bytes: Buffer) => {
      const frame = readClientFrame(bytes.toString('utf8'))
      if (!('action' in frame)) return socket.send({ type: 'error', ...frame })
      socket.frames.push(frame)
      if (!scripted.onFrame(frame, socket)) answer(frame, socket)
    })
    socket.send({ type: 'welcome', connection: crypto.randomUUID(), heartbeatSeconds })
  })

  function answer(frame: ClientFrame, socket: ScriptedSocket): void {
    const { ref } = frame
    switch (frame.action) {
      case 'join': {
        const start = startOf(frame.room, frame.after)
        const members = frame.presence ? { members: [{ id: 'ada', info: null }] } : {}
        socket.send({ type: 'joined', ...start, ...members, ref })
        for (const { position, rooms } of log)
          if (position > start.position && rooms.includes(frame.room))
            socket.send({ type: 'message', ...message(frame.room, position) })
        return void socket.rooms.add(frame.room)
      }
      case 'leave':
        socket.rooms.delete(frame.room)
        return socket.send({ type: 'left', room: frame.room, ref })
      case 'publish':
        return socket.send({ type: 'published', room: frame.room, ref })
      case 'presence':
        return socket.send({ type: 'presence', room: frame.room, members: [{ id: 'ada', info: null }], ref })
      case 'auth':
        return socket.send({
          type: 'authorized',
          expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
          ref,
        })
      case 'ping':
        return socket.send({ type: 'pong', ref })
    }
  }

  function stream(request: IncomingMessage, response: ServerResponse): void {
    const query = new URL(request.url ?? '', 'http://x').searchParams
    if (!allowed(request)) return void response.writeHead(401).end()
    const rooms = query.get('rooms')?.split(',') ?? []
    const lastId = request.headers['last-event-id'] ?? query.get('after')
    const [after, part = Infinity] = lastId === null ? [] : String(lastId).split('-').map(Number)
    const starts = rooms.map((room) => startOf(room, after))
    let left = scripted.streamLimit
    const send = (text: string): void => void response.write(text)
    const give = (entry: { position: number; rooms: string[] }, skipped = 0): void => {
      const told = rooms.filter((room) => entry.rooms.includes(room))
      for (const [index, room] of told.entries()) {
        if (index < skipped || response.writableEnded) continue
        const id = index === told.length - 1 ? `${entry.position}` : `${entry.position}-${index + 1}`
        send(`id: ${id}\ndata: ${JSON.stringify(message(room, entry.position))}\n\n`)
        if (--left === 0) response.end()
      }
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'access-control-allow-origin': '*' })
    send(`event: joined\ndata: ${JSON.stringify({ rooms: starts, heartbeatSeconds: 25 })}\n\n`)
    const from = starts[0]?.position ?? 0
    for (const entry of log) if (entry.position > from) give(entry)
    if (part !== Infinity)
      give(log.find(({ position }) => position === after) ?? { position: 0, rooms: [] }, part)
    listeners.add(give)
    response.on('close', () => listeners.delete(give))
    scripted.streams.push({
      query,
      cut: () => void response.destroy(),
      end: (text) => void response.end(text),
      send,
    })
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const scripted: ScriptedObservation = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets: [],
    streams: [],
    append(...rooms) {
      const entry = { position: ++head, rooms }
      log.push(entry)
      for (const listener of listeners) listener(entry)
      return head
    },
    expire(position) {
      expired = position
      log = log.filter((entry) => entry.position > position)
    },
    restore(position) {
      head = position
      log = log.filter((entry) => entry.position <= position)
    },
    onFrame: () => false,
    accepts: () => true,
    streamLimit: Infinity,
  }
  t.teardown(async () => {
    for (const webSocket of webSockets.clients) webSocket.terminate()
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return scripted
}

const toScripted = (webSocket: WebSocket, token: string): ScriptedSocket => ({
  token,
  frames: [],
  rooms: new Set(),
  send: (frame) => webSocket.send(JSON.stringify(frame)),
  close(code, retryMs) {
    const reason = 'as the test wants it'
    if (retryMs !== undefined) webSocket.send(JSON.stringify({ type: 'closing', code, reason, retryMs }))
    webSocket.close(code, reason)
  },
  cut: () => webSocket.terminate(),
})
