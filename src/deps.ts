import { randomBytes } from 'node:crypto'
import type { Config } from './config.ts'
import { defaultApp } from './default-app.ts'
import {
  createAppService,
  createKeyFinder,
  createSigningKeyService,
  type AppService,
  type KeyFinder,
  type SigningKeyService,
} from './features/apps/index.ts'
import { createDeliveryQueue, type DeliveryQueue } from './features/deliveries/index.ts'
import { connectDestinations, type Destinations } from './features/destinations/index.ts'
import {
  createFileService,
  createPlatformUserService,
  createUserService,
  type FileService,
  type PlatformUserService,
  type UserService,
} from './features/entities/index.ts'
import {
  createAppender,
  createEventReader,
  createEventTypeService,
  createLogTail,
  createRoutingCache,
  type Appender,
  type EventReader,
  type EventTypeService,
  type LogTail,
} from './features/events/index.ts'
import { createLinkCodeService, type LinkCodeService } from './features/identities/index.ts'
import {
  createConnectionService,
  createMessageSender,
  createPlatformDestination,
  type ConnectionService,
  type MessageSender,
} from './features/messages/index.ts'
import {
  createEmitter,
  createObserverTokens,
  createPresence,
  type Emitter,
  type ObserverTokens,
  type Presence,
} from './features/observation/index.ts'
import {
  createSubscriptionService,
  createSubscriptionSwitch,
  type SubscriptionService,
  type SubscriptionSwitch,
} from './features/subscriptions/index.ts'
import { createUrlCheck, LOOPBACK_CIDRS } from './platform/addresses.ts'
import { createLocalBus } from './platform/bus/local.ts'
import type { Bus } from './platform/bus/port.ts'
import { createPostgresBus, createRedisBus } from './platform/bus/relay.ts'
import { Problem } from './platform/http/problems.ts'
import { createRateLimits, type RateLimits } from './platform/http/rate-limits.ts'
import { systemClock, type Clock } from './platform/clock.ts'
import { keepSecret } from './platform/data-dir.ts'
import { checkFingerprint } from './platform/encryption-key.ts'
import type { Log } from './platform/log.ts'
import { createDownloader, type Downloader } from './platform/outbound/download.ts'
import { createOutboundHttp, type OutboundHttp } from './platform/outbound/http.ts'
import type { EmbeddedPostgres } from './platform/postgres/embedded.ts'
import { neededPostgres } from './platform/postgres/needed.ts'
import { migrate, pendingMigrations, QUEUE_SCHEMA } from './platform/postgres/migrate.ts'
import {
  createDatabase,
  createPool,
  type Database,
  type Pool,
  type PostgresAddress,
} from './platform/postgres/pool.ts'
import { createProcessLease, type ProcessLease } from './platform/process-lease.ts'
import { createPostgresQueues, createRedisQueues } from './platform/queue/bullmq.ts'
import type { Queues } from './platform/queue/port.ts'
import { untilReachable } from './platform/reachable.ts'
import { neededRedis } from './platform/redis.ts'
import { createSecretBox, type SecretBox } from './platform/secrets.ts'
import { createSnowflakeIds, type SnowflakeIds } from './platform/snowflake-ids.ts'
import { createTransformer } from './platform/transformation/transformation.ts'
import { within } from './platform/within.ts'

/** The queue library's own connections: it holds two for listening. */
const QUEUE_POOL_SIZE = 8

/** What closing one dependency may take; a connection that is stuck must not keep the process from ending. */
const CLOSE_STEP_MS = 10_000

/** Everything a feature may need, built once per process. */
export interface Deps {
  config: Config
  /** Whether API and worker run in this one process. */
  isWhole: boolean
  log: Log
  clock: Clock
  pool: Pool
  db: Database
  snowflakeIds: SnowflakeIds
  rateLimits: RateLimits
  bus: Bus
  processLease: ProcessLease
  emitter: Emitter
  presence: Presence
  queues: Queues
  http: OutboundHttp
  downloader: Downloader
  secrets: SecretBox
  adminApiKey: string | undefined
  apps: AppService
  /** The app that gets inquiries sent without a key; undefined: these need one. */
  inquiriesAppId: string | undefined
  keys: KeyFinder
  signingKeys: SigningKeyService
  subscriptions: SubscriptionService
  subscriptionSwitch: SubscriptionSwitch
  eventTypes: EventTypeService
  eventReader: EventReader
  appender: Appender
  logTail: LogTail
  deliveryQueue: DeliveryQueue
  users: UserService
  files: FileService
  platformUsers: PlatformUserService
  linkCodes: LinkCodeService
  observerTokens: ObserverTokens
  connections: ConnectionService
  messageSender: MessageSender
  destinations: Destinations
}

export interface BuildOptions {
  config: Config
  log: Log
  clock?: Clock
  /** Whether to bring the database up to date, rather than to insist that it is. */
  migrate: boolean
  /** Whether API and worker run in this one process; false unless given. */
  isWhole?: boolean
  /** Told what is happening, in words for a person. */
  say: (text: string) => void
  /** The embedded Postgres, on its way; needed where no DATABASE_URL is set, and closed with the rest. */
  postgres?: Promise<EmbeddedPostgres>
  /** Ends the waiting for a Postgres or Redis that cannot be reached yet. */
  signal?: AbortSignal
}

/**
 * The composition root: the only place that chooses between the embedded and the scaled backends.
 *
 * @returns the dependencies and a function that closes them, in the reverse order
 * @throws Error saying what to do when the database cannot be used
 * @throws the signal's reason, when that ended the waiting
 */
