import type { Test } from 'tap'
import type { Bus } from '../../src/platform/bus/port.ts'
import { createPostgresBus, createRedisBus } from '../../src/platform/bus/relay.ts'
import { createLog } from '../../src/platform/log/log.ts'
import { QUEUE_SCHEMA } from '../../src/platform/postgres/migrate.ts'
import { createPool, type Pool } from '../../src/platform/postgres/pool.ts'
import { createPostgresQueues, createRedisQueues } from '../../src/platform/queue/bullmq.ts'
import type { Queues } from '../../src/platform/queue/port.ts'
import { parseRedisAddress, type RedisAddress } from '../../src/platform/redis/address.ts'
import { REDIS_PREFIX } from '../../src/platform/redis/redis.ts'
import { createTestDatabase } from './environment.ts'
import { startRedisCluster } from './redis-cluster.ts'
import { startRedis } from './redis-server.ts'
import type { Backend } from './service.ts'

/** What carries queues and buses, for tests of these alone. */
export interface PreparedBackend {
  /** The queues of one more process; who asks closes them. */
  queues: () => Queues
  /** The bus of one more process; who asks closes it. */
  bus: () => Bus
  /** A server that may be lost; absent where losing it is another test's. */
  server?: {
    /** Ends the server that everything is on, with all it holds, as a crash would. */
    kill(): Promise<void>
    restart(): Promise<void>
    connectionNames(): Promise<string[]>
  }
}

const log = createLog('silent', 'test')

/** Prepares a backend of a test's own, until the test ends. */
export const PREPARE: Record<Backend, (t: Test) => Promise<PreparedBackend>> = {
  async postgres() {
    const url = await createTestDatabase()
    const open = <T extends { close(): Promise<void> }>(create: (pool: Pool) => T): T => {
      const pool = createPool(url, { size: 8, name: 'test', schema: QUEUE_SCHEMA, log })
      const made = create(pool)
      return { ...made, close: () => made.close().then(() => pool.end()) }
    }
    return {
      queues: () => open((pool) => createPostgresQueues(pool, log)),
      bus: () => open((pool) => createPostgresBus(pool, log)),
    }
  },
  async redis(t) {
    const server = await startRedis()
    t.teardown(() => server.stop())
    return {
      ...onRedis(parseRedisAddress(`${server.url}/1`, 'single')),
      server: {
        kill: () => server.kill(),
        restart: () => server.start(),
        connectionNames: () => server.connectionNames(),
      },
    }
  },
  async cluster(t) {
    const cluster = await startRedisCluster()
    t.teardown(() => cluster.stop())
    const owner = await cluster.ownerOf(REDIS_PREFIX)
    return {
      ...onRedis(parseRedisAddress(cluster.url, 'cluster')),
      server: {
        kill: () => cluster.kill(owner),
        restart: () => cluster.restart(owner),
        connectionNames: () => cluster.connectionNames(owner),
      },
    }
  },
}

const onRedis = (address: RedisAddress) => ({
  queues: () => createRedisQueues(address, log),
  bus: () => createRedisBus(address, log),
})
