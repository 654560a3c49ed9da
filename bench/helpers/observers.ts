import { connect, type Socket } from 'node:net'
import { serve } from '../lib/serve.ts'

/** How a client gets to where messages come. */
export interface Opening {
  port: number
  /** What it sends first. */
  request: string
  /** What it sends once the upgrade was taken, in base64. */
  frame?: string
  /** What the server sends once the client is there. */
  ready: string
  /** What begins the position of a message; nothing else that the server sends holds it. */
  mark: string
}

interface Client {
  socket: Socket
  messages: number
  position: number
}

/** Clients of one server. */
interface Group {
  clients: Client[]
  lost: number
  /** Messages that did not follow the one before. */
  outOfPlace: number
}

/** More at once would not get into the server's backlog. */
const OPENING_AT_ONCE = 100
const PING = Buffer.from([0x89, 0x00])
/** Masked with zeroes. */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0])
const COMMA = 0x2c
const BRACE = 0x7d
const LINE_FEED = 0x0a
const groups = new Map<string, Group>()

const handlers = {
  /** Opens clients, each on a connection of its own, and begins to count what comes. */
  async open(name: string, opening: Opening, count: number): Promise<void> {
    const group: Group = { clients: [], lost: 0, outOfPlace: 0 }
    groups.set(name, group)
    let left = count
    const openSome = async (): Promise<void> => {
      while (left-- > 0) group.clients.push(await openOne(opening, group))
    }
    await Promise.all(Array.from({ length: OPENING_AT_ONCE }, openSome))
  },

  /** @throws Error when the server cut a client off */
  async messages(name: string): Promise<number> {
    return whole(name).clients.reduce((sum, { messages }) => sum + messages, 0)
  },

  /** How many messages the clients got since they were opened: the one with the fewest, the one with the most. */
  async spread(name: string): Promise<{ least: number; most: number; outOfPlace: number }> {
    const { clients, outOfPlace } = whole(name)
    const counts = clients.map(({ messages }) => messages)
    return { least: Math.min(...counts), most: Math.max(...counts), outOfPlace }
  },

  async close(name: string): Promise<void> {
    const { clients } = groups.get(name) as Group
    groups.delete(name)
    for (const { socket } of clients) socket.destroy()
  },
}

function whole(name: string): Group {
  const group = groups.get(name) as Group
  if (group.lost > 0) throw new Error(`${group.lost} observers of ${name} were cut off`)
  return group
}

function openOne({ port, request, frame, ready, mark }: Opening, group: Group): Promise<Client> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const client: Client = { socket, messages: 0, position: 0 }
    let text = ''
    let hasAsked = false
    const refused = (): void => reject(new Error(`The server did not let an observer in: ${text}`))
    const opening = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      if (frame !== undefined && !hasAsked && text.includes('\r\n\r\n')) {
        hasAsked = true
        socket.write(Buffer.from(frame, 'base64'))
      }
      if (!text.includes(ready)) return
      socket.off('data', opening)
      socket.off('close', refused)
      socket.on('close', () => (group.lost += 1))
      socket.on('data', counter(client, group, Buffer.from(mark)))
      resolve(client)
    }
    socket.on('error', () => {})
    socket.on('close', refused)
    socket.on('data', opening)
    socket.write(request)
  })
}

/** Looks for the mark and for pings, and parses nothing else, since the clients share the machine with the server. */
function counter(client: Client, group: Group, mark: Buffer): (chunk: Buffer) => void {
  let rest: Buffer | undefined
  return (received) => {
    const chunk = rest ? Buffer.concat([rest, received]) : received
    rest = undefined
    if (chunk.includes(PING)) client.socket.write(PONG)
    let end = 0
    for (let at = chunk.indexOf(mark); at !== -1; at = chunk.indexOf(mark, end)) {
      let position = 0
      let digit = at + mark.length
      for (; digit < chunk.length && chunk[digit] !== COMMA; digit++)
        position = position * 10 + (chunk[digit] as number) - 0x30
      if (digit === chunk.length) {
        rest = Buffer.from(chunk.subarray(at))
        return
      }
      if (client.messages > 0 && position !== client.position + 1) group.outOfPlace += 1
      client.position = position
      client.messages += 1
      end = digit
    }
    const last = chunk[chunk.length - 1]
    if (last === BRACE || last === LINE_FEED) return
    // It does not end as a message does: the beginning of a mark may be at the end.
    rest = Buffer.from(chunk.subarray(Math.max(end, chunk.length - mark.length + 1)))
  }
}

export type Observers = typeof handlers

serve(handlers)
