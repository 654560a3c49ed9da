import { Relay, createPostgresRelayBackend, type RelaySubscription } from 'bullmq'
import type { Log } from '../log.ts'
import type { Pool } from '../postgres/pool.ts'
import { connectRedis, REDIS_PREFIX } from '../redis.ts'
import { within } from '../within.ts'
import type { Bus, Topic } from './port.ts'

const NAMESPACE = 'heliograph'
/** Messages under way; more than these are dropped, which the contract of the bus allows. */
const MAX_UNDER_WAY = 1_000
const CLOSE_TIMEOUT_MS = 3_000

/** The bus over Redis. */
export function createRedisBus(url: string, log: Log): Bus {
  const redis = connectRedis(url, 'consumer', log)
  const relay = new Relay({
    connection: redis,
    prefix: REDIS_PREFIX,
    namespace: NAMESPACE,
    leaseDuration: 10_000,
  })
  return createBus(relay, log, () => redis.disconnect())
}

/** The bus over Postgres. @param pool its `search_path` is the queue library's schema; closed by its owner */
export function createPostgresBus(pool: Pool, log: Log): Bus {
  const relay = new Relay({
    connection: pool,
    namespace: NAMESPACE,
    backend: createPostgresRelayBackend,
  })
  return createBus(relay, log, () => {})
}

function createBus(relay: Relay, log: Log, disconnect: () => void): Bus {
  let underWay = 0
  let closed = false
  const warn = (error: Error): void => {
    if (!closed) log.warn({ error: error.message }, 'bus error')
  }
  relay.on('error', warn)
  relay.waitUntilReady().catch(warn)

  return {
    publish(topic, data) {
      if (closed || underWay >= MAX_UNDER_WAY) return
      underWay += 1
      relay
        .publish(topic, data)
        .catch(warn)
        .finally(() => (underWay -= 1))
    },
    subscribe(topic: Topic, listener) {
      let ended = false
      let subscription: RelaySubscription | undefined
      const end = (): void => void subscription?.unsubscribe().catch(warn)
      relay
        .subscribe(topic, (message) => {
          if (!ended) listener(message.data)
        })
        .then((made) => {
          subscription = made
          if (ended) end()
        })
        .catch(warn)
      return () => {
        ended = true
        end()
      }
    },
    async close() {
      closed = true
      await within(CLOSE_TIMEOUT_MS, relay.close()).catch(() => {})
      disconnect()
    },
  }
}
