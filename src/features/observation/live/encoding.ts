import { encodeMessage } from '../../../platform/http/sse.ts'
import { encodeTextFrame } from '../../../platform/http/websocket-frames.ts'
import type { StoredEvent } from '../../events/index.ts'
import type { Member, PresenceChange, RoomMessage } from '../contracts.ts'

/** How messages look on a transport. */
export interface Encoding {
  name: 'websocket' | 'sse'
  /**
   * One event in some of its rooms.
   *
   * @param rooms those observed, in the order of the event
   * @param given how many of them the observer has already
   */
  event(event: StoredEvent, rooms: readonly string[], given: number): Buffer
  message(message: RoomMessage): Buffer
  presence(change: PresenceChange): Buffer
}

export const WEBSOCKET: Encoding = {
  name: 'websocket',
  event: (event, rooms, given) =>
    Buffer.concat(
      rooms.slice(given).map((room) => encodeTextFrame(`{"type":"message",${eventMembers(event, room)}}`)),
    ),
  message: (message) => encodeTextFrame(`{"type":"message",${messageMembers(message)}}`),
  presence: (change) => encodeTextFrame(`{"type":"presence",${presenceMembers(change)}}`),
}

/** The last message of an event has its position as id; those before it say how many were given. */
export const SSE: Encoding = {
  name: 'sse',
  event: (event, rooms, given) =>
    Buffer.from(
      rooms
        .slice(given)
        .map((room, index) => {
          const count = given + index + 1
          const id = count === rooms.length ? `${event.position}` : `${event.position}-${count}`
          return encodeMessage({ id, event: 'message', data: `{${eventMembers(event, room)}}` })
        })
        .join(''),
    ),
  message: (message) =>
    Buffer.from(encodeMessage({ event: 'message', data: `{${messageMembers(message)}}` })),
  presence: (change) =>
    Buffer.from(encodeMessage({ event: 'presence', data: `{${presenceMembers(change)}}` })),
}

const eventMembers = (event: StoredEvent, room: string): string =>
  `"room":${JSON.stringify(room)},"topic":${JSON.stringify(event.topic ?? event.type)},` +
  `"position":${event.position},"data":${event.payload},` +
  `"event":{"id":"${event.id}","type":"${event.type}","createdAt":"${event.createdAt.toISOString()}"}`

const messageMembers = ({ room, topic, data }: RoomMessage): string =>
  `"room":${JSON.stringify(room)},"topic":${JSON.stringify(topic)},"position":null,"data":${data},"ephemeral":true`

const presenceMembers = ({ room, change, member }: PresenceChange): string =>
  `"room":${JSON.stringify(room)},"change":"${change}","member":${memberJson(member)}`

/** The JSON of a member as the others see it. */
export const memberJson = ({ id, info }: Member): string =>
  `{"id":${JSON.stringify(id)},"info":${info ?? 'null'}}`
