import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '../lib/serve.ts'

const hanging = new Set<ServerResponse>()
/** Milliseconds from an event's time in the log to its arrival, by webhook-id. */
let latencies = new Map<string, number>()

/** `/hang` never answers, `/fail` answers 500; what comes to any other path is timed. */
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const at = performance.timeOrigin + performance.now()
    if (request.url === '/hang') {
      hanging.add(response)
      response.on('close', () => hanging.delete(response))
      return
    }
    response.statusCode = request.url === '/fail' ? 500 : 200
    response.end()
    if (request.url === '/fail') return
    const id = String(request.headers['webhook-id'])
    const { created_at: createdAt } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as {
      created_at: string
    }
    if (!latencies.has(id)) latencies.set(id, at - Date.parse(createdAt))
  })
})
server.keepAliveTimeout = 120_000

const handlers = {
  /** @returns the URL to post to */
  async listen(): Promise<string> {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  },
  /** Forgets what was timed. */
  async forget(): Promise<void> {
    latencies = new Map()
  },
  /** Answers what hangs. */
  async letGo(): Promise<void> {
    for (const response of hanging) response.end()
  },
  /** Requests that hang at the moment. */
  async hanging(): Promise<number> {
    return hanging.size
  },
  /** How long each event took that arrived since the last `forget`. */
  async latencies(): Promise<number[]> {
    return [...latencies.values()]
  },
}

export type Endpoints = typeof handlers

serve(handlers)
