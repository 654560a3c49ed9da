import type { Feature, Running } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import type { Apps } from '../apps/index.ts'
import type { DestinationKinds, Destinations } from '../destinations/index.ts'
import { createSentEdgesReader } from '../entities/index.ts'
import type { Events } from '../events/index.ts'
import type { Messages } from '../messages/index.ts'
import type { Subscriptions } from '../subscriptions/index.ts'
import { createDeliveryControl } from './control.ts'
import { createDeliveryQueue, type DeliveryQueue } from './dispatch/delivery-queue.ts'
import { startDispatcher } from './dispatch/dispatcher.ts'
import { startFeeder } from './flow/feeder.ts'
import { createHealthKeeper } from './sending/health.ts'
import { createOutcomeRecorder } from './sending/outcomes.ts'
import { createDeliveryReader } from './reading/reads.ts'
import { createRecall } from './recoveries/recall.ts'
import { recoveryRoutes } from './recoveries/routes.ts'
import { startRecoveryRunner } from './recoveries/runner.ts'
import { createRecoveryService } from './recoveries/service.ts'
import { deliveryRoutes } from './routes.ts'
import { createSender } from './sending/sender.ts'
import { readStatistics } from './reading/statistics.ts'
import { subscriptionDeliveryRoutes } from './subscription-routes.ts'
import { startSweeper } from './dispatch/sweeper.ts'
import { createTargets } from './sending/targets.ts'
import { sendTest } from './sending/test-delivery.ts'

export { webhooks } from './sending/webhook-openapi.ts'
export type { DeliveryQueue } from './dispatch/delivery-queue.ts'

interface Needs {
  apps: Apps
  events: Events
  subscriptions: Subscriptions
  messages: Messages
  destinations: DestinationKinds
}

export interface Deliveries extends Feature {
  deliveryQueue: DeliveryQueue
}

/** What the log owes to subscriptions: sent, tried again, held back, and seen to its end. */
export function createDeliveries(platform: Platform, needs: Needs): Deliveries {
  const { db, clock, config, secrets, log } = platform
  const { events, subscriptions } = needs
  const deliveryQueue = createDeliveryQueue(platform.queues, log)
  events.onCommitted((_stored, owed) => deliveryQueue.owe(owed))
  const destinations: Destinations = {
    ...needs.destinations.connect({
      http: platform.http,
      transform: platform.transformer.transform,
      signingKeys: needs.apps.signingKeys,
    }),
    platform: needs.messages.platformDestination,
  }
  return {
    deliveryQueue,
    async routes(app) {
      const control = createDeliveryControl({ db, queue: deliveryQueue, graceMs: config.DELIVERY_GRACE_MS })
      const testing = {
        targets: createTargets(db, secrets),
        destinations,
        clock,
        timeoutMs: config.DELIVERY_TIMEOUT_MS,
      }
      await app.register(deliveryRoutes(createDeliveryReader(db), control, events.eventReader))
      await app.register(recoveryRoutes(createRecoveryService(db)))
      await app.register(
        subscriptionDeliveryRoutes({
          subscriptions: subscriptions.subscriptions,
          readStatistics: (appId, id, hours) => readStatistics(db, clock, appId, id, hours),
          sendTest: (appId, id, body) => sendTest(testing, appId, id, body),
        }),
      )
    },
    work: () => startDeliveryWork(platform, needs, destinations, deliveryQueue),
  }
}

/** What sends, and what finds what others lost. */
function startDeliveryWork(
  platform: Platform,
  { events, subscriptions }: Needs,
  destinations: Destinations,
  queue: DeliveryQueue,
): Running[] {
  const { pool, db, log, clock, config } = platform
  const targets = createTargets(db, platform.secrets)
  const health = createHealthKeeper({
    db,
    appender: events.appender,
    subscriptionSwitch: subscriptions.subscriptionSwitch,
    publicUrl: config.publicUrl,
    log,
    holdMs: config.SUBSCRIPTION_HOLD_MS,
    disableAfterMs: config.subscriptionDisableAfterMs,
  })
  const sender = createSender({
    readSentEdges: createSentEdgesReader(pool, config.publicUrl),
    targets,
    destinations,
    recorder: createOutcomeRecorder(pool, config.DELIVERY_GRACE_MS),
    recall: createRecall(db),
    health,
    queue,
    clock,
    log,
    timeoutMs: config.DELIVERY_TIMEOUT_MS,
    retryDelaysMs: config.retryDelaysMs,
  })
  const dispatcher = startDispatcher({
    pool,
    db,
    queue,
    sender,
    log,
    concurrency: config.WORKER_CONCURRENCY,
    hasLocalWorker: platform.hasLocalWorker,
    leaseMs: config.DELIVERY_LEASE_MS,
    graceMs: config.DELIVERY_GRACE_MS,
    timeoutMs: config.DELIVERY_TIMEOUT_MS,
  })
  return [
    dispatcher,
    startFeeder({ pool, dispatcher, log, intervalMs: config.SWEEP_INTERVAL_MS }),
    startSweeper({
      pool,
      queue,
      log,
      intervalMs: config.SWEEP_INTERVAL_MS,
      graceMs: config.DELIVERY_GRACE_MS,
    }),
    startRecoveryRunner({
      db,
      queue,
      log,
      intervalMs: config.SWEEP_INTERVAL_MS,
      graceMs: config.DELIVERY_GRACE_MS,
    }),
  ]
}
