import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { runMigrations as runQueueMigrations } from 'bullmq'
import { sql } from 'kysely'
import { DEFAULT_MIGRATION_TABLE, Migrator, type Migration } from 'kysely/migration'
import type { Log } from '../log/log.ts'
import { isUndefinedTable } from './errors.ts'
import type { Database, Pool } from './pool.ts'

const MIGRATIONS_DIR = join(import.meta.dirname, '../../../migrations')

/** Months of partitions that exist ahead of now. The maintenance job keeps it so. */
const PARTITION_MONTHS_AHEAD = 3

/** The schema of the queue library's own tables. */
export const QUEUE_SCHEMA = 'bullmq'

/** Names of `migrations/*.sql`, in the order in which they are run; forward only. */
async function migrationNames(): Promise<string[]> {
  const files = (await readdir(MIGRATIONS_DIR)).filter((file) => /^\d{4}_\w+\.sql$/.test(file))
  return files.map((file) => basename(file, '.sql')).toSorted()
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const entries = (await migrationNames()).map(async (name): Promise<[string, Migration]> => {
    const text = await readFile(join(MIGRATIONS_DIR, `${name}.sql`), 'utf8')
    return [name, { up: async (db) => void (await sql.raw(text).execute(db)) }]
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** Names of the migrations that the database has. The library, asked for them, looks at the whole catalogue first. */
async function executedMigrations(db: Database): Promise<string[]> {
  try {
    const { rows } = await sql<{
      name: string
    }>`select name from ${sql.table(DEFAULT_MIGRATION_TABLE)}`.execute(db)
    return rows.map(({ name }) => name).toSorted()
  } catch (error) {
    if (isUndefinedTable(error)) return []
    throw error
  }
}

/**
 * Brings the database to this version: our tables, the coming months' partitions and the queue library's
 * tables. Safe to run from several processes at once, and again.
 *
 * @throws what the failing migration threw; the migrations run so far stay
 */
export async function migrate(pool: Pool, db: Database, log: Log): Promise<void> {
  const [wanted, executed] = await Promise.all([migrationNames(), executedMigrations(db)])
  if (wanted.join() !== executed.join()) {
    const migrator = new Migrator({ db, provider: { getMigrations: readMigrations } })
    const { error, results } = await migrator.migrateToLatest()
    if (error) throw error
    for (const { migrationName } of results ?? []) log.info({ migration: migrationName }, 'migrated')
  }
  await ensurePartitions(db)
  const client = await pool.connect()
  try {
    await runQueueMigrations(client, QUEUE_SCHEMA)
  } finally {
    client.release()
  }
}

/** Creates the partitions of this month and the next ones where they are missing. */
export async function ensurePartitions(db: Database): Promise<void> {
  await sql`select ensure_partitions(${PARTITION_MONTHS_AHEAD})`.execute(db)
}

/** Names of the migrations that this version has and the database has not. */
export async function pendingMigrations(db: Database): Promise<string[]> {
  const executed = new Set(await executedMigrations(db))
  return (await migrationNames()).filter((name) => !executed.has(name))
}
