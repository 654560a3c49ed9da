import { loadConfig, readEnvironment } from '../config.ts'
import { createLog } from '../platform/log.ts'
import { migrate } from '../platform/postgres/migrate.ts'
import { createDatabase, createPool } from '../platform/postgres/pool.ts'

/** `npm run migrate`: brings the database of DATABASE_URL to this version. */
async function main(): Promise<void> {
  const config = loadConfig(readEnvironment())
  if (config.DATABASE_URL === undefined) {
    process.stdout.write(
      'Nothing to do: `npm start` migrates the embedded Postgres. For another one set DATABASE_URL.\n',
    )
    return
  }
  const log = createLog(config.LOG_LEVEL, 'migrate')
  const pool = createPool(config.DATABASE_URL, { size: 4, name: 'heliograph migrate', log })
  try {
    await migrate(pool, createDatabase(pool), log)
    process.stdout.write('The database is up to date.\n')
  } finally {
    await pool.end()
  }
}

main().catch((error: Error) => {
  process.stderr.write(`The database was not migrated: ${error.message}\n`)
  process.exit(1)
})
