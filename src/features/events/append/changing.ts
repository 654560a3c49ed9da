import { Problem } from '../../../platform/http/problems.ts'
import { isUniqueViolation } from '../../../platform/postgres/errors.ts'
import { executorIn, type Database } from '../../../platform/postgres/pool.ts'
import type { AppendedEvent } from './appended.ts'
import { refuseUnknownOrigins } from './origins.ts'
import { keysOf, prepareEvents, type EventKey, type NewEvent } from './prepare.ts'
import { findRepeats, isRepeat, refuseConflicts, repeatOf } from './repeats.ts'
import type { Routing, RoutingCache } from './routing.ts'
import { runAppend } from './statement.ts'
import { owedBy, toAppended, type OnCommitted, type OwedDelivery } from './storing.ts'

/** Changes records in a transaction, and says which events tell of it. */
export type Change<T> = (transaction: Database) => Promise<{ events: readonly NewEvent[]; result: T }>

interface Changed<T> {
  events: AppendedEvent[]
  result: T
}

export interface ChangingOptions {
  db: Database
  routings: RoutingCache
  /** @returns a routing that has the types of some events */
  routingFor: (
    appId: string,
    events: readonly NewEvent[],
    keys: readonly (readonly EventKey[])[],
    isBatch: boolean,
  ) => Promise<Routing>
  graceMs: number
  onCommitted: OnCommitted
}

/** Undoes a transaction, for it to be tried again. */
class Again extends Error {
  /** Events of types that the app does not have yet. */
  readonly unknown: { events: readonly NewEvent[]; keys: readonly (readonly EventKey[])[] } | undefined

  constructor(unknown?: Again['unknown']) {
    super('The transaction is to be tried again.')
    this.unknown = unknown
  }
}

/** The key of an event was taken by another process since it was looked for. */
const isKeyTaken = (error: unknown): boolean => isUniqueViolation(error, 'event_keys_pkey')

/**
 * Changes records and stores the events that tell of it in one transaction.
 *
 * @returns a function that gives undefined where nothing was changed, since types, subscriptions or a key changed
 *   meanwhile: it is to be called again
 */
export function createChanging({ db, routings, routingFor, graceMs, onCommitted }: ChangingOptions) {
  return async function change<T>(appId: string, make: Change<T>): Promise<Changed<T> | undefined> {
    // Before the transaction: while it holds a connection it must not wait for another.
    const routing = await routings.get(appId)
    let stored: Changed<T> & { owed: OwedDelivery[] }
    try {
      stored = await db.transaction().execute((transaction) => storeIn(transaction, appId, routing, make))
    } catch (error) {
      if (error instanceof Again && error.unknown) {
        await routingFor(appId, error.unknown.events, error.unknown.keys, true)
        return undefined
      }
      // What a routing refused that is out of date by now is looked at again.
      const isStale = error instanceof Problem && !(await routings.isCurrent(appId, routing))
      if (!(error instanceof Again || isKeyTaken(error) || isStale)) throw error
      routings.drop(appId, routing)
      return undefined
    }
    const { events, result, owed } = stored
    const fresh = events.flatMap(({ event, state }) => (state ? [event] : []))
    if (fresh.length > 0) onCommitted([{ appId, events: fresh }], owed)
    return { events, result }
  }

  async function storeIn<T>(
    transaction: Database,
    appId: string,
    routing: Routing,
    make: Change<T>,
  ): Promise<Changed<T> & { owed: OwedDelivery[] }> {
    const { events: given, result } = await make(transaction)
    if (given.length === 0) return { events: [], result, owed: [] }
    const keys = keysOf(given, undefined, true)
    if (given.some(({ type }) => routing.typeOf(type) === undefined)) throw new Again({ events: given, keys })
    await refuseUnknownOrigins(transaction, appId, given, true)
    const repeats = await findRepeats(transaction, [{ appId, events: [{ keys: keys.flat() }] }])
    refuseConflicts(appId, keys.flat(), repeats)
    const prepared = prepareEvents(given, keys, routing, true)
    const fresh = prepared.filter((event) => !isRepeat(appId, event, repeats))
    if (fresh.length === 0)
      return { events: prepared.map((event) => repeatOf(appId, event, repeats)), result, owed: [] }
    const [stored] = await runAppend(executorIn(transaction), [{ appId, routing, events: fresh }], graceMs)
    if (!stored) throw new Again()
    const places = new Map(fresh.map((event, place) => [event, stored.base + place + 1]))
    return {
      events: prepared.map((event) => {
        const position = places.get(event)
        return position === undefined
          ? repeatOf(appId, event, repeats)
          : toAppended(appId, event, position, stored.at)
      }),
      result,
      owed: fresh.flatMap((event) => owedBy(appId, event)),
    }
  }
}
