import { once } from 'node:events'
import { Agent, get, type ClientRequest, type IncomingMessage } from 'node:http'
import { serve } from '../lib/serve.ts'

/** Clients of one server. */
interface Group {
  requests: ClientRequest[]
  messages: number
  lost: number
}

/** Begins the data of a message; nothing else in a stream of the benches holds it. */
const DATA = Buffer.from('\ndata: ')
const groups = new Map<string, Group>()

const handlers = {
  /** Opens event streams, each on a connection of its own, and begins to count what comes. */
  async open(name: string, url: string, headers: Record<string, string>, count: number): Promise<void> {
    const group: Group = { requests: [], messages: 0, lost: 0 }
    groups.set(name, group)
    const agent = new Agent({ maxSockets: Infinity })
    const opening = Array.from({ length: count }, async () => {
      const request = get(url, { agent, headers })
      group.requests.push(request)
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode}`)
      request.on('error', () => {})
      response.on('error', () => {})
      response.on('close', () => (group.lost += 1))
      countMessages(response, group)
    })
    await Promise.all(opening)
  },

  /** @throws Error when the server cut a client off */
  async messages(name: string): Promise<number> {
    const { messages, lost } = groups.get(name) as Group
    if (lost > 0) throw new Error(`${lost} observers of ${name} were cut off`)
    return messages
  },

  async close(name: string): Promise<void> {
    for (const request of groups.get(name)?.requests ?? []) request.destroy()
    groups.delete(name)
  },
}

/** Looks for the mark and parses nothing, since the clients share the machine with the server. */
function countMessages(response: IncomingMessage, group: Group): void {
  let tail = Buffer.alloc(0)
  response.on('data', (chunk: Buffer) => {
    if (tail.length > 0) {
      const seam = Buffer.concat([tail, chunk.subarray(0, DATA.length - 1)])
      if (seam.includes(DATA)) group.messages += 1
    }
    for (let at = chunk.indexOf(DATA); at !== -1; at = chunk.indexOf(DATA, at + DATA.length)) {
      group.messages += 1
    }
    tail =
      chunk.length < DATA.length
        ? Buffer.concat([tail, chunk]).subarray(1 - DATA.length)
        : Buffer.from(chunk.subarray(1 - DATA.length))
  })
}

export type Observers = typeof handlers

serve(handlers)
