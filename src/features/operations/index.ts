import type { Feature, Running } from '../../feature.ts'
import type { Log } from '../../platform/log.ts'
import { ensurePartitions } from '../../platform/postgres/migrate.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import { operationsRoutes } from './routes.ts'

/** Partitions are made months ahead, so a failed run has many more to follow. */
const MAINTAIN_EVERY_MS = 6 * 3_600_000

export const operations: Feature = {
  name: 'operations',
  routes: ({ db, deliveryQueue }) => operationsRoutes(db, deliveryQueue),
  work: ({ db, log }) => [startMaintenance(db, log)],
}

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
