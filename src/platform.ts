import { randomBytes } from 'node:crypto'
import type { Config } from './config.ts'
import type { Declared } from './declarations.ts'
import { createUrlCheck, LOOPBACK_CIDRS } from './platform/outbound/addresses.ts'
import { createLocalBus } from './platform/bus/local.ts'
import type { Bus } from './platform/bus/port.ts'
import { createPostgresBus, createRedisBus } from './platform/bus/relay.ts'
import { systemClock, type Clock } from './platform/time/clock.ts'
import { keepSecret } from './platform/secrets/data-dir.ts'
import { checkFingerprint } from './platform/secrets/encryption-key.ts'
import { createRateLimits, type RateLimits } from './platform/http/rate-limits.ts'
import type { Log } from './platform/log/log.ts'
import { createOutboundHttp, type OutboundHttp } from './platform/outbound/http.ts'
import type { EmbeddedPostgres } from './platform/postgres/embedded.ts'
import { migrate, pendingMigrations, QUEUE_SCHEMA } from './platform/postgres/migrate.ts'
import { neededPostgres } from './platform/postgres/needed.ts'
import {
  createDatabase,
  createPool,
  type Database,
  type Pool,
  type PostgresAddress,
} from './platform/postgres/pool.ts'
import { createProcessLease, type ProcessLease } from './platform/process/lease.ts'
import { createPostgresQueues, createRedisQueues } from './platform/queue/bullmq.ts'
import type { Queues } from './platform/queue/port.ts'
import { untilReachable } from './platform/process/reachable.ts'
import { neededRedis } from './platform/redis/redis.ts'
import { createSecretBox, type SecretBox } from './platform/secrets/secret-box.ts'
import { createSnowflakeIds, type SnowflakeIds } from './platform/identifiers/snowflake-ids.ts'
import { createTransformer, type Transformer } from './platform/transformation/transformation.ts'
import { within } from './platform/time/within.ts'

/** The queue library's own connections: it holds two for listening. */
const QUEUE_POOL_SIZE = 8

/** What closing one part may take; a connection that is stuck must not keep the process from ending. */
const CLOSE_STEP_MS = 10_000

/** What every feature may build on: it is made once per process, and knows no feature. */
export interface Platform {
  /** What all parts of the product declare. */
  declared: Declared
  config: Config
  /** Whether the worker of this installation runs in this same process. */
  hasLocalWorker: boolean
  log: Log
  clock: Clock
  pool: Pool
  db: Database
  bus: Bus
  queues: Queues
  processLease: ProcessLease
  snowflakeIds: SnowflakeIds
  rateLimits: RateLimits
  http: OutboundHttp
  /** @returns why outbound requests may not go to a URL, or undefined when they may */
  faultOfUrl: ReturnType<typeof createUrlCheck>
  transformer: Transformer
  secrets: SecretBox
  /** undefined: administration over HTTP is off. */
  adminApiKey: string | undefined
}

export interface PlatformOptions {
  declared: Declared
  config: Config
  log: Log
  clock?: Clock
  /** Whether to bring the database up to date, rather than to insist that it is. */
  migrate: boolean
  /** Whether the worker runs in this same process; false unless given. */
  hasLocalWorker?: boolean
  /** Told what is happening, in words for a person. */
  say: (text: string) => void
  /** The embedded Postgres, on its way; needed where no DATABASE_URL is set, and closed with the rest. */
  postgres?: Promise<EmbeddedPostgres>
  /** Ends the waiting for a Postgres or Redis that cannot be reached yet. */
  signal?: AbortSignal
}

/**
 * Builds the platform: the only place that chooses between the embedded and the scaled backends.
 *
 * @returns the platform and a function that closes its parts, in the reverse order
 * @throws Error saying what to do when the database cannot be used
 * @throws the signal's reason, when that ended the waiting
 */
