import { setTimeout as wait } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Log } from '../log/log.ts'
import type { Database } from '../postgres/pool.ts'
import { repeat } from '../time/repeat.ts'
import { within } from '../time/within.ts'

/**
 * A process's sign of life in the database, renewed for as long as it runs. Whoever holds something in its
 * name holds it for as long as its row in `process_leases` is there and not over.
 */
export interface ProcessLease {
  readonly processId: string
  /** 0 to 1023; no other live process has it. A new one is taken when the lease was lost. */
  readonly number: number
  /**
   * Whether `number` is certainly this process's own at this moment, by a monotonic clock that began before
   * the renewal was asked for.
   */
  isValid(): boolean
  /** The database's time in milliseconds since the Unix epoch, told by a monotonic clock. */
  databaseNow(): number
  /** Called after the row had been lost and was made anew. @returns a function that ends it */
  onRenewedAfterLoss(listener: () => void): () => void
  /** Gives the lease back. */
  close(): Promise<void>
}

export const MAX_PROCESSES = 1024

/** Renewals within the time of one lease, so that it outlives some that fail. */
const RENEWALS_PER_LEASE = 3
/** The part of a lease that is not counted on, since no two clocks run alike. */
const MARGIN = 0.1
/** No other process has the number until so long after it was used last, in milliseconds. */
const HANDOVER_MS = 20
/** A connection that is stuck must not keep the lease from being renewed over another. */
const STEP_TIMEOUT_MS = 10_000
const GIVE_BACK_TIMEOUT_MS = 2_000

interface Renewed {
  number: number
  /** Milliseconds since the Unix epoch, with fractions. */
  now: number
}

export interface ProcessLeaseOptions {
  db: Database
  /** How long it lasts after a renewal, in milliseconds. */
  leaseMs: number
  log: Log
}

/**
 * Takes a lease with the smallest number that is free, and renews it until it is closed. While the database
 * is away it ends, and is taken anew once the database is back, maybe with another number.
 *
 * @throws Error when all numbers are taken, or the database cannot be used
 */
export async function createProcessLease(options: ProcessLeaseOptions): Promise<ProcessLease> {
  const { db, leaseMs, log } = options
  const processId = crypto.randomUUID()
  const listeners = new Set<() => void>()
  const lease = sql`${leaseMs} * interval '1 millisecond'`
  let number = 0
  let validUntil = -Infinity
  /** What the database's clock showed, and the monotonic clock at the time of the answer or later. */
  let clock = { shown: -Infinity, at: 0 }
  let lost = false
  let closed = false

  const databaseNow = (): number => clock.shown + (performance.now() - clock.at)

  /** Does a step against the database, and counts from before it was asked for. */
  async function take(step: () => Promise<Renewed | undefined>): Promise<boolean> {
    const askedAt = performance.now()
    const renewed = await within(STEP_TIMEOUT_MS, step())
    if (!renewed || closed) return false
    number = renewed.number
    validUntil = askedAt + leaseMs * (1 - MARGIN)
    // Where the database's clock was set back, time stands on what it was told before.
    clock = { shown: Math.max(renewed.now, databaseNow()), at: performance.now() }
    return true
  }

  async function renew(): Promise<Renewed | undefined> {
    const { rows } = await sql<Renewed>`
      update process_leases set lease_until = clock_timestamp() + ${lease}
       where process_id = ${processId} and lease_until > clock_timestamp()
      returning number, ${NOW}`.execute(db)
    return rows[0]
  }

  /** One process at a time, so that each sees the numbers that those before it took. */
  const acquire = (): Promise<Renewed> =>
    db.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(hashtext('process_leases'))`.execute(transaction)
      await sql`
        delete from process_leases
         where lease_until <= clock_timestamp() or process_id = ${processId}`.execute(transaction)
      const { rows } = await sql<Renewed>`
        insert into process_leases (process_id, number, lease_until)
        select ${processId}, free.number, clock_timestamp() + ${lease}
          from generate_series(0, ${MAX_PROCESSES - 1}) as free(number)
         where not exists (select from process_leases taken where taken.number = free.number)
         order by free.number limit 1
        returning number, ${NOW}`.execute(transaction)
      if (rows[0]) return rows[0]
      throw new Error(
        `There are ${MAX_PROCESSES} Heliograph processes on this database, which is as many as there may be. Stop some; the numbers of those that were killed are free ${leaseMs} ms after.`,
      )
    })

  await take(acquire)

  async function keep(): Promise<false> {
    const renewed = await take(renew)
    if (closed) return false
    if (!renewed) {
      if (!lost) log.warn({ number }, 'process lease lost')
      lost = true
      await take(acquire)
    }
    if (lost && !closed) {
      lost = false
      log.info({ number }, 'process lease taken anew')
      for (const listener of listeners) listener()
    }
    return false
  }

  const renewing = repeat(keep, {
    intervalMs: leaseMs / RENEWALS_PER_LEASE,
    onError: (error) => log.warn({ error: error.message }, 'process lease not renewed'),
  })

  return {
    processId,
    get number() {
      return number
    },
    isValid: () => performance.now() < validUntil,
    databaseNow,
    onRenewedAfterLoss(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      closed = true
      validUntil = -Infinity
      listeners.clear()
      const giveBack = async (): Promise<void> => {
        await Promise.all([renewing.close(), wait(HANDOVER_MS)])
        await sql`delete from process_leases where process_id = ${processId}`.execute(db)
      }
      // What cannot be given back ends by itself.
      await within(GIVE_BACK_TIMEOUT_MS, giveBack()).catch((error: Error) =>
        log.warn({ error: error.message }, 'process lease not given back'),
      )
    },
  }
}

const NOW = sql`(extract(epoch from clock_timestamp()) * 1000)::float8 as now`
