import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '../lib/serve.ts'

let requests = 0
let distinct = new Set<string>()

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    requests += 1
    distinct.add(`${request.url} ${String(request.headers['webhook-id'])}`)
    response.end()
  })
})
server.keepAliveTimeout = 120_000

const handlers = {
  /** @returns the URL to post to; every path under it will do */
  async listen(): Promise<string> {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  },
  async reset(): Promise<void> {
    requests = 0
    distinct = new Set()
  },
  /** `distinct` counts a webhook-id once per path, so it leaves out what was sent again. */
  async counts(): Promise<{ requests: number; distinct: number }> {
    return { requests, distinct: distinct.size }
  },
}

export type Receiver = typeof handlers

serve(handlers)
