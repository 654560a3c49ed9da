import type { Config } from '../config.ts'
import type { Log } from '../platform/log/log.ts'
import { migrate } from '../platform/postgres/migrate.ts'
import { neededPostgres } from '../platform/postgres/needed.ts'
import { createDatabase, createPool } from '../platform/postgres/pool.ts'
import { untilReachable } from '../platform/process/reachable.ts'

/** `npm run migrate`: brings the database of DATABASE_URL to this version, once, before processes that use it start. */
export async function runMigrate(config: Config, log: Log, say: (text: string) => void): Promise<void> {
  if (config.DATABASE_URL === undefined) {
    return say('Nothing to do: `npm start` migrates the embedded Postgres. For another one set DATABASE_URL.')
  }
  await untilReachable([neededPostgres(config.DATABASE_URL)], { timeoutMs: config.START_TIMEOUT_MS, say })
  const pool = createPool(config.DATABASE_URL, { size: 4, name: 'heliograph migrate', log })
  try {
    await migrate(pool, createDatabase(pool), log)
    say('The database is up to date.')
  } finally {
    await pool.end()
  }
}
