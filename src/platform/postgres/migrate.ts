import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { runMigrations as runQueueMigrations } from 'bullmq'
import { sql } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import type { Log } from '../log.ts'
import type { Database, Pool } from './pool.ts'

const MIGRATIONS_DIR = join(import.meta.dirname, '../../../migrations')

/** Months of partitions that exist ahead of now. The maintenance job keeps it so. */
const PARTITION_MONTHS_AHEAD = 3

/** The schema of the queue library's own tables. */
export const QUEUE_SCHEMA = 'bullmq'

/** `migrations/*.sql` in the order of their names; forward only. */
async function readMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(MIGRATIONS_DIR)).filter((file) => /^\d{4}_\w+\.sql$/.test(file))
  const entries = files.map(async (file): Promise<[string, Migration]> => {
    const text = await readFile(join(MIGRATIONS_DIR, file), 'utf8')
    return [basename(file, '.sql'), { up: async (db) => void (await sql.raw(text).execute(db)) }]
  })
  return Object.fromEntries(await Promise.all(entries))
}

const createMigrator = (db: Database): Migrator =>
  new Migrator({ db, provider: { getMigrations: readMigrations } })

/**
 * Brings the database to this version: our tables, the coming months' partitions and the queue library's
 * tables. Safe to run from several processes at once, and again.
 *
 * @throws what the failing migration threw; the migrations run so far stay
 */
export async function migrate(pool: Pool, db: Database, log: Log): Promise<void> {
  const { error, results } = await createMigrator(db).migrateToLatest()
  if (error) throw error
  for (const { migrationName } of results ?? []) log.info({ migration: migrationName }, 'migrated')
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
  const migrations = await createMigrator(db).getMigrations()
  return migrations
    .filter((migration) => migration.executedAt === undefined)
    .map((migration) => migration.name)
}
