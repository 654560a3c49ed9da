import { setTimeout as wait } from 'node:timers/promises'
import {
  Queue as BullQueue,
  Worker,
  createPostgresBackend,
  createRedisBackend,
  type BackendFactory,
  type IQueueBackend,
} from 'bullmq'
import type { Log } from '../log/log.ts'
import type { Pool, PoolClient } from '../postgres/pool.ts'
import type { RedisAddress } from '../redis/address.ts'
import { connectRedis, REDIS_PREFIX } from '../redis/redis.ts'
import { within } from '../time/within.ts'
import type { Consumer, Queue, Queues } from './port.ts'

const JOB_NAME = 'job'
/** How long an append may hold on to the memory of jobs that the backend does not answer for. */
const ADD_TIMEOUT_MS = 5_000
const CONNECT_AGAIN_MS = 500
/** How long a consumer rests after its connection was lost under a command. */
const RUN_AGAIN_MS = 1_000
/** History is in Postgres. */
const KEEP_NOTHING = { removeOnComplete: true, removeOnFail: true, attempts: 1 }

/** Queues in Redis or a Redis Cluster: for many API and worker processes. */
export function createRedisQueues(address: RedisAddress, log: Log): Queues {
  const producers = connectRedis(address, 'producer', log)
  const consumers = connectRedis(address, 'consumer', log)
  return createQueues({
    factory: createRedisBackend,
    // The version check fails for good when the connection is lost during it; the consumers' one suffices.
    producer: { connection: producers, prefix: REDIS_PREFIX, skipVersionCheck: true },
    consumer: { connection: consumers, prefix: REDIS_PREFIX },
    reachable: () => producers.status === 'ready',
    log,
    closeConnections() {
      producers.disconnect()
      consumers.disconnect()
      return Promise.resolve()
    },
  })
}

/**
 * Queues in Postgres, in the schema that the migrations made: the embedded default.
 *
 * @param pool its `search_path` is that schema; closed by its owner
 */
export function createPostgresQueues(pool: Pool, log: Log): Queues {
  return createQueues({
    factory: createPostgresBackend,
    producer: { connection: patient(pool, log) },
    consumer: { connection: patient(pool, log) },
    reachable: () => true,
    log,
    closeConnections: () => Promise.resolve(),
  })
}

/**
 * The same pool, asking for a connection until it gets one. The library asks once for its first one, and if that
 * fails every later use of the queue fails with it.
 */
function patient(pool: Pool, log: Log): Pool {
  async function connect(): Promise<PoolClient> {
    for (;;) {
      try {
        return await pool.connect()
      } catch (error) {
        if (pool.ending) throw error
        log.warn({ error: (error as Error).message }, 'the queue has no connection yet; it asks again')
        await wait(CONNECT_AGAIN_MS)
      }
    }
  }
  return new Proxy(pool, {
    get(target, name) {
      if (name === 'connect') return connect
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

interface Backend {
  factory: BackendFactory<IQueueBackend, never>
  producer: object
  consumer: object
  /** Whether a command would go out now, rather than wait for a connection. */
  reachable(): boolean
  log: Log
  closeConnections(): Promise<void>
}

function createQueues(backend: Backend): Queues {
  const open: BullQueue[] = []
  let isClosed = false

  /** While Redis is away nothing waits for it, and nothing for a queue that is closed: the library would. */
  function refuseUnreachable(): void {
    if (isClosed || !backend.reachable()) throw new Error('The queue cannot be reached.')
  }

  return {
    queue<Data>(name: string): Queue<Data> {
      const queue = new BullQueue(
        name,
        { ...backend.producer, skipMetasUpdate: true } as never,
        backend.factory,
      )
      queue.on('error', (error) => backend.log.warn({ queue: name, error: error.message }, 'queue error'))
      open.push(queue as never)
      return {
        async add(jobs) {
          refuseUnreachable()
          const bulk = jobs.map(({ data, delayMs }) => ({
            name: JOB_NAME,
            data,
            opts: {
              ...KEEP_NOTHING,
              ...(delayMs && { delay: Math.round(delayMs) }),
            },
          }))
          await within(ADD_TIMEOUT_MS, queue.addBulk(bulk as never))
        },
        async waiting() {
          refuseUnreachable()
          return within(ADD_TIMEOUT_MS, queue.getWaitingCount())
        },
        consume: (handler, { concurrency }) => consume(backend, name, handler, concurrency),
      }
    },
    async close() {
      isClosed = true
      await Promise.all(open.map((queue) => within(ADD_TIMEOUT_MS, queue.close()).catch(() => {})))
      await backend.closeConnections()
    },
  }
}

function consume(
  backend: Backend,
  name: string,
  handler: (data: never) => Promise<void>,
  concurrency: number,
): Consumer {
  const worker = new Worker(
    name,
    async (job) => handler(job.data as never),
    { ...backend.consumer, concurrency, maxStalledCount: 10, runRetryDelay: RUN_AGAIN_MS } as never,
    backend.factory,
  )
  worker.on('error', (error) => backend.log.warn({ queue: name, error: error.message }, 'queue error'))
  worker.on('failed', (_job, error) => backend.log.error({ queue: name, err: error }, 'queue job failed'))
  return {
    async close(timeoutMs) {
      // close() waits for what is under way without limit, and once begun it cannot be hurried
      await within(timeoutMs, worker.close()).catch(() => {
        backend.log.warn({ queue: name }, 'jobs under way were left to another process')
      })
    },
  }
}
