import { Type, type Static } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../../platform/time/clock.ts'
import { appIdOf, keyOf } from '../../platform/http/auth.ts'
import { pageOf, pageSize, POSITION_CURSOR, readCursor } from '../../platform/http/pagination.ts'
import { ref, responses, Uuid } from '../../platform/http/schemas.ts'
import type { Appender } from './append/appender.ts'
import { APPEND_PROBLEMS } from './append-routes.ts'
import type { EventFilter } from './list/filter.ts'
import type { EventReader } from './reads.ts'
import { answered, answeredList, EVENT_SCHEMAS, sendAppended, sendEvents, sendOne } from './replies.ts'
import type { Limits } from './request-body.ts'
import { refuseReserved } from './reserved.ts'
import type { GlobalTypes } from './types/global-types.ts'
import {
  ChildrenQuery,
  Event,
  EventQuery,
  IdempotencyHeaders,
  IncludeQuery,
  StatusReport,
} from './schemas.ts'
import { isMessage, reportOn } from './status-report.ts'

const tags = ['Events']
const read = { access: 'events:read' as const }
const Params = Type.Object({ id: Uuid() })

/** Reading the log, and what belongs to an event in it (SPEC sections 2 and 9). */
export const eventRoutes =
  (
    appender: Appender,
    reader: EventReader,
    globalTypes: GlobalTypes,
    clock: Clock,
    limits: Limits,
  ): FastifyPluginAsyncTypebox =>
  async (app) => {
    for (const schema of EVENT_SCHEMAS) app.addSchema(schema)

    async function sendPage(
      request: FastifyRequest,
      reply: FastifyReply,
      filter: EventFilter,
      { order, after, include, ...size }: Static<typeof ChildrenQuery>,
    ): Promise<FastifyReply> {
      const cursor = readCursor(after, POSITION_CURSOR)
      const { rows, pageInfo } = await reader.list(appIdOf(request), {
        filter,
        order: order ?? 'desc',
        size: pageSize(size),
        after: cursor === undefined ? undefined : Number(cursor),
      })
      return sendEvents(request, reply, reader, {
        events: rows.map((event) => ({ event })),
        pageInfo,
        include,
      })
    }

    app.get(
      '/events',
      {
        config: read,
        schema: {
          tags,
          operationId: 'listEvents',
          summary: 'List events, newest first unless told',
          description:
            'Search the log by type, time, edge, state or payload. To follow it as it grows use `GET /events/stream`. Conditions on `payload`, and on `status=completed`, have no index: a page ends after 10,000 events looked at, maybe with fewer than asked for, and goes on from its cursor.',
          querystring: EventQuery,
          response: responses({ 200: answeredList('A page.', pageOf(ref(Event))) }, [
            'validation-failed',
            'invalid-cursor',
          ]),
        },
      },
      async (request, reply) => {
        const { order, after, limit, first, include, ...filter } = request.query
        return sendPage(request, reply, filter, { order, after, limit, first, include })
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
          description:
            'Look up one event. Its `status` says whether everybody who is owed it has it; `include=entities` adds what its edges point to.',
          params: Params,
          querystring: IncludeQuery,
          response: responses({ 200: answered('The event.', ref(Event)) }, [
            'validation-failed',
            'not-found',
          ]),
        },
      },
      async (request, reply) => {
        const event = await reader.get(appIdOf(request), request.params.id)
        return sendOne(request, reply, reader, [{ event }], request.query.include)
      },
    )

    app.get(
      '/events/:id/children',
      {
        config: read,
        schema: {
          tags,
          operationId: 'listChildren',
          summary: 'List the children of an event, oldest first unless told',
          description:
            'See what followed from an event: answers, reports of its status, and all others that name it as their `originEventId`.',
          params: Params,
          querystring: ChildrenQuery,
          response: responses({ 200: answeredList('A page.', pageOf(ref(Event))) }, [
            'validation-failed',
            'not-found',
            'invalid-cursor',
          ]),
        },
      },
      async (request, reply) => {
        const { id } = await reader.get(appIdOf(request), request.params.id)
        return sendPage(request, reply, { originEventId: id }, { order: 'asc', ...request.query })
      },
    )

    app.post(
      '/events/:id/status',
      {
        config: { access: 'events:write' },
        bodyLimit: limits.maxPayloadBytes,
        schema: {
          tags,
          operationId: 'reportStatus',
          summary: 'Report what became of an event: appends a child',
          description:
            'For whoever acts on events, such as the system that ships an order, to say how that went. On a message the child is a `message.delivered`, `message.read` or `message.failed`; on another event its type is the event’s with the status added, such as `order.placed.shipped`.',
          params: Params,
          headers: IdempotencyHeaders,
          body: StatusReport,
          response: responses(
            {
              200: answered('A repeat: the child that is there already.', ref(Event)),
              201: answered('The child.', ref(Event)),
            },
            [...APPEND_PROBLEMS, 'not-found'],
          ),
        },
      },
      async (request, reply) => {
        const appId = appIdOf(request)
        const origin = await reader.get(appId, request.params.id)
        const child = reportOn(origin, request.bodyText, request.body, clock.now(), limits)
        // A client's own event called "message" or "user" makes none of the service's.
        if (!isMessage(origin)) refuseReserved(globalTypes, keyOf(request), [child], () => '/status')
        const idempotencyKey = request.headers['idempotency-key']
        const appended = await appender.append(appId, [child], {
          ...(idempotencyKey !== undefined && { idempotencyKey }),
        })
        return sendAppended(request, reply, reader, appended)
      },
    )
  }
