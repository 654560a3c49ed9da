import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type, type TSchema } from '@sinclair/typebox'
import { appIdOf } from '../../platform/http/auth.ts'
import type { Page } from '../../platform/http/pagination.ts'
import { inMediaTypes, ref } from '../../platform/http/schemas.ts'
import { File, PlatformUser, User } from '../entities/index.ts'
import type { Appended } from './append/appended.ts'
import { CLOUD_EVENT, CLOUD_EVENT_BATCH, CloudEvent } from './cloud-events/schema.ts'
import type { EventState, StoredEvent } from './event.ts'
import type { EventReader } from './reads.ts'
import { Event } from './schemas.ts'

const JSON_TYPE = 'application/json'

interface Listed {
  events: readonly { event: StoredEvent; state?: EventState | undefined }[]
  pageInfo?: Page<unknown>['pageInfo']
  include?: 'entities' | undefined
}

/** To be added where a route answers events. */
export const EVENT_SCHEMAS = [User, PlatformUser, File, Event, CloudEvent]

/** What a route that answers one event, or a list of them, may answer. */
export const answered = (description: string, schema: TSchema) =>
  inMediaTypes({ [JSON_TYPE]: schema, [CLOUD_EVENT]: ref(CloudEvent) }, { description })
export const answeredList = (description: string, schema: TSchema) =>
  inMediaTypes({ [JSON_TYPE]: schema, [CLOUD_EVENT_BATCH]: Type.Array(ref(CloudEvent)) }, { description })

/** What a route that takes one event or a batch may answer. */
export const answeredEither = (description: string) =>
  inMediaTypes(
    {
      [JSON_TYPE]: Type.Union([ref(Event), Type.Object({ data: Type.Array(ref(Event)) })]),
      [CLOUD_EVENT]: ref(CloudEvent),
      [CLOUD_EVENT_BATCH]: Type.Array(ref(CloudEvent)),
    },
    { description },
  )

/** Answers what was appended: one event as it is, several as a list. */
export function sendAppended(
  request: FastifyRequest,
  reply: FastifyReply,
  reader: EventReader,
  { events, replayed }: Appended,
  isBatch = false,
): Promise<FastifyReply> {
  if (replayed) void reply.header('idempotency-replayed', 'true')
  void reply.code(replayed ? 200 : 201)
  return isBatch ? sendEvents(request, reply, reader, { events }) : sendOne(request, reply, reader, events)
}

/** Answers one event, as JSON or as the CloudEvent that the client would rather have. */
export async function sendOne(
  request: FastifyRequest,
  reply: FastifyReply,
  reader: EventReader,
  events: Listed['events'],
  include?: 'entities',
): Promise<FastifyReply> {
  if (request.type([JSON_TYPE, CLOUD_EVENT]) === CLOUD_EVENT) {
    const [cloudEvent] = await reader.toCloudEvents(appIdOf(request), events)
    return send(reply, CLOUD_EVENT, cloudEvent as string)
  }
  const [json] = await reader.toJson(appIdOf(request), events, include)
  return send(reply, JSON_TYPE, json as string)
}

/**
 * Answers a list of events. As CloudEvents it is a bare array, so the cursor of the next page stands in a
 * `Link` header; nobody gets a batch who asked for single CloudEvents only (CloudEvents JSON format, 4).
 */
export async function sendEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  reader: EventReader,
  { events, pageInfo, include }: Listed,
): Promise<FastifyReply> {
  if (request.type([JSON_TYPE, CLOUD_EVENT_BATCH]) === CLOUD_EVENT_BATCH) {
    if (pageInfo?.hasNextPage && pageInfo.endCursor !== null) {
      void reply.header('link', `<${nextPage(request.url, pageInfo.endCursor)}>; rel="next"`)
    }
    const json = await reader.toCloudEvents(appIdOf(request), events)
    return send(reply, CLOUD_EVENT_BATCH, Buffer.from(`[${json.join(',')}]`))
  }
  const json = await reader.toJson(appIdOf(request), events, include)
  const page = pageInfo ? `,"pageInfo":${JSON.stringify(pageInfo)}` : ''
  // As bytes a long text is encoded once, rather than measured first.
  return send(reply, JSON_TYPE, Buffer.from(`{"data":[${json.join(',')}]${page}}`))
}

function nextPage(url: string, cursor: string): string {
  const next = new URL(url, 'http://localhost')
  next.searchParams.set('after', cursor)
  return next.pathname + next.search
}

/** Events are made into JSON by hand, since their payload is JSON text already. */
const send = (reply: FastifyReply, mediaType: string, json: string | Buffer): FastifyReply =>
  reply.header('vary', 'accept').type(`${mediaType}; charset=utf-8`).send(json)
