import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTick, setTimeout as wait } from 'node:timers/promises'
import { serve } from '../lib/serve.ts'

const open = new Set<ServerResponse>()

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
  open.add(response)
  request.on('close', () => open.delete(response))
})

const handlers = {
  async listen(): Promise<string> {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  },

  /**
   * Writes one prepared buffer to every client, as often as it is told or, without a rate, as soon as every
   * client has taken the one before.
   *
   * @returns messages written, over all clients
   */
  async send(frame: string, seconds: number, perSecond: number | null): Promise<number> {
    const buffer = Buffer.from(frame)
    const started = performance.now()
    let rounds = 0
    const isOver = (): boolean =>
      perSecond === null ? performance.now() - started >= seconds * 1000 : rounds >= perSecond * seconds
    while (!isOver()) {
      if (perSecond === null) await nextTick()
      else await wait(Math.max(0, started + (rounds * 1000) / perSecond - performance.now()))
      rounds += 1
      const full: Promise<unknown>[] = []
      for (const response of open) if (!response.write(buffer)) full.push(once(response, 'drain'))
      await Promise.all(full)
    }
    return rounds * open.size
  },
}

export type SseServer = typeof handlers

serve(handlers)
