import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { Log } from '../log/log.ts'
import { ATTEMPT_TIMEOUT_MS, whyUnreachable, type NeededServer } from '../process/reachable.ts'
import { placeOf, type RedisAddress, type RedisClusterAddress } from './address.ts'

/** Before every key; the braces keep all keys in one slot of a Redis Cluster. */
export const REDIS_PREFIX = '{heliograph}'

const CONNECT_TIMEOUT_MS = 5_000
const COMMAND_TIMEOUT_MS = { producer: 5_000, counter: 250, probe: ATTEMPT_TIMEOUT_MS }
const MAX_RECONNECT_WAIT_MS = 2_000
/** How soon a command is tried again that met a node which is away, or a slot on its way to another node. */
const RETRY_COMMAND_MS = 100
/** Tries of a producer's command: for a slot that moved, not for a node that is away. */
const PRODUCER_TRIES = 5
/** How often a cluster's nodes are asked for its slots, so that a node which vanished silently is left. */
const REFRESH_SLOTS_MS = 10_000
const REFRESH_TIMEOUT_MS = 2_000

type Use = 'producer' | 'consumer' | 'counter' | 'probe'

/** Why a cluster's node is away is not told. */
const NO_CONNECTION = 'Connection is closed.'
/** Of replies that say that Redis cannot answer yet. */
const NOT_YET = /^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY)\b/

const reconnectWait = (times: number): number => Math.min(times * 100, MAX_RECONNECT_WAIT_MS)
const never = (): null => null

/**
 * Connects to Redis, for good: a lost connection is made anew with growing waits.
 *
 * @param use a `producer` fails at once while Redis is away, so that no request waits on it; a `consumer`
 *   waits for it, as BullMQ asks of workers; a `counter` is asked in every request, so it also fails when it
 *   does not answer soon
 * @param connectionName what Redis lists the connection as (`CLIENT LIST`)
 */
export function connectRedis(
  address: RedisAddress,
  use: Exclude<Use, 'probe'>,
  log: Log,
  connectionName = `heliograph-${use}`,
): Redis | Cluster {
  const redis = open(address, use, connectionName)
  if (redis instanceof Cluster) logLostNodes(redis, use, log)
  let lost = false
  redis.on('error', (error: Error) => {
    if (!lost) log.warn({ use, error: error.message }, 'redis is out of reach')
    lost = true
  })
  redis.on('ready', () => {
    if (lost) log.info({ use }, 'redis is back')
    lost = false
  })
  return redis
}

/**
 * The Redis or Redis Cluster of an address, for `untilReachable`. One that reads its data from the disk, or has no
 * master at the moment, is waited for; one that refuses the user or the password is not.
 */
export const neededRedis = (address: RedisAddress): NeededServer => ({
  name: `Redis at ${placeOf(address)}`,
  setting: 'REDIS_URL',
  async attempt() {
    const probe = open(address, 'probe', 'heliograph-probe')
    // A command that finds no connection does not know why there is none.
    let cause: Error | undefined
    probe.on('error', (error: Error & { lastNodeError?: Error }) => (cause ??= error.lastNodeError ?? error))
    try {
      await probe.exists(REDIS_PREFIX).catch((error: Error) => (cause ??= error))
      if (cause) throw cause
    } finally {
      probe.disconnect()
    }
  },
  whyNotYet(error) {
    if (NOT_YET.test(error.message)) return error.message
    if (error.message === NO_CONNECTION) return 'no connection can be made'
    if (['ReplyError', 'ParserError'].includes(error.name)) return undefined
    // What has a code and is not a matter of the network is one of TLS.
    return whyUnreachable(error) ?? ('code' in error ? undefined : error.message)
  },
})

function open(address: RedisAddress, use: Use, connectionName: string): Redis | Cluster {
  const options: RedisOptions = {
    connectionName,
    connectTimeout: CONNECT_TIMEOUT_MS,
    ...(use === 'consumer'
      ? { maxRetriesPerRequest: null }
      : { maxRetriesPerRequest: 0, commandTimeout: COMMAND_TIMEOUT_MS[use] }),
  }
  if (address.mode === 'cluster') return openCluster(address, use, options)
  return new Redis(address.url, {
    ...options,
    // A probe is answered, with a refusal, also by a Redis that is not ready.
    ...(use === 'probe'
      ? { retryStrategy: never, enableReadyCheck: false }
      : { retryStrategy: reconnectWait }),
    enableOfflineQueue: use === 'consumer' || use === 'probe',
  })
}

function openCluster(address: RedisClusterAddress, use: Use, options: RedisOptions): Cluster {
  const { nodes, username, password, tls } = address
  return new Cluster([...nodes], {
    redisOptions: {
      ...options,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(tls && { tls: {} }),
    },
    clusterRetryStrategy: use === 'probe' ? never : reconnectWait,
    // Names are left to each connection to look up: TLS compares them with the certificate.
    dnsLookup: (host, found) => found(null, host),
    // Commands find out by themselves, and try again. A connection that fails this check never says so to who
    // waits for it, which would leave a consumer waiting for good.
    enableReadyCheck: false,
    slotsRefreshInterval: REFRESH_SLOTS_MS,
    slotsRefreshTimeout: REFRESH_TIMEOUT_MS,
    retryDelayOnFailover: RETRY_COMMAND_MS,
    retryDelayOnClusterDown: RETRY_COMMAND_MS,
    retryDelayOnTryAgain: RETRY_COMMAND_MS,
    ...(use === 'consumer'
      ? // Nodes that do not agree yet may send a command to and fro.
        { maxRedirections: Infinity, retryDelayOnMoved: 10 }
      : { maxRedirections: PRODUCER_TRIES, enableOfflineQueue: use === 'probe' }),
  })
}

/** A cluster that lost a node tells of it again and again. */
function logLostNodes(cluster: Cluster, use: Use, log: Log): void {
  const lost = new Set<string>()
  cluster.on('node error', (error: Error, node: string) => {
    if (!lost.has(node)) log.warn({ use, node, error: error.message }, 'a redis node is out of reach')
    lost.add(node)
  })
  cluster.on('+node', (redis: Redis) => {
    const node = `${redis.options.host}:${redis.options.port}`
    redis.on('ready', () => {
      if (lost.delete(node)) log.info({ use, node }, 'a redis node is back')
    })
  })
}
