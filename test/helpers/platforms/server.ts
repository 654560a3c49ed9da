import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { Test } from 'tap'
import { until } from '../until.ts'

/** A request that a platform got. */
export interface PlatformRequest {
  method: string
  path: string
  headers: IncomingHttpHeaders
  /** The body to the letter. */
  text: string
  at: number
}

export interface Reply {
  status: number
  headers?: Record<string, string>
  body: string | Buffer
}

/** `hang`: nothing is ever answered. `reset`: the connection breaks. */
export type Scripted = Reply | 'hang' | 'reset'

export interface PlatformServer {
  url: string
  requests: PlatformRequest[]
  /** What the coming requests are answered with, whatever they say; then the platform judges them itself again. */
  script: Scripted[]
  /** Runs between what the platform does with a request and its answer. */
  beforeAnswer: (request: PlatformRequest) => Promise<void>
  /** Waits until so many requests came in. */
  waitFor(count: number): Promise<PlatformRequest[]>
}

export const jsonReply = (status: number, body: unknown, headers: Record<string, string> = {}): Reply => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})

/**
 * A real HTTP server on the loopback, closed when the test ends.
 *
 * @param judge what the platform does with a request that no script answers
 */
export async function startPlatformServer(
  t: Test,
  judge: (request: PlatformRequest) => Reply,
): Promise<PlatformServer> {
  const platform: PlatformServer = {
    url: '',
    requests: [],
    script: [],
    beforeAnswer: async () => {},
    waitFor: (count) =>
      until(
        () => (platform.requests.length >= count ? platform.requests : undefined),
        `${count} requests were made to the platform`,
      ),
  }
  async function answer(received: PlatformRequest, response: ServerResponse): Promise<void> {
    platform.requests.push(received)
    const reply = platform.script.shift() ?? judge(received)
    if (reply === 'hang') return
    if (reply === 'reset') {
      response.destroy()
      return
    }
    await platform.beforeAnswer(received)
    response.writeHead(reply.status, reply.headers)
    response.end(reply.body)
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      const { method = '', url: path = '', headers } = request
      void answer({ method, path, headers, text, at: Date.now() }, response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  platform.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  return platform
}
