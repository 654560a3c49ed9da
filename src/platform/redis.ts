import { Redis } from 'ioredis'
import type { Log } from './log.ts'

/** Before every key; the braces keep a queue's keys in one slot of a Redis Cluster. */
export const REDIS_PREFIX = '{heliograph}'

/**
 * Connects to Redis, for good: a lost connection is made anew with growing waits.
 *
 * @param use a `producer` fails at once while Redis is away, so that no request waits on it; a `consumer`
 *   waits for it, as BullMQ asks of workers
 */
export function connectRedis(url: string, use: 'producer' | 'consumer', log: Log): Redis {
  const redis = new Redis(url, {
    connectionName: `heliograph-${use}`,
    connectTimeout: 5_000,
    retryStrategy: (times) => Math.min(times * 100, 2_000),
    ...(use === 'producer'
      ? { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 5_000 }
      : { maxRetriesPerRequest: null }),
  })
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
