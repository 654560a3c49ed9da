import { SSE, WEBSOCKET } from '../../src/features/observation/live/encoding.ts'
import { newId } from '../../src/platform/identifiers/ids.ts'
import type { BareServer, Transport } from '../helpers/bare-server.ts'
import type { Observers, Opening } from '../helpers/observers.ts'
import { createApp } from './app.ts'
import type { Environment, Stores } from './environment.ts'
import { EVENT_TYPE, payload } from './events.ts'
import { startHelper, type Helper } from './helper.ts'
import type { Process } from './processes.ts'
import type { Scope } from './scope.ts'

export const TRANSPORTS: Record<Transport, string> = { sse: 'server-sent events', websocket: 'WebSocket' }

const ROOM = 'all'
const CLIENT_PROCESSES = 2
const MARK = `"topic":"${EVENT_TYPE}","position":`
/** A text frame of less than 126 bytes, masked with zeroes, which change nothing. */
const JOIN = maskedFrame(JSON.stringify({ action: 'join', room: ROOM }))

/** A server with something to observe. */
export interface Target extends Process {
  name: string
  opening: Opening
}

/** A server that only writes: `ws`, or `node:http`. */
export async function startBare(scope: Scope, transport: Transport): Promise<Target & Helper<BareServer>> {
  const server = await startHelper<BareServer>(scope, 'bare-server')
  const port = await server.call('listen', transport)
  const opening = { port, request: request(transport, '/'), ready: '\r\n\r\n', mark: MARK }
  return { ...server, name: 'bare', opening }
}

/** The service, with a new app whose events are all in one room. */
export async function startService(
  environment: Environment,
  stores: Stores,
  transport: Transport,
  nodeOptions?: readonly string[],
) {
  const { url, ...api } = await environment.startApi(stores, nodeOptions)
  const { key } = await createApp(url, [ROOM])
  const port = Number(new URL(url).port)
  const path = transport === 'sse' ? `/observation/sse?rooms=${ROOM}` : '/observation/ws'
  const opening: Opening = {
    port,
    request: request(transport, path, `Authorization: Bearer ${key}`),
    ready: transport === 'sse' ? 'event: joined' : '"type":"joined"',
    mark: MARK,
    ...(transport === 'websocket' && { frame: JOIN }),
  }
  return { ...api, url, key, name: 'service', opening }
}

function request(transport: Transport, path: string, ...headers: string[]): string {
  const upgrade = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ]
  const lines = [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...headers]
  return [...lines, ...(transport === 'websocket' ? upgrade : []), '\r\n'].join('\r\n')
}

function maskedFrame(text: string): string {
  const data = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x81, 0x80 | data.length, 0, 0, 0, 0]), data]).toString('base64')
}

/** Clients of servers, in processes of their own. */
export async function startObservers(scope: Scope) {
  const clients: Helper<Observers>[] = []
  for (let count = 0; count < CLIENT_PROCESSES; count++) {
    clients.push(await startHelper<Observers>(scope, 'observers'))
  }
  const each = <T>(ask: (client: Helper<Observers>) => Promise<T>): Promise<T[]> =>
    Promise.all(clients.map(ask))
  return {
    connect: ({ name, opening }: Target, count: number) =>
      each((client) => client.call('open', name, opening, count / clients.length)),
    disconnect: ({ name }: Target) => each((client) => client.call('close', name)),
    /** Messages that all clients of a server got. */
    async received({ name }: Target): Promise<number> {
      const counts = await each((client) => client.call('messages', name))
      return counts.reduce((sum, count) => sum + count, 0)
    },
    /** @throws Error unless every client of a server got so many messages, one after the other */
    async checkEach({ name }: Target, messages: number): Promise<void> {
      for (const { least, most, outOfPlace } of await each((client) => client.call('spread', name))) {
        if (least === messages && most === messages && outOfPlace === 0) continue
        throw new Error(
          `Of ${messages} messages ${name} sent ${least} to ${most} to an observer, ${outOfPlace} out of place.`,
        )
      }
    },
  }
}

/** What the service sends of one event, in base64. */
export function preparedFrame(transport: Transport): string {
  const encoding = transport === 'sse' ? SSE : WEBSOCKET
  const event = {
    appId: newId(),
    id: newId(),
    position: 10_000,
    eventTypeId: newId(),
    type: EVENT_TYPE,
    schemaVersion: 1,
    schemaValid: true,
    payload: JSON.stringify(payload(1)),
    edges: '[]',
    originEventId: null,
    externalId: null,
    orgid: null,
    context: null,
    topic: null,
    rooms: [ROOM],
    createdAt: new Date(),
  }
  return encoding.event(event, event.rooms, 0).toString('base64')
}
