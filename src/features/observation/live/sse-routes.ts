import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { ServerResponse } from 'node:http'
import type { onRequestAsyncHookHandler } from 'fastify'
import { OBSERVER_SECURITY } from '../../../platform/http/openapi.ts'
import { Problem } from '../../../platform/http/problems.ts'
import { EXAMPLE_ID, EXAMPLE_TIME, inMediaTypes, responses } from '../../../platform/http/schemas.ts'
import { grantOf } from '../access/authenticate.ts'
import { encodeMessage, sendStreamHead } from '../../../platform/http/sse.ts'
import { isRoom } from '../../../platform/rooms/names.ts'
import { compileRoomPatterns } from '../patterns.ts'
import { startStream, type RoomStream, type RoomStreamDeps } from './room-stream.ts'

/** Rooms of one stream. */
const MAX_ROOMS = 32

const LastEventId = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      pattern: '^(\\d{1,15}(-\\d{1,2})?)?$',
      description: 'The `id` of the last message seen; browsers send it by themselves. An empty one is none.',
    }),
  ),
})

const SseQuery = Type.Object({
  rooms: Type.String({
    minLength: 1,
    maxLength: 8_192,
    description: `1 to ${MAX_ROOMS} rooms with commas between them.`,
    examples: ['outreach/inquiries,orders/17'],
  }),
  after: Type.Optional(
    Type.String({
      pattern: '^\\d{1,15}(-\\d{1,2})?$',
      description: 'An `id` to go on from. `Last-Event-ID` counts rather than this.',
      examples: ['41'],
    }),
  ),
  presence: Type.Optional(Type.Boolean({ description: 'Also tell who comes and goes.' })),
  token: Type.Optional(
    Type.String({ maxLength: 8_192, description: 'An observer token; never an API key.' }),
  ),
})

const EXAMPLE = encodeMessage({
  id: '42',
  event: 'message',
  data: JSON.stringify({
    room: 'orders/17',
    topic: 'orders/shipped',
    position: 42,
    data: { order_id: '17' },
    event: { id: EXAMPLE_ID, type: 'order.shipped', createdAt: EXAMPLE_TIME },
  }),
})

/** `GET /observation/sse`: rooms as server-sent events (SPEC section 4, docs/observation.md). */
export const sseRoutes =
  (deps: RoomStreamDeps, counting: onRequestAsyncHookHandler): FastifyPluginAsyncTypebox =>
  async (app) => {
    const streams = new Set<RoomStream>()
    const heartbeat = setInterval(() => {
      for (const stream of streams) stream.heartbeat()
    }, deps.heartbeatMs)

    function keep(stream: RoomStream, response: ServerResponse, appId: string, reqId: string): void {
      const started = performance.now()
      streams.add(stream)
      response.on('close', () => {
        streams.delete(stream)
        const seconds = Math.round((performance.now() - started) / 1000)
        deps.log.info({ reqId, appId, transport: 'sse', seconds }, 'observer left')
      })
    }

    app.addHook('preClose', async () => {
      clearInterval(heartbeat)
      const { size } = streams
      for (const stream of streams) stream.end('stopping', size)
    })

    app.get(
      '/observation/sse',
      {
        config: { access: 'observer' },
        onRequest: counting,
        schema: {
          tags: ['Observation'],
          security: OBSERVER_SECURITY,
          operationId: 'observeOverSse',
          summary: 'Observe rooms (server-sent events)',
          description:
            'For pages that only watch a few rooms, and wherever a WebSocket does not get through. What is said in the rooms, in the order of the log: `id` is the position. A client that reconnects with its last id misses nothing. See docs/observation.md.',
          headers: LastEventId,
          querystring: SseQuery,
          response: responses(
            {
              200: inMediaTypes(
                { 'text/event-stream': Type.String({ examples: [EXAMPLE] }) },
                { description: 'An event stream that does not end.' },
              ),
            },
            ['validation-failed', 'unauthorized', 'forbidden', 'too-many-connections'],
          ),
        },
      },
      async (request, reply) => {
        const grant = grantOf(request)
        const rooms = roomsOf(request.query.rooms)
        const mayJoin = compileRoomPatterns(grant.rooms)
        const refused = rooms.find((room) => !mayJoin(room))
        if (refused !== undefined)
          throw new Problem('forbidden', `The token does not allow to join "${refused}".`)
        if (request.method === 'HEAD') return sendStreamHead(reply)
        const { query, headers } = request
        const stream = await startStream(deps, reply, grant, {
          rooms,
          lastId: headers['last-event-id'] || query.after,
          watchesPresence: query.presence ?? false,
        })
        if (!stream) return
        keep(stream, reply.raw, grant.appId, request.id)
      },
    )
  }

/** @throws Problem naming the room that is none */
function roomsOf(text: string): string[] {
  const rooms = [...new Set(text.split(','))]
  if (rooms.length > MAX_ROOMS)
    throw new Problem('validation-failed', `rooms: a stream may be of ${MAX_ROOMS} rooms.`)
  const wrong = rooms.find((room) => !isRoom(room))
  if (wrong !== undefined)
    throw new Problem('validation-failed', `rooms: ${JSON.stringify(wrong)} is not the name of a room.`)
  return rooms
}
