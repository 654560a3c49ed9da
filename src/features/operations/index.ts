import type { Feature, Running } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import type { Log } from '../../platform/log/log.ts'
import { ensurePartitions } from '../../platform/postgres/migrate.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { Deliveries } from '../deliveries/index.ts'
import { operationsRoutes } from './routes.ts'

/** Partitions are made months ahead, so a failed run has many more to follow. */
const MAINTAIN_EVERY_MS = 6 * 3_600_000

/** What an orchestrator asks for, and what a database needs to be kept going. */
export const createOperations = (
  { db, log }: Platform,
  { deliveries }: { deliveries: Deliveries },
): Feature => ({
  routes: operationsRoutes(db, deliveries.deliveryQueue),
  work: () => [startMaintenance(db, log)],
})

/** Keeps the coming months' partitions in being. */
function startMaintenance(db: Database, log: Log): Running {
  const run = (): void => {
    ensurePartitions(db).catch((error: Error) =>
      log.error({ error: error.message }, 'no partitions were made'),
    )
  }
  run()
  const timer = setInterval(run, MAINTAIN_EVERY_MS)
  return {
    async close() {
      clearInterval(timer)
    },
  }
}
