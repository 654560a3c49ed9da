import { Relay, createPostgresRelayBackend, type RelaySubscription } from 'bullmq'
import type { Log } from '../log/log.ts'
import type { Pool } from '../postgres/pool.ts'
import type { RedisAddress } from '../redis/address.ts'
import { connectRedis, REDIS_PREFIX } from '../redis/redis.ts'
import { within } from '../time/within.ts'
import type { Bus } from './port.ts'

const NAMESPACE = 'heliograph'
/** What Redis lists the connection as (`CLIENT LIST`). */
const CONNECTION_NAME = 'outreach-ws-redis'
/** Messages under way; more than these are dropped, which the contract of the bus allows. */
const MAX_UNDER_WAY = 1_000
/** With so many under way the bus does not count as ready. */
const MANY_UNDER_WAY = 100
const CLOSE_TIMEOUT_MS = 3_000
const SUBSCRIBE_AGAIN_MS = 500
/** How long a close waits for what was published before. */
const DRAIN_TIMEOUT_MS = 1_000
/** How long the bus over Postgres does not count as ready after a failure: it has no connection to ask. */
const PAUSE_AFTER_FAILURE_MS = 1_000

/** The bus over Redis or a Redis Cluster. */
export function createRedisBus(address: RedisAddress, log: Log): Bus {
  const redis = connectRedis(address, 'consumer', log, CONNECTION_NAME)
  const relay = new Relay({
    connection: redis,
    prefix: REDIS_PREFIX,
    namespace: NAMESPACE,
    leaseDuration: 10_000,
  })
  return createBus(relay, log, {
    isConnected: () => redis.status === 'ready',
    disconnect: () => redis.disconnect(),
  })
}

/** The bus over Postgres. @param pool its `search_path` is the queue library's schema; closed by its owner */
export function createPostgresBus(pool: Pool, log: Log): Bus {
  const relay = new Relay({
    connection: pool,
    namespace: NAMESPACE,
    backend: createPostgresRelayBackend,
  })
  let failedAt = -Infinity
  relay.on('error', () => (failedAt = performance.now()))
  return createBus(relay, log, {
    isConnected: () => performance.now() - failedAt > PAUSE_AFTER_FAILURE_MS,
    disconnect: () => {},
    onFailure: () => (failedAt = performance.now()),
  })
}

interface Connection {
  isConnected(): boolean
  disconnect(): void
  /** Told of a message that was not sent. */
  onFailure?(): void
}

function createBus(relay: Relay, log: Log, connection: Connection): Bus {
  let underWay = 0
  let started = false
  let closed = false
  const lastOf = new Map<string, Promise<void>>()
  const warn = (error: Error): void => {
    if (!closed) log.warn({ error: error.message }, 'bus error')
  }
  relay.on('error', warn)
  relay
    .waitUntilReady()
    .then(() => (started = true))
    .catch(warn)

  async function send(topic: string, data: unknown, before: Promise<void> | undefined): Promise<void> {
    underWay += 1
    try {
      await before
      await relay.publish(topic, data)
    } catch (error) {
      connection.onFailure?.()
      warn(error as Error)
    } finally {
      underWay -= 1
    }
  }

  return {
    get isReady() {
      return started && !closed && underWay < MANY_UNDER_WAY && connection.isConnected()
    },
    publish(topic, data, { inOrder } = { inOrder: false }) {
      if (closed || underWay >= MAX_UNDER_WAY) return
      if (inOrder) lastOf.set(topic, send(topic, data, lastOf.get(topic)))
      else void send(topic, data, undefined)
    },
    subscribe(topic: string, listener) {
      let ended = false
      let subscription: RelaySubscription | undefined
      const end = (): void => void subscription?.unsubscribe().catch(warn)

      /** The library asks once; a connection that is lost at that moment must not leave this process deaf. */
      function begin(): void {
        relay
          .subscribe(topic, (message) => {
            if (!ended) listener(message.data)
          })
          .then((made) => {
            subscription = made
            if (ended) end()
          })
          .catch((error: Error) => {
            warn(error)
            if (!ended && !closed) setTimeout(begin, SUBSCRIBE_AGAIN_MS).unref()
          })
      }

      begin()
      return () => {
        ended = true
        end()
      }
    },
    async close() {
      closed = true
      await within(DRAIN_TIMEOUT_MS, Promise.all(lastOf.values())).catch(() => {})
      await within(CLOSE_TIMEOUT_MS, relay.close()).catch(() => {})
      connection.disconnect()
    },
  }
}
