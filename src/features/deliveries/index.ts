import type { Feature } from '../../feature.ts'
import { createSentEdgesReader } from '../entities/index.ts'
import { createDeliveryControl } from './control.ts'
import { startDispatcher } from './dispatcher.ts'
import { startFeeder } from './feeder.ts'
import { createHealthKeeper } from './health.ts'
import { createOutcomeRecorder } from './outcomes.ts'
import { createDeliveryReader } from './reads.ts'
import { createRecall } from './recoveries/recall.ts'
import { recoveryRoutes } from './recoveries/routes.ts'
import { startRecoveryRunner } from './recoveries/runner.ts'
import { createRecoveryService } from './recoveries/service.ts'
import { deliveryRoutes } from './routes.ts'
import { createSender } from './sender.ts'
import { readStatistics } from './statistics.ts'
import { subscriptionDeliveryRoutes } from './subscription-routes.ts'
import { startSweeper } from './sweeper.ts'
import { createTargets } from './targets.ts'
import { sendTest } from './test-delivery.ts'

export { webhooks } from './webhook-openapi.ts'
export { createDeliveryQueue, type DeliveryQueue } from './delivery-queue.ts'

export const deliveries: Feature = {
  name: 'deliveries',
  routes: (deps) => async (app) => {
    const { db, clock, config, destinations, deliveryQueue: queue } = deps
    const control = createDeliveryControl({ db, queue, graceMs: config.DELIVERY_GRACE_MS })
    const testing = {
      targets: createTargets(db, deps.secrets),
      destinations,
      clock,
      timeoutMs: config.DELIVERY_TIMEOUT_MS,
    }
    await app.register(deliveryRoutes(createDeliveryReader(db), control, deps.eventReader))
    await app.register(recoveryRoutes(createRecoveryService(db)))
    await app.register(
      subscriptionDeliveryRoutes({
        subscriptions: deps.subscriptions,
        readStatistics: (appId, id, hours) => readStatistics(db, clock, appId, id, hours),
        sendTest: (appId, id, body) => sendTest(testing, appId, id, body),
      }),
    )
  },
  work: (deps) => {
    const { pool, db, log, clock, config, deliveryQueue: queue } = deps
    const targets = createTargets(db, deps.secrets)
    const health = createHealthKeeper({
      db,
      appender: deps.appender,
      onOff: deps.subscriptionSwitch,
      publicUrl: config.publicUrl,
      log,
      holdMs: config.SUBSCRIPTION_HOLD_MS,
      disableAfterMs: config.subscriptionDisableAfterMs,
    })
    const sender = createSender({
      readSentEdges: createSentEdgesReader(pool, config.publicUrl),
      targets,
      destinations: deps.destinations,
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
      takesOwn: deps.isWhole,
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
  },
}
