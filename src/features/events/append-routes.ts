import { Type, type Static } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { keyOf } from '../../platform/http/auth.ts'
import { Problem, type ProblemName } from '../../platform/http/problems.ts'
import { addJsonType } from '../../platform/http/raw-json.ts'
import { BODY_PROBLEMS, inMediaTypes, ref, responses } from '../../platform/http/schemas.ts'
import { elementSlices } from '../../platform/json/slices.ts'
import type { Appender } from './append/appender.ts'
import type { NewEvent as EventToAppend } from './append/prepare.ts'
import { joinHeadersAndBody, takeHeaders } from './cloud-events/binary.ts'
import { normalise, readCloudEvent, readCloudEvents } from './cloud-events/read.ts'
import { CLOUD_EVENT, CLOUD_EVENT_BATCH, CloudEvent } from './cloud-events/schema.ts'
import { refuseReserved } from './reserved.ts'
import type { GlobalTypes } from './types/global-types.ts'
import { readBatch, readEvent, type Limits } from './request-body.ts'
import { answeredEither, answeredList, EVENT_SCHEMAS, sendAppended, sendEvents } from './replies.ts'
import type { EventReader } from './reads.ts'
import { Event, IdempotencyHeaders, MAX_BATCH_EVENTS, NewEvent, NewEventBatch } from './schemas.ts'

const tags = ['Events']
const config = { access: 'events:write' as const }

export const APPEND_PROBLEMS: ProblemName[] = [
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

/** It may be empty (CloudEvents HTTP protocol binding, 3.3.2). */
const CloudEventBatch = Type.Array(ref(CloudEvent), { maxItems: MAX_BATCH_EVENTS })

/** Appending to the log (SPEC sections 2 and 9). */
export const appendRoutes =
  (
    appender: Appender,
    reader: EventReader,
    globalTypes: GlobalTypes,
    limits: Limits & { maxBatchBytes: number },
  ): FastifyPluginAsyncTypebox =>
  async (app) => {
    for (const schema of EVENT_SCHEMAS) app.addSchema(schema)
    for (const mediaType of [CLOUD_EVENT, CLOUD_EVENT_BATCH]) addJsonType(app, mediaType)
    app.decorateRequest('cloudEventHeaders', null)

    /** Appends the events of a body and answers them: one as it is, several as a list. */
    async function append(
      request: FastifyRequest,
      reply: FastifyReply,
      events: EventToAppend[],
      isBatch: boolean,
    ): Promise<FastifyReply> {
      refuseReserved(
        globalTypes,
        keyOf(request),
        events,
        (index) => `${pointerOf(request, isBatch, index)}/type`,
      )
      if (events.length === 0) return sendEvents(request, reply, reader, { events: [] })
      const { 'idempotency-key': idempotencyKey } = request.headers as Static<typeof IdempotencyHeaders>
      const appended = await appender.append(keyOf(request).appId, events, {
        isBatch,
        ...(idempotencyKey !== undefined && { idempotencyKey }),
      })
      return sendAppended(request, reply, reader, appended, isBatch)
    }

    const readBatchForm = (request: FastifyRequest): EventToAppend[] =>
      readCloudEvents(
        request.bodyText,
        request.body as Static<typeof CloudEvent>[],
        elementSlices(request.bodyText),
        limits,
      )

    app.addHook('preValidation', (request, _reply, done) => {
      joinHeadersAndBody(request)
      const mediaType = mediaTypeOf(request)
      if (mediaType === CLOUD_EVENT) request.body = normalise(request.body)
      if (mediaType === CLOUD_EVENT_BATCH && Array.isArray(request.body)) {
        request.body = request.body.map((event, index) => normalise(event, `/${index}`))
      }
      done()
    })

    app.post(
      '/events',
      {
        config,
        bodyLimit: limits.maxPayloadBytes + EVENT_OVERHEAD_BYTES,
        onRequest(request, _reply, done) {
          takeHeaders(request)
          done()
        },
        schema: {
          tags,
          operationId: 'appendEvent',
          summary: 'Append an event',
          description: `Tell of something that happened: others are told of it, and it is kept. The event is stored when this is answered, together with every delivery it causes. The payload may take ${limits.maxPayloadBytes} bytes and is passed on exactly as it was sent. A CloudEvent may be sent too, with its attributes in the body or in \`ce-\` headers, or a small batch of them.`,
          headers: IdempotencyHeaders,
          body: inMediaTypes<unknown>({
            'application/json': NewEvent,
            [CLOUD_EVENT]: ref(CloudEvent),
            [CLOUD_EVENT_BATCH]: CloudEventBatch,
          }),
          response: responses(
            {
              200: answeredEither('A repeat: what is there already.'),
              201: answeredEither('Stored; a list of events when a batch was sent.'),
            },
            APPEND_PROBLEMS,
          ),
        },
      },
      async (request, reply) => {
        const mediaType = bodyType(request)
        if (mediaType === CLOUD_EVENT_BATCH) return append(request, reply, readBatchForm(request), true)
        const event =
          mediaType === CLOUD_EVENT
            ? readCloudEvent(request.bodyText, request.body as Static<typeof CloudEvent>, limits)
            : readEvent(request.bodyText, request.body as Static<typeof NewEvent>, limits)
        return append(request, reply, [event], false)
      },
    )

    app.post(
      '/events/batch',
      {
        config,
        bodyLimit: limits.maxBatchBytes,
        schema: {
          tags,
          operationId: 'appendEvents',
          summary: 'Append several events, all or none',
          description: `For events that belong together, for imports, and wherever many are to be appended quickly. Up to ${MAX_BATCH_EVENTS} events and ${limits.maxBatchBytes} bytes. They take positions next to each other, in their order.`,
          headers: IdempotencyHeaders,
          body: inMediaTypes<unknown>({
            'application/json': NewEventBatch,
            [CLOUD_EVENT_BATCH]: CloudEventBatch,
          }),
          response: responses(
            {
              200: answeredList('A repeat.', Type.Object({ data: Type.Array(ref(Event)) })),
              201: answeredList('Stored.', Type.Object({ data: Type.Array(ref(Event)) })),
            },
            APPEND_PROBLEMS,
          ),
        },
      },
      async (request, reply) => {
        const mediaType = bodyType(request)
        if (mediaType === CLOUD_EVENT) {
          throw new Problem(
            'unsupported-media-type',
            `Send a batch as application/json or ${CLOUD_EVENT_BATCH}.`,
          )
        }
        if (mediaType === CLOUD_EVENT_BATCH) return append(request, reply, readBatchForm(request), true)
        const { events } = request.body as Static<typeof NewEventBatch>
        return append(request, reply, readBatch(request.bodyText, events, limits), true)
      },
    )
  }

/** The media type of a body, which there must be: with several to choose from the schema does not insist. */
function bodyType(request: FastifyRequest): string {
  if (request.bodyText === '') {
    throw new Problem('validation-failed', 'The body is not as it should be: it is missing.')
  }
  return mediaTypeOf(request)
}

/** Where an event stands in a body. */
function pointerOf(request: FastifyRequest, isBatch: boolean, index: number): string {
  if (!isBatch) return ''
  return mediaTypeOf(request) === CLOUD_EVENT_BATCH ? `/${index}` : `/events/${index}`
}

const mediaTypeOf = ({ headers }: FastifyRequest): string =>
  (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
