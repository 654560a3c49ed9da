import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { appIdOf } from '../../platform/http/auth.ts'
import { pageOf, pageSize, POSITION_CURSOR, readCursor } from '../../platform/http/pagination.ts'
import type { ProblemName } from '../../platform/http/problems.ts'
import { BODY_PROBLEMS, ref, responses, Uuid } from '../../platform/http/schemas.ts'
import type { Appender, Appended } from './append/appender.ts'
import { readBatch, readEvent, type Limits } from './request-body.ts'
import type { EventReader } from './reads.ts'
import {
  Event,
  EventQuery,
  IdempotencyHeaders,
  MAX_BATCH_EVENTS,
  NewEvent,
  NewEventBatch,
} from './schemas.ts'

const tags = ['Events']
const read = { access: 'events:read' as const }
const write = { access: 'events:write' as const }

const APPEND_PROBLEMS: ProblemName[] = [
  ...BODY_PROBLEMS,
  'idempotency-conflict',
  'reserved-event-type',
  'unknown-event-type',
  'too-many-event-types',
  'schema-violation',
  'unknown-origin',
  'overloaded',
]

/** What an event may take beside its payload. */
const EVENT_OVERHEAD_BYTES = 262_144

/** Appending to the log and reading it (SPEC sections 2 and 9). */
export const eventRoutes =
  (
    appender: Appender,
    reader: EventReader,
    limits: Limits & { maxBatchBytes: number },
  ): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addSchema(Event)

    app.post(
      '/events',
      {
        config: write,
        bodyLimit: limits.maxPayloadBytes + EVENT_OVERHEAD_BYTES,
        schema: {
          tags,
          operationId: 'appendEvent',
          summary: 'Append an event',
          description: `It is stored when this is answered, together with every delivery it causes. The payload may take ${limits.maxPayloadBytes} bytes and is passed on exactly as it was sent.`,
          headers: IdempotencyHeaders,
          body: NewEvent,
          response: responses(
            {
              200: { ...ref(Event), description: 'A repeat: the event that is there already.' },
              201: { ...ref(Event), description: 'Stored.' },
            },
            APPEND_PROBLEMS,
          ),
        },
      },
      async (request, reply) => {
        const event = readEvent(request.bodyText, request.body, limits)
        const appended = await appender.append(appIdOf(request), [event], {
          idempotencyKey: request.headers['idempotency-key'],
        })
        const [json] = await reader.toJson(appIdOf(request), appended.events)
        return sendJson(appendReply(reply, appended), json as string)
      },
    )

    app.post(
      '/events/batch',
      {
        config: write,
        bodyLimit: limits.maxBatchBytes,
        schema: {
          tags,
          operationId: 'appendEvents',
          summary: 'Append several events, all or none',
          description: `Up to ${MAX_BATCH_EVENTS} events and ${limits.maxBatchBytes} bytes. They take positions next to each other, in their order.`,
          headers: IdempotencyHeaders,
          body: NewEventBatch,
          response: responses(
            {
              200: { ...Type.Object({ data: Type.Array(ref(Event)) }), description: 'A repeat.' },
              201: { ...Type.Object({ data: Type.Array(ref(Event)) }), description: 'Stored.' },
            },
            APPEND_PROBLEMS,
          ),
        },
      },
      async (request, reply) => {
        const events = readBatch(request.bodyText, request.body.events, limits)
        const appended = await appender.append(appIdOf(request), events, {
          idempotencyKey: request.headers['idempotency-key'],
          isBatch: true,
        })
        const json = await reader.toJson(appIdOf(request), appended.events)
        return sendJson(appendReply(reply, appended), `{"data":[${json.join(',')}]}`)
      },
    )

    app.get(
      '/events',
      {
        config: read,
        schema: {
          tags,
          operationId: 'listEvents',
          summary: 'List events, newest first unless told',
          querystring: EventQuery,
          response: responses({ 200: pageOf(ref(Event)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request, reply) => {
        const { order = 'desc', after, ...filter } = request.query
        const cursor = readCursor(after, POSITION_CURSOR)
        const page = await reader.list(appIdOf(request), {
          filter,
          order,
          size: pageSize(request.query),
          after: cursor === undefined ? undefined : Number(cursor),
        })
        const json = await reader.toJson(
          appIdOf(request),
          page.rows.map((event) => ({ event })),
        )
        return sendJson(reply, `{"data":[${json.join(',')}],"pageInfo":${JSON.stringify(page.pageInfo)}}`)
      },
    )

    app.get(
      '/events/:id',
      {
        config: read,
        schema: {
          tags,
          operationId: 'getEvent',
          summary: 'Read an event',
          params: Type.Object({ id: Uuid() }),
          response: responses({ 200: ref(Event) }, ['validation-failed', 'not-found']),
        },
      },
      async (request, reply) => {
        const event = await reader.get(appIdOf(request), request.params.id)
        const [json] = await reader.toJson(appIdOf(request), [{ event }])
        return sendJson(reply, json as string)
      },
    )
  }

function appendReply(reply: FastifyReply, { replayed }: Appended): FastifyReply {
  if (replayed) void reply.header('idempotency-replayed', 'true')
  return reply.code(replayed ? 200 : 201)
}

/** Events are made into JSON by hand, since their payload is JSON text already. */
const sendJson = (reply: FastifyReply, json: string): FastifyReply =>
  reply.type('application/json; charset=utf-8').send(json)
