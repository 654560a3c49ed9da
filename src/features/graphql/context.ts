import type { Config } from '../../config.ts'
import { missingScope, type AppKey, type Scope } from '../../platform/http/auth.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { AppService } from '../apps/index.ts'
import type { PlatformUserService, UserService } from '../entities/index.ts'
import type { Appender, EventReader, EventTypeService, StoredEvent } from '../events/index.ts'
import type { LinkCodeService } from '../identities/index.ts'
import type { ConnectionService, MessageSender } from '../messages/index.ts'
import type { SubscriptionService } from '../subscriptions/index.ts'
import { EventBatch, type EventNode } from './event-batch.ts'

/** What resolvers work with: the services of the REST routes. */
export interface GraphServices {
  db: Database
  config: Config
  apps: AppService
  appender: Appender
  eventReader: EventReader
  eventTypes: EventTypeService
  users: UserService
  platformUsers: PlatformUserService
  subscriptions: SubscriptionService
  linkCodes: LinkCodeService
  connections: ConnectionService
  messageSender: MessageSender
}

/** What resolvers get beside their arguments. */
export interface GraphContext {
  services: GraphServices
  key: AppKey
}

/** @throws Problem `forbidden` */
export function requireScope({ key }: GraphContext, scope: Scope): void {
  if (!key.scopes.has(scope)) throw missingScope(scope)
}

export const batchOf = ({ services, key }: GraphContext, events: readonly StoredEvent[]): EventBatch =>
  new EventBatch(
    { db: services.db, events: services.eventReader, appId: key.appId, publicUrl: services.config.publicUrl },
    events,
  )

export const nodeOf = (context: GraphContext, event: StoredEvent): EventNode =>
  batchOf(context, [event]).nodes[0] as EventNode

/** The event of an id that is known to exist. */
export const eventNode = async (context: GraphContext, id: string): Promise<EventNode> =>
  nodeOf(context, await context.services.eventReader.get(context.key.appId, id))