export async function buildPlatform(
  options: PlatformOptions,
): Promise<{ platform: Platform; close: () => Promise<void> }> {
  const { config, log, say } = options
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closeWithin(closer, log)
  }
  /** Keeps what was opened until it is closed with the rest. */
  const opened = <T extends { close(): Promise<void> | void }>(part: T): T => {
    closers.push(async () => part.close())
    return part
  }
  try {
    const address = await openPostgres(options, closers)
    await untilServersAnswer(options)
    const pool = createPool(address, { size: config.DATABASE_POOL_SIZE, name: 'heliograph', log })
    const queuePool = createPool(address, {
      size: QUEUE_POOL_SIZE,
      name: 'heliograph queue',
      schema: QUEUE_SCHEMA,
      // Queues and the bus may lose anything: the deliveries and the log are elsewhere.
      mayLoseCommits: true,
      log,
    })
    closers.push(
      () => pool.end(),
      () => queuePool.end(),
    )
    const db = createDatabase(pool)
    await bringUpToDate(options, pool, db)
    const secrets = await openSecretBox(config, db)
    const processLease = opened(await createProcessLease({ db, leaseMs: config.PROCESS_LEASE_MS, log }))
    const bus = opened(await openBus(config, queuePool, log))
    const queues = opened(
      config.redis ? createRedisQueues(config.redis, log) : createPostgresQueues(queuePool, log),
    )
    sayWhereWebhooksMayGo(config, say)
    const platform: Platform = {
      declared: options.declared,
      config,
      hasLocalWorker: options.hasLocalWorker ?? false,
      log,
      clock: options.clock ?? systemClock,
      pool,
      db,
      bus,
      queues,
      processLease,
      snowflakeIds: createSnowflakeIds(processLease),
      rateLimits: opened(createRateLimits(config.redis, log)),
      http: opened(createOutboundHttp(config.outboundAllowCidrs)),
      faultOfUrl: createUrlCheck(config.outboundAllowCidrs),
      transformer: opened(createTransformer()),
      secrets,
      adminApiKey: await findAdminKey(config),
    }
    return { platform, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Closes one part of the process. One that fails or takes too long is logged and left. */
export const closeWithin = (closePart: () => Promise<void>, log: Log): Promise<void> =>
  within(CLOSE_STEP_MS, closePart()).catch((error: Error) =>
    log.warn({ error: error.message }, 'not closed cleanly'),
  )

async function openPostgres(
  { config, postgres }: PlatformOptions,
  closers: (() => Promise<void>)[],
): Promise<PostgresAddress> {
  if (config.DATABASE_URL !== undefined) return config.DATABASE_URL
  if (!postgres) throw new Error('Without DATABASE_URL the embedded Postgres is needed.')
  const server = await postgres
  closers.push(() => server.stop())
  return server.address
}

/** Those that somebody else starts, maybe at this moment. */
function untilServersAnswer({ config, signal, say }: PlatformOptions): Promise<void> {
  const servers = [
    ...(config.DATABASE_URL === undefined ? [] : [neededPostgres(config.DATABASE_URL)]),
    ...(config.redis ? [neededRedis(config.redis)] : []),
  ]
  return untilReachable(servers, { timeoutMs: config.START_TIMEOUT_MS, signal, say })
}

async function bringUpToDate(options: PlatformOptions, pool: Pool, db: Database): Promise<void> {
  if (options.migrate) return migrate(pool, db, options.log)
  const pending = await pendingMigrations(db)
  if (pending.length > 0) {
    throw new Error(`The database is not up to date (${pending.join(', ')}). Run \`npm run migrate\` first.`)
  }
}

/** One process at a time uses the embedded Postgres, so without Redis it needs no bus between processes. */
async function openBus(config: Config, queuePool: Pool, log: Log): Promise<Bus> {
  if (config.redis) return createRedisBus(config.redis, log)
  return config.embedded ? createLocalBus() : createPostgresBus(queuePool, log)
}

/** All processes must have the same key; the database remembers its fingerprint. */
async function openSecretBox(config: Config, db: Database): Promise<SecretBox> {
  const key =
    config.ENCRYPTION_KEY ??
    (await keepSecret(config.DATA_DIR, 'encryption.key', () => randomBytes(32).toString('base64')))
  const secrets = createSecretBox(key, config.oldEncryptionKeys)
  await checkFingerprint(db, secrets)
  return secrets
}

async function findAdminKey(config: Config): Promise<string | undefined> {
  if (config.ADMIN_API_KEY !== undefined || !config.embedded) return config.ADMIN_API_KEY
  return keepSecret(config.DATA_DIR, 'admin.key', () => `hgadmin_${randomBytes(32).toString('base64url')}`)
}

/** The embedded default lets webhooks reach this machine only where nobody else can ask for it. */
function sayWhereWebhooksMayGo(config: Config, say: (text: string) => void): void {
  if (!config.embedded || config.OUTBOUND_ALLOW_CIDRS !== undefined) return
  say(
    config.outboundAllowCidrs.length > 0
      ? 'Webhooks may reach this machine (OUTBOUND_ALLOW_CIDRS is unset).'
      : `Webhooks may not reach this machine, since HOST=${config.HOST} lets others reach the service. To allow it: OUTBOUND_ALLOW_CIDRS=${LOOPBACK_CIDRS.join()}`,
  )
}
