import type { Feature } from '../../feature.ts'
import { streamRoutes } from './live/stream-routes.ts'
import { eventRoutes } from './routes.ts'
import { eventTypeRoutes } from './types/routes.ts'

export { createAppender, type Appender, type OwedDelivery } from './append/appender.ts'
export { createRoutingCache } from './append/routing.ts'
export { createLogTail, type LogTail } from './live/log-tail.ts'
export { createEventReader, type EventReader } from './reads.ts'
export { createEventTypeService, type EventTypeService } from './types/service.ts'

export const events: Feature = {
  name: 'events',
  routes: (deps) => async (app) => {
    const { MAX_PAYLOAD_BYTES, MAX_BATCH_BYTES } = deps.config
    const limits = { maxPayloadBytes: MAX_PAYLOAD_BYTES, maxBatchBytes: MAX_BATCH_BYTES }
    await app.register(eventRoutes(deps.appender, deps.eventReader, limits))
    await app.register(eventTypeRoutes(deps.eventTypes))
    await app.register(streamRoutes(deps.logTail))
  },
}
