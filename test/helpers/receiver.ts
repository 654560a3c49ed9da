import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { Test } from 'tap'
import { until } from './until.ts'

/** A request that a receiver got. */
export interface Received {
  path: string
  headers: IncomingHttpHeaders
  /** Names and values in turn, as they came. */
  rawHeaders: readonly string[]
  /** The body to the letter. */
  text: string
  at: number
}

export interface Receiver {
  url: string
  received: Received[]
  /** Answers one request; 200 with an empty body unless replaced. */
  answer: (response: ServerResponse, received: Received) => void
  /** Waits until so many requests came in. */
  waitFor(count: number): Promise<Received[]>
}

/** A real HTTP server on the loopback that keeps what it gets; closed when the test ends. */
export async function startReceiver(t: Test): Promise<Receiver> {
  const receiver: Receiver = {
    url: '',
    received: [],
    answer: (response) => response.end(),
    waitFor: (count) =>
      until(
        () => (receiver.received.length >= count ? receiver.received : undefined),
        `${count} requests were received`,
      ).catch((error: Error) => {
        throw new Error(`${error.message} There were ${receiver.received.length}.`, { cause: error })
      }),
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const received = {
        path: request.url ?? '',
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        text: Buffer.concat(chunks).toString('utf8'),
        at: Date.now(),
      }
      receiver.received.push(received)
      receiver.answer(response, received)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  receiver.url = `http://127.0.0.1:${(server.address() as { port: number }).port}/`
  return receiver
}
