import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Log } from '../log/log.ts'
import type { DB } from './tables.ts'

export type Pool = pg.Pool
export type PoolClient = pg.PoolClient
export type Database = Kysely<DB>

/** How to reach a server: a `postgres://` URL, or the folder of a Unix socket and a database in it. */
export type PostgresAddress = string | { host: string; user: string; database: string }

/**
 * `bigint` columns are counters far below 2^53 and come as numbers. `json` columns hold what somebody sent,
 * and come as the text they sent, to be passed on to the letter; `jsonb` columns are ours and come parsed.
 */
const types: pg.CustomTypesConfig = {
  getTypeParser(oid, format) {
    if (format !== 'binary' && oid === pg.types.builtins.INT8) return Number
    if (format !== 'binary' && oid === pg.types.builtins.JSON) return (text: string) => text
    return pg.types.getTypeParser(oid, format)
  },
}

/**
 * Every statement of ours finds its rows by an index. The planner must not think otherwise because a table
 * was small when it last looked: a prepared statement would keep that plan while the table grows.
 */
const PLANNER = ['enable_seqscan=off', 'enable_hashjoin=off', 'enable_mergejoin=off', 'jit=off']

export interface PoolOptions {
  /** Most connections at once. */
  size: number
  /** Shown in `pg_stat_activity`. */
  name: string
  /** Schema that unqualified names mean; `public` unless told. */
  schema?: string
  /**
   * For what may be lost: a commit does not wait until it is on the disk, and the last ones, of less than a
   * second, are gone when Postgres or its machine goes down.
   */
  mayLoseCommits?: boolean
  log: Log
}

/** Opens a pool. Connections are made when they are needed; a lost idle one is logged and replaced. */
export function createPool(address: PostgresAddress, options: PoolOptions): Pool {
  const pool = new pg.Pool({
    ...(typeof address === 'string' ? { connectionString: address } : address),
    max: options.size,
    application_name: options.name,
    options: [
      `search_path=${options.schema ?? 'public'}`,
      ...(options.mayLoseCommits ? ['synchronous_commit=off'] : []),
      ...PLANNER,
    ]
      .map((setting) => `-c ${setting}`)
      .join(' '),
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    types,
  })
  // A connection that breaks while it is in use fails its query; without a listener it would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  pool.on('error', (error) => options.log.warn({ error: error.message }, 'postgres connection lost'))
  return pool
}

/** The query builder over a pool. Closing the pool is the pool owner's business. */
export const createDatabase = (pool: Pool): Database =>
  new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })

/** Runs statements written by hand: a pool, each on its own, or a transaction of the query builder. */
export interface Executor {
  query(statement: { name: string; text: string; values: unknown[] }): Promise<{ rows: unknown[] }>
}

export const executorIn = (transaction: Database): Executor => ({
  query: ({ text, values }) => transaction.executeQuery(CompiledQuery.raw(text, values)),
})