export async function buildDeps(options: BuildOptions): Promise<{ deps: Deps; close: () => Promise<void> }> {
  const { config, log, say } = options
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) {
      await within(CLOSE_STEP_MS, closer()).catch((error: Error) =>
        log.warn({ error: error.message }, 'not closed cleanly'),
      )
    }
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
    const processLease = await createProcessLease({ db, leaseMs: config.PROCESS_LEASE_MS, log })
    closers.push(() => processLease.close())

    const bus = await openBus(config, queuePool, log)
    closers.push(() => bus.close())
    const presence = createPresence({ db, bus, lease: processLease, leaseMs: config.PROCESS_LEASE_MS, log })
    closers.push(() => presence.close())
    const queues = config.redis ? createRedisQueues(config.redis, log) : createPostgresQueues(queuePool, log)
    closers.push(() => queues.close())
    const rateLimits = createRateLimits(config.redis, log)
    closers.push(() => rateLimits.close())
    const http = createOutboundHttp(config.outboundAllowCidrs)
    closers.push(() => http.close())
    const downloader = createDownloader(config.outboundAllowCidrs, {
      timeoutMs: config.ATTACHMENT_TIMEOUT_MS,
      maxBytes: config.MAX_ATTACHMENT_BYTES,
    })
    closers.push(() => downloader.close())
    const faultOfUrl = createUrlCheck(config.outboundAllowCidrs)
    if (config.embedded && config.OUTBOUND_ALLOW_CIDRS === undefined) {
      say(
        config.outboundAllowCidrs.length > 0
          ? 'Webhooks may reach this machine (OUTBOUND_ALLOW_CIDRS is unset).'
          : `Webhooks may not reach this machine, since HOST=${config.HOST} lets others reach the service. To allow it: OUTBOUND_ALLOW_CIDRS=${LOOPBACK_CIDRS.join()}`,
      )
    }

    const keys = createKeyFinder(db, bus)
    const apps = createAppService(db, keys)
    const eventTypes = createEventTypeService(db)
    const eventReader = createEventReader(db, pool, eventTypes, config.publicUrl)
    const logTail = createLogTail(eventReader, bus, log)
    closers.push(async () => logTail.close())
    const deliveryQueue = createDeliveryQueue(queues, log)
    const appender = createAppender({
      pool,
      db,
      eventTypes,
      routings: createRoutingCache(db),
      autoRegister: config.AUTO_REGISTER_EVENT_TYPES,
      graceMs: config.DELIVERY_GRACE_MS,
      onCommitted(appends, owed) {
        logTail.stored(appends)
        deliveryQueue.owe(owed)
      },
    })
    closers.push(() => appender.idle())

    const clock = options.clock ?? systemClock
    const { publicUrl } = config
    const users = createUserService(db)
    const platformUsers = createPlatformUserService(db)
    const signingKeys = createSigningKeyService(db, secrets, clock)
    const transformer = createTransformer()
    closers.push(() => transformer.close())
    const connections = createConnectionService({ db, secrets, publicUrl, faultOfUrl })

    const deps: Deps = {
      config,
      isWhole: options.isWhole ?? false,
      log,
      clock,
      pool,
      db,
      processLease,
      snowflakeIds: createSnowflakeIds(processLease),
      rateLimits,
      bus,
      emitter: createEmitter({ bus, log }),
      presence,
      queues,
      http,
      downloader,
      secrets,
      adminApiKey: await findAdminKey(config),
      apps,
      inquiriesAppId: await findInquiriesApp(config, apps),
      keys,
      signingKeys,
      subscriptions: createSubscriptionService({
        db,
        secrets,
        clock,
        checkTransformation: (expression) => transformer.check(expression),
        faultOfUrl,
      }),
      subscriptionSwitch: createSubscriptionSwitch(db, appender),
      eventTypes,
      eventReader,
      appender,
      logTail,
      deliveryQueue,
      users,
      files: createFileService(db, publicUrl),
      platformUsers,
      connections,
      linkCodes: createLinkCodeService(db, appender, users),
      observerTokens: createObserverTokens({ secrets, keys, clock }),
      messageSender: createMessageSender({ appender, connections, platformUsers, clock }),
      destinations: {
        ...connectDestinations({ http, transform: transformer.transform, signingKeys, mail: config.mail }),
        platform: createPlatformDestination({ db, http, appender, clock, publicUrl }),
      },
    }
    return { deps, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openPostgres(
  { config, postgres }: BuildOptions,
  closers: (() => Promise<void>)[],
): Promise<PostgresAddress> {
  if (config.DATABASE_URL !== undefined) return config.DATABASE_URL
  if (!postgres) throw new Error('Without DATABASE_URL the embedded Postgres is needed.')
  const server = await postgres
  closers.push(() => server.stop())
  return server.address
}

/** Those that somebody else starts, maybe at this moment. */
function untilServersAnswer({ config, signal, say }: BuildOptions): Promise<void> {
  const servers = [
    ...(config.DATABASE_URL === undefined ? [] : [neededPostgres(config.DATABASE_URL)]),
    ...(config.redis ? [neededRedis(config.redis)] : []),
  ]
  return untilReachable(servers, { timeoutMs: config.START_TIMEOUT_MS, signal, say })
}

async function bringUpToDate(options: BuildOptions, pool: Pool, db: Database): Promise<void> {
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

async function findInquiriesApp(config: Config, apps: AppService): Promise<string | undefined> {
  const { INQUIRIES_APP_ID: appId } = config
  if (appId === undefined) return config.embedded ? (await defaultApp(config.DATA_DIR, apps)).id : undefined
  const app = await apps.get(appId).catch((error: unknown) => {
    if (error instanceof Problem) return undefined
    throw error
  })
  if (app) return app.id
  throw new Error(`INQUIRIES_APP_ID: there is no app ${appId}. Create one with POST /apps, or unset it.`)
}
