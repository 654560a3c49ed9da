import type { Static } from '@sinclair/typebox'
import { parseAsWritten } from '../../platform/json/exact-numbers.ts'
import { MAX_PAGE } from '../../platform/http/pagination.ts'
import {
  platformUsersOf,
  readEntities,
  type Entity,
  type PlatformUser,
  type User,
} from '../entities/index.ts'
import type { LinkCode } from '../identities/index.ts'
import type { ConnectionSchemas } from '../messages/index.ts'
import type { SubscriptionSchemas } from '../subscriptions/index.ts'
import { sizeOf } from './connections.ts'
import { eventNode, requireScope, type GraphContext } from './context.ts'
import type { EdgeNode, EventNode } from './event-batch.ts'

type PlatformUserBody = Static<typeof PlatformUser>

/** An entity behind an edge, if it is of the kind that the field is for. */
const target =
  (kind: string) =>
  async (edge: EdgeNode, _arguments: unknown, context: GraphContext): Promise<Entity | null> => {
    requireScope(context, 'events:read')
    if (edge.targetNodeType !== kind) return null
    const find = await edge.batch.entities()
    return find({ targetType: kind, targetId: edge.targetNodeId }) ?? null
  }

/** How the fields of the schema's types are made of what the services give. */
export const types = {
  Application: {
    config: async (_app: unknown, _arguments: unknown, { services, key }: GraphContext) => ({
      link_code_auto_detect: (await services.apps.detectsLinkCodes(key.appId)) ? 'enabled' : 'disabled',
    }),
    async platformConnections(_app: unknown, _arguments: unknown, context: GraphContext) {
      requireScope(context, 'platform-connections:read')
      const { services, key } = context
      const { rows } = await services.connections.list(key.appId, {}, MAX_PAGE, undefined)
      return rows
    },
  },

  Event: {
    id: ({ event }: EventNode) => event.id,
    position: ({ event }: EventNode) => event.position,
    appId: ({ event }: EventNode) => event.appId,
    eventTypeId: ({ event }: EventNode) => event.eventTypeId,
    eventType: ({ event }: EventNode) => event.type,
    payload: ({ event }: EventNode): unknown => parseAsWritten(event.payload),
    status: async ({ event, batch }: EventNode) => (await batch.stateOf(event)).status,
    processedAt: async ({ event, batch }: EventNode) =>
      (await batch.stateOf(event)).processedAt?.toISOString() ?? null,
    edges: ({ event, batch }: EventNode) => batch.edgesOf(event),
    originEventId: ({ event }: EventNode) => event.originEventId,
    originEvent({ event, batch }: EventNode, _arguments: unknown, context: GraphContext) {
      requireScope(context, 'events:read')
      return batch.originOf(event)
    },
    childEvents({ event, batch }: EventNode, { first }: { first: number | null }, context: GraphContext) {
      requireScope(context, 'events:read')
      return batch.childrenOf(event, sizeOf(first, 50))
    },
    externalId: ({ event }: EventNode) => event.externalId,
    orgid: ({ event }: EventNode) => event.orgid,
    schemaVersion: ({ event }: EventNode) => event.schemaVersion,
    schemaValid: ({ event }: EventNode) => event.schemaValid,
    createdAt: ({ event }: EventNode) => event.createdAt.toISOString(),
  },

  EventEdge: {
    targetUser: target('user'),
    targetPlatformUser: target('platform_user'),
    targetFile: target('file'),
  },

  User: { isSystemUser: (user: Static<typeof User>) => user.isSystem },

  PlatformConnection: {
    platformName: (connection: Static<ConnectionSchemas['PlatformConnection']>) => connection.platform,
    status: () => 'active',
  },

  WebhookSubscription: {
    targetUrl: (subscription: Static<SubscriptionSchemas['CreatedSubscription']>) =>
      subscription.destination.url,
    status: () => 'active',
  },

  SentMessage: {
    async status(
      { event: { event } }: { event: EventNode },
      _arguments: unknown,
      { services, key }: GraphContext,
    ) {
      const sent = await services.db
        .selectFrom('sent_messages')
        .select('external_message_id')
        .where('app_id', '=', key.appId)
        .where('event_id', '=', event.id)
        .executeTakeFirst()
      return { success: true, externalMessageId: sent?.external_message_id ?? null }
    },
  },

  LinkCode: {
    event: ({ eventId }: Static<typeof LinkCode>, _arguments: unknown, context: GraphContext) =>
      eventNode(context, eventId),
  },
}

interface Wanted<Row> {
  obj: Row
}

/** Fields that are read for all objects of an answer at once. */
export const loaders = {
  PlatformUser: {
    async user(wanted: Wanted<PlatformUserBody>[], context: GraphContext) {
      requireScope(context, 'entities:read')
      const { services, key } = context
      const refs = wanted.map(({ obj }) => ({ targetType: 'user', targetId: obj.userId }))
      const find = await readEntities(services.db, key.appId, refs, services.config.publicUrl)
      return refs.map((ref) => find(ref) ?? null)
    },
    async platformConnection(wanted: Wanted<PlatformUserBody>[], context: GraphContext) {
      requireScope(context, 'platform-connections:read')
      const { services, key } = context
      const ids = wanted.map(({ obj }) => obj.platformConnectionId)
      const connections = await services.connections.getMany(key.appId, [...new Set(ids)])
      return ids.map((id) => connections.find((connection) => connection.id === id) ?? null)
    },
  },
  User: {
    async platformUsers(
      wanted: (Wanted<Static<typeof User>> & { params: { first: number | null } })[],
      context: GraphContext,
    ) {
      requireScope(context, 'entities:read')
      const { services, key } = context
      const sizes = wanted.map(({ params }) => sizeOf(params.first, 20))
      const ids = [...new Set(wanted.map(({ obj }) => obj.id))]
      const platformUsers = await platformUsersOf(services.db, key.appId, ids, Math.max(...sizes))
      return wanted.map(({ obj }, index) =>
        platformUsers.filter(({ userId }) => userId === obj.id).slice(0, sizes[index]),
      )
    },
  },
}
