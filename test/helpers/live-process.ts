import type { Emitter, Presence } from '../../src/features/observation/contracts.ts'
import { createEmitter } from '../../src/features/observation/publishing/emitter.ts'
import { createPresence } from '../../src/features/observation/presence/presence.ts'
import type { Bus } from '../../src/platform/bus/port.ts'
import { createPostgresBus, createRedisBus } from '../../src/platform/bus/relay.ts'
import { parseRedisAddress } from '../../src/platform/redis/address.ts'
import { createLog } from '../../src/platform/log/log.ts'
import { QUEUE_SCHEMA } from '../../src/platform/postgres/migrate.ts'
import { createDatabase, createPool, type Database } from '../../src/platform/postgres/pool.ts'
import { createProcessLease, type ProcessLease } from '../../src/platform/process/lease.ts'

export interface LiveProcess {
  db: Database
  bus: Bus
  lease: ProcessLease
  presence: Presence
  emitter: Emitter
  close(): Promise<void>
}

/** What a process needs for presence and for ephemeral messages, and nothing else. */
export async function openLiveProcess(
  databaseUrl: string,
  redisUrl: string | undefined,
  leaseMs: number,
): Promise<LiveProcess> {
  const log = createLog('silent', 'test')
  const pool = createPool(databaseUrl, { size: 4, name: 'test', log })
  const queuePool = createPool(databaseUrl, { size: 4, name: 'test', schema: QUEUE_SCHEMA, log })
  const db = createDatabase(pool)
  const bus =
    redisUrl === undefined
      ? createPostgresBus(queuePool, log)
      : createRedisBus(parseRedisAddress(redisUrl, redisUrl.includes(',') ? 'cluster' : 'single'), log)
  const lease = await createProcessLease({ db, leaseMs, log })
  const presence = createPresence({ db, bus, lease, leaseMs, log })
  return {
    db,
    bus,
    lease,
    presence,
    emitter: createEmitter({ bus, log }),
    async close() {
      await presence.close()
      await lease.close()
      await bus.close()
      await Promise.all([pool.end(), queuePool.end()])
    },
  }
}
