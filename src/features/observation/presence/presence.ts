import { setImmediate as immediate } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { createBroadcast } from '../../../platform/bus/broadcast.ts'
import type { Bus } from '../../../platform/bus/port.ts'
import type { Log } from '../../../platform/log/log.ts'
import { isDataError } from '../../../platform/postgres/errors.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { ProcessLease } from '../../../platform/process/lease.ts'
import type { Presence, PresenceChange } from '../contracts.ts'
import { declared } from '../declared.ts'
import { createOwnPresence, isMendedOnly, type Due } from './own-presence.ts'
import { createPresenceStore, type StoredChange } from './presence-store.ts'

/** Connections written in one transaction. */
const BATCH_SIZE = 250
const RETRY_MS = 500
/** For so long, and for so many members, it is remembered which change was the newest. */
const NEWEST_MS = 60_000
const NEWEST_MEMBERS = 20_000

export interface PresenceOptions {
  db: Database
  bus: Bus
  lease: ProcessLease
  /** How long a lease lasts, in milliseconds: three times in it dead processes are looked for. */
  leaseMs: number
  log: Log
}

/**
 * Presence in the table `presence`, which all processes share. One transaction after the other is under way
 * and takes whatever was asked for meanwhile; what a connection was last said to be is what is written, so one
 * that enters and leaves at once is not there. While the database is away, it waits.
 *
 * Whether a member joined or left, or merely has one connection more or less, is seen in the transaction. The
 * change is then told to this process at once and to the others over the bus, which may lose it: whoever has
 * to be sure lists.
 */
export function createPresence({ db, bus, lease, leaseMs, log }: PresenceOptions): Presence {
  const store = createPresenceStore(db)
  const own = createOwnPresence()
  const listeners = new Set<(change: PresenceChange) => void>()
  const newest = new LRUCache<string, number>({ max: NEWEST_MEMBERS, ttl: NEWEST_MS })
  let working: Promise<void> | undefined
  let isFailing = false
  const closing = new AbortController()
  let checkIsDue = false
  /** Whether others may have been told that all who are here left. */
  let wasBelievedDead = false
  let retry: NodeJS.Timeout | undefined

  const broadcast = createBroadcast<StoredChange>({
    bus,
    topic: declared.topics.presence,
    size: ({ room, member }) => 200 + room.length + member.id.length + (member.info?.length ?? 0),
    dropUnlessReady: false,
    log,
  })
  broadcast.onItem(({ version, ...change }) => {
    const { appId, room, member } = change
    const name = JSON.stringify([appId, room, member.id])
    // The changes of two processes may come in the wrong order; the older one is out of date then.
    if (version < (newest.get(name) ?? 0)) return
    newest.set(name, version)
    // Somebody took this process for dead.
    if (change.change === 'leave' && own.tellAgain(appId, room, member.id)) wake()
    for (const listener of listeners) {
      try {
        listener(change)
      } catch (error) {
        log.error({ appId, room, error: (error as Error).message }, 'a room did not take a presence change')
      }
    }
  })

  const timer = setInterval(() => {
    checkIsDue = true
    wake()
  }, leaseMs / 3)
  const endRenewed = lease.onRenewedAfterLoss(() => {
    wasBelievedDead = true
    checkIsDue = true
    clearTimeout(retry)
    retry = undefined
    wake()
  })

  function wake(): void {
    if (closing.signal.aborted || working || retry) return
    // At the end of the tick, so that what is asked for in it goes together.
    working = immediate().then(work)
  }

  function wakeLater(): void {
    if (closing.signal.aborted) return
    retry = setTimeout(() => {
      retry = undefined
      wake()
    }, RETRY_MS)
  }

  async function work(): Promise<void> {
    try {
      while (!closing.signal.aborted && (checkIsDue || own.hasDue())) {
        // What it recorded without a lease the others would remove again.
        if (!lease.isValid()) {
          wakeLater()
          break
        }
        await writeSome()
        if (checkIsDue) await check()
      }
      isFailing = false
    } catch (error) {
      if (!isFailing) log.warn({ error: (error as Error).message }, 'presence is not recorded; trying again')
      isFailing = true
      wakeLater()
    }
    working = undefined
    if (own.hasDue()) wake()
  }

  async function writeSome(): Promise<void> {
    const taken = own.take(BATCH_SIZE)
    try {
      await writeAll(taken)
    } finally {
      own.giveBack(taken)
    }
  }

  async function writeAll(taken: readonly Due[]): Promise<void> {
    if (taken.length === 0) return
    let changes: StoredChange[]
    try {
      changes = await store.write(
        lease.processId,
        taken.map(({ write }) => write),
      )
    } catch (error) {
      if (!isDataError(error)) throw error
      // The database does not take a value of one of them, which no check foresaw: the others are kept.
      const [only] = taken
      if (!only || taken.length > 1) {
        for (const one of taken) await writeAll([one])
        return
      }
      const { appId, room } = only.write
      log.error({ appId, room, error: (error as Error).message }, 'presence cannot be recorded')
      return own.forget(only)
    }
    own.wrote(taken)
    for (const change of changes) if (!isMendedOnly(change, taken)) broadcast.send(change)
  }

  /** Mends what is recorded of this process, and removes what dead ones left. */
  async function check(): Promise<void> {
    checkIsDue = false
    const { processId } = lease
    const expected = own.recorded()
    const wasBelieved = wasBelievedDead
    if (expected !== undefined) wasBelievedDead = false
    let more: boolean
    try {
      const { recorded, hasDead } = await store.look(processId)
      more = hasDead
      if (expected !== undefined && recorded !== expected) {
        const rows = await store.rowsOf(processId)
        own.mend(rows, wasBelieved || wasBelievedDead || !lease.isValid())
      }
    } catch (error) {
      wasBelievedDead ||= wasBelieved
      throw error
    }
    while (more && !closing.signal.aborted) {
      const reaped = await store.reap(processId)
      for (const change of reaped.changes) broadcast.send(change)
      ;({ more } = reaped)
    }
  }

  return {
    enter(appId, room, connectionId, member) {
      if (closing.signal.aborted) return
      own.enter(appId, room, connectionId, member)
      wake()
    },
    leave(appId, room, connectionId, member) {
      if (closing.signal.aborted) return
      own.leave(appId, room, connectionId, member)
      wake()
    },
    list: (appId, room, limit) => store.list(appId, room, limit),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      closing.abort()
      clearInterval(timer)
      clearTimeout(retry)
      endRenewed()
      await working
      own.leaveAll()
      try {
        while (own.hasDue()) await writeSome()
      } catch (error) {
        log.warn({ error: (error as Error).message }, 'presence ends only with the lease of this process')
      }
      broadcast.flush()
    },
  }
}
