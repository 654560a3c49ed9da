import type { Feature } from '../../feature.ts'
import { startDispatcher } from './dispatcher.ts'
import { createDeliveryReader } from './reads.ts'
import { deliveryRoutes } from './routes.ts'
import { startSweeper } from './sweeper.ts'

export type { ClaimedDelivery, DestinationSettings } from './claim.ts'
export type { Attempt, AttemptResult, Destination, Destinations } from './destinations/destination.ts'
export { createWebhookDestination } from './destinations/webhook.ts'
export { webhooks } from './webhook-openapi.ts'
export { createDeliveryQueue, type DeliveryQueue } from './delivery-queue.ts'

export const deliveries: Feature = {
  name: 'deliveries',
  routes: (deps) => deliveryRoutes(createDeliveryReader(deps.db), deps.eventReader),
  work: ({ pool, deliveryQueue: queue, destinations, secrets, clock, log, config }) => [
    startDispatcher({
      pool,
      queue,
      destinations,
      secrets,
      clock,
      log,
      concurrency: config.WORKER_CONCURRENCY,
      leaseMs: config.DELIVERY_LEASE_MS,
      graceMs: config.DELIVERY_GRACE_MS,
      timeoutMs: config.DELIVERY_TIMEOUT_MS,
      retryDelaysMs: config.retryDelaysMs,
    }),
    startSweeper({
      pool,
      queue,
      log,
      intervalMs: config.SWEEP_INTERVAL_MS,
      graceMs: config.DELIVERY_GRACE_MS,
    }),
  ],
}
