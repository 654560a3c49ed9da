import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setImmediate as nextTick, setTimeout as wait } from 'node:timers/promises'
import { WebSocketServer } from 'ws'
import { serve } from '../lib/serve.ts'

const open = new Set<Socket>()

function hold(socket: Socket): void {
  open.add(socket)
  socket.on('close', () => open.delete(socket))
}

const starts = {
  sse() {
    const server = createServer((request, response) => {
      // Without the framing of chunks the same bytes can go to every socket.
      response.useChunkedEncodingByDefault = false
      response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' })
      response.flushHeaders()
      hold(request.socket)
    })
    return server.listen(0, '127.0.0.1')
  },
  websocket() {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
    server.on('connection', (_socket, request) => hold(request.socket))
    return server
  },
}

export type Transport = keyof typeof starts

const handlers = {
  /** @returns its port */
  async listen(transport: Transport): Promise<number> {
    const server = starts[transport]()
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  },

  /**
   * Writes one prepared buffer to every client, as often as it is told or, without a rate, as soon as every
   * client has taken the one before.
   *
   * @param frame in base64
   * @returns messages written, over all clients
   */
  async send(frame: string, seconds: number, perSecond: number | null): Promise<number> {
    const buffer = Buffer.from(frame, 'base64')
    const started = performance.now()
    let rounds = 0
    const isOver = (): boolean =>
      perSecond === null ? performance.now() - started >= seconds * 1000 : rounds >= perSecond * seconds
    while (!isOver()) {
      if (perSecond === null) await nextTick()
      else await wait(Math.max(0, started + (rounds * 1000) / perSecond - performance.now()))
      rounds += 1
      const full: Promise<unknown>[] = []
      for (const socket of open) if (!socket.write(buffer)) full.push(once(socket, 'drain'))
      await Promise.all(full)
    }
    return rounds * open.size
  },
}

export type BareServer = typeof handlers

serve(handlers)
