import { Problem } from '../../../platform/http/problems.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { EventTypeService } from '../types/service.ts'
import { checkSchemas, unknownTypes, type EventKey, type NewEvent } from './prepare.ts'
import { findRepeats, refuseConflicts } from './repeats.ts'
import type { Routing, RoutingCache } from './routing.ts'

export interface RegisteringOptions {
  db: Database
  routings: RoutingCache
  eventTypes: EventTypeService
  /** Whether unknown custom types are registered, rather than refused. */
  autoRegister: boolean
}

/** @returns what gives the routing of an app that has the types of some events */
export function createRegistering({ db, routings, eventTypes, autoRegister }: RegisteringOptions) {
  const registering = new Map<string, Promise<void>>()

  /** The app's routing, once it has the types of the events. One registration per app at a time. */
  async function routingFor(
    appId: string,
    events: readonly NewEvent[],
    keys: readonly (readonly EventKey[])[],
    isBatch: boolean,
  ): Promise<Routing> {
    for (;;) {
      const routing = await routings.get(appId)
      const unknown = unknownTypes(events, routing, eventTypes.globalTypes)
      if (unknown.length === 0) return routing
      // Nothing is registered for events that are refused.
      checkSchemas(events, routing, isBatch)
      refuseConflicts(appId, keys.flat(), await findRepeats(db, [{ appId, events: [{ keys: keys.flat() }] }]))
      if (!autoRegister) {
        throw new Problem(
          'unknown-event-type',
          `Not registered: ${unknown.join(', ')}. Create it with POST /event-types.`,
        )
      }
      const underWay = registering.get(appId)
      if (underWay) {
        await underWay.catch(() => {})
        continue
      }
      const registration = eventTypes.register(appId, unknown).finally(() => {
        registering.delete(appId)
        routings.drop(appId, routing)
      })
      registering.set(appId, registration)
      await registration
    }
  }

  return routingFor
}
