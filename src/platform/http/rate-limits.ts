import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import type { Log } from '../log/log.ts'
import type { RedisAddress } from '../redis/address.ts'
import { connectRedis, REDIS_PREFIX } from '../redis/redis.ts'
import { Problem } from './problems.ts'

/** What answers say about the limit; `retry-after` when it is reached. */
export const RATE_LIMIT_HEADERS = [
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'retry-after',
] as const

const MINUTE_MS = 60_000
/** Addresses that one process counts when there is no Redis; beyond these the one not seen longest is forgotten. */
const MAX_ADDRESSES = 50_000

/** Limits how often one address may call a route. */
export interface RateLimits {
  /**
   * From now on routes of this scope may have `config.rateLimit`, with `max` requests per minute. What is
   * refused before, for its key, is not counted.
   */
  register(app: FastifyInstance): Promise<void>
  close(): Promise<void>
}

/**
 * Counts requests by address, an IPv6 one by its /64: in Redis where there is one, so over all processes, and
 * otherwise in each process. While Redis is away nothing is limited.
 *
 * @param address undefined: there is no Redis
 */
export function createRateLimits(address: RedisAddress | undefined, log: Log): RateLimits {
  const redis = address && connectRedis(address, 'counter', log)
  return {
    async register(app) {
      await app.register(rateLimit, {
        global: false,
        timeWindow: MINUTE_MS,
        cache: MAX_ADDRESSES,
        ...(redis && { redis, nameSpace: `${REDIS_PREFIX}:rate-limit:` }),
        skipOnError: true,
        enableDraftSpec: true,
        errorResponseBuilder: (_request, { max, after }) =>
          new Problem(
            'too-many-requests',
            `${max} in a minute are allowed from one address. Try again in ${after}.`,
          ),
      })
    },
    async close() {
      redis?.disconnect()
    },
  }
}
