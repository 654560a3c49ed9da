import type { Feature } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import { createAppender, type Appender } from './append/appender.ts'
import { createRoutingCache } from './append/routing.ts'
import type { OnCommitted } from './append/storing.ts'
import { appendRoutes } from './append-routes.ts'
import { createListeners, type Listeners } from './listeners.ts'
import { createLogTail, type LogTail } from './live/log-tail.ts'
import { streamRoutes } from './live/stream-routes.ts'
import { createEventReader, type EventReader } from './reads.ts'
import { eventRoutes } from './routes.ts'
import { eventTypeRoutes } from './types/routes.ts'
import { createGlobalTypes } from './types/global-types.ts'
import { createEventTypeService, type EventTypeService } from './types/service.ts'

export { CloudEvent } from './cloud-events/schema.ts'
export type { Appended } from './append/appended.ts'
export type { Appender } from './append/appender.ts'
export type { OwedDelivery } from './append/storing.ts'
export type { Edge, NewEvent } from './append/prepare.ts'
export { APPEND_PROBLEMS } from './append-routes.ts'
export { eventJson, type EventState, type StoredEvent } from './event.ts'
export type { EventFilter } from './list/filter.ts'
export type { Observer, Slice } from './live/app-tail.ts'
export { toExtensionEvent, type ExtensionEvent, type ListenerOptions, type OnEvent } from './listeners.ts'
export type { LogTail } from './live/log-tail.ts'
export { answered, EVENT_SCHEMAS, sendAppended } from './replies.ts'
export { refuseReserved } from './reserved.ts'
export type { EventReader } from './reads.ts'
export { readEvent } from './request-body.ts'
export { Edges, Event, IdempotencyHeaders, NewEvent as NewEventBody, NewEventType } from './schemas.ts'
export { messageReport, type MessageStatus } from './status-report.ts'
export type { GlobalTypes } from './types/global-types.ts'
export { placeInList, type EventTypeService } from './types/service.ts'

export interface Events extends Feature {
  appender: Appender
  eventReader: EventReader
  eventTypes: EventTypeService
  logTail: LogTail
  /** Those who are told of each event of this process. */
  listeners: Listeners
  /** Has a listener told of every commit of this process, right after it. It must not throw. */
  onCommitted(listener: OnCommitted): void
}

/** The log: appending to it, reading it, and being told when it grows. */
export function createEvents({ pool, db, bus, log, clock, config, declared }: Platform): Events {
  const globalTypes = createGlobalTypes(declared)
  const eventTypes = createEventTypeService(db, globalTypes)
  const eventReader = createEventReader(db, pool, eventTypes, config.publicUrl)
  const logTail = createLogTail(eventReader, bus, log)
  const listeners = createListeners(log)
  const followers: OnCommitted[] = [(stored) => logTail.stored(stored)]
  const appender = createAppender({
    pool,
    db,
    eventTypes,
    routings: createRoutingCache(db, globalTypes),
    autoRegister: config.AUTO_REGISTER_EVENT_TYPES,
    graceMs: config.DELIVERY_GRACE_MS,
    onCommitted(stored, owed) {
      for (const follower of followers) follower(stored, owed)
    },
    afterAppend: (stored) => listeners.tell(stored),
  })
  return {
    appender,
    eventReader,
    eventTypes,
    logTail,
    listeners,
    onCommitted: (listener) => void followers.push(listener),
    async routes(app) {
      const { MAX_PAYLOAD_BYTES, MAX_BATCH_BYTES } = config
      const limits = { maxPayloadBytes: MAX_PAYLOAD_BYTES, maxBatchBytes: MAX_BATCH_BYTES }
      await app.register(appendRoutes(appender, eventReader, globalTypes, limits))
      await app.register(eventRoutes(appender, eventReader, globalTypes, clock, limits))
      await app.register(eventTypeRoutes(eventTypes))
      await app.register(streamRoutes(logTail))
    },
    async close() {
      await listeners.idle()
      await appender.idle()
      logTail.close()
    },
  }
}
