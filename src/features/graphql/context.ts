import type { Deps } from '../../deps.ts'
import { missingScope, type AppKey, type Scope } from '../../platform/http/auth.ts'
import type { StoredEvent } from '../events/index.ts'
import { EventBatch, type EventNode } from './event-batch.ts'

/** What resolvers get beside their arguments. */
export interface GraphContext {
  deps: Deps
  key: AppKey
}

/** @throws Problem `forbidden` */
export function requireScope({ key }: GraphContext, scope: Scope): void {
  if (!key.scopes.has(scope)) throw missingScope(scope)
}

export const batchOf = ({ deps, key }: GraphContext, events: readonly StoredEvent[]): EventBatch =>
  new EventBatch(
    { db: deps.db, events: deps.eventReader, appId: key.appId, publicUrl: deps.config.publicUrl },
    events,
  )

export const nodeOf = (context: GraphContext, event: StoredEvent): EventNode =>
  batchOf(context, [event]).nodes[0] as EventNode

/** The event of an id that is known to exist. */
export const eventNode = async (context: GraphContext, id: string): Promise<EventNode> =>
  nodeOf(context, await context.deps.eventReader.get(context.key.appId, id))
