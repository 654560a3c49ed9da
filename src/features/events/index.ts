import type { Feature } from '../../feature.ts'
import { appendRoutes } from './append-routes.ts'
import { streamRoutes } from './live/stream-routes.ts'
import { eventRoutes } from './routes.ts'
import { eventTypeRoutes } from './types/routes.ts'

export { CloudEvent } from './cloud-events/schema.ts'
export { createAppender, type Appended, type Appender, type OwedDelivery } from './append/appender.ts'
export type { NewEvent } from './append/prepare.ts'
export { APPEND_PROBLEMS } from './append-routes.ts'
export { createRoutingCache } from './append/routing.ts'
export { eventJson, type EventState, type StoredEvent } from './event.ts'
export type { EventFilter } from './list/filter.ts'
export type { Observer, Slice } from './live/app-tail.ts'
export { createLogTail, type LogTail } from './live/log-tail.ts'
export { answered, EVENT_SCHEMAS, sendAppended } from './replies.ts'
export { refuseReserved } from './reserved.ts'
export { createEventReader, type EventReader } from './reads.ts'
export { readEvent } from './request-body.ts'
export { Edges, Event, IdempotencyHeaders, NewEvent as NewEventBody, NewEventType } from './schemas.ts'
export { messageReport, type MessageStatus } from './status-report.ts'
export { isGlobalType } from './types/global-types.ts'
export { MESSAGE_KINDS, MESSAGE_PARTS, type MessageKind, type MessageParts } from './types/message-content.ts'
export { createEventTypeService, placeInList, type EventTypeService } from './types/service.ts'

export const events: Feature = {
  name: 'events',
  routes: (deps) => async (app) => {
    const { MAX_PAYLOAD_BYTES, MAX_BATCH_BYTES } = deps.config
    const limits = { maxPayloadBytes: MAX_PAYLOAD_BYTES, maxBatchBytes: MAX_BATCH_BYTES }
    await app.register(appendRoutes(deps.appender, deps.eventReader, limits))
    await app.register(eventRoutes(deps.appender, deps.eventReader, deps.clock, limits))
    await app.register(eventTypeRoutes(deps.eventTypes))
    await app.register(streamRoutes(deps.logTail))
  },
}
