import { createMicroBatcher } from '../../../platform/micro-batcher.ts'
import { Problem } from '../../../platform/http/problems.ts'
import { isDataError, isUniqueViolation } from '../../../platform/postgres/errors.ts'
import { executorIn, type Database, type Pool } from '../../../platform/postgres/pool.ts'
import type { EventTypeService } from '../types/service.ts'
import { roomsIn, type StoredEvent, type StoredEvents } from '../event.ts'
import type { Appended, AppendedEvent, Outcome } from './appended.ts'
import { refuseUnknownOrigins } from './origins.ts'
import {
  checkSchemas,
  keyName,
  keysOf,
  prepareEvents,
  unknownTypes,
  type EventKey,
  type NewEvent,
  type PreparedAppend,
  type PreparedEvent,
} from './prepare.ts'
import { findRepeats, refuseConflicts, repeatOf, settleRepeats, type Repeats } from './repeats.ts'
import type { Routing, RoutingCache } from './routing.ts'
import { runAppend } from './statement.ts'

/** Events of one statement; a payload counts once more for each such number of characters. */
const BATCH_WEIGHT = 1_000
const WEIGHT_CHARACTERS = 4_096
const WAITING_WEIGHT = 20_000
/** Statements under way at once. */
const LANES = 3
/** Of these with events of one app: while one holds the lock of its log, the next is sent and waits for it. */
const LANES_PER_APP = 2
/** Times an append is prepared anew because types or subscriptions changed under it. */
const MAX_ROUNDS = 20

export interface AppendOptions {
  /** From the `Idempotency-Key` header. */
  idempotencyKey?: string
  /** Whether the request was a batch; it decides how pointers in errors look and how its key is kept. */
  isBatch?: boolean
}

/** A delivery that a committed append owes. */
export interface OwedDelivery {
  appId: string
  id: string
  subscriptionId: string
}

export interface Appender {
  /**
   * Stores events of one app, all or none of them, together with every delivery they cause. They take
   * positions next to each other.
   *
   * @throws Problem naming what is wrong with the events; nothing was stored
   */
  append(appId: string, events: readonly NewEvent[], options?: AppendOptions): Promise<Appended>
  /**
   * Changes records and appends the events that tell of it, if any, in one transaction.
   *
   * @param change may run more than once; what it did is undone before it runs again. It must not change
   *   types or subscriptions. Its events are of types the app has, and have no keys.
   */
  appendWith<T>(appId: string, change: Change<T>): Promise<{ events: AppendedEvent[]; result: T }>
  /** Resolves once nothing is under way. */
  idle(): Promise<void>
}

export type Change<T> = (transaction: Database) => Promise<{ events: readonly NewEvent[]; result: T }>

/** Told after each commit what was stored of each app and what is owed. Must not throw. */
export type OnCommitted = (stored: readonly StoredEvents[], owed: readonly OwedDelivery[]) => void

export interface AppenderOptions {
  pool: Pool
  db: Database
  routings: RoutingCache
  eventTypes: EventTypeService
  /** Whether unknown custom types are registered, rather than refused. */
  autoRegister: boolean
  graceMs: number
  onCommitted: OnCommitted
  /** Told of what an append or a change stored, before it resolves. Must not reject. */
  afterAppend(events: readonly StoredEvent[]): Promise<void>
}

interface Request {
  appId: string
  routing: Routing
  events: PreparedEvent[]
}

/** The way into the log: prepares events in this process and stores whatever is waiting in one statement. */
export function createAppender(options: AppenderOptions): Appender {
  const { pool, db, routings, eventTypes } = options

  const batcher = createMicroBatcher<Request, Outcome>({
    run: storeAll,
    weight: ({ events }) =>
      events.reduce((sum, { payload }) => sum + 1 + Math.floor(payload.length / WEIGHT_CHARACTERS), 0),
    maxBatch: BATCH_WEIGHT,
    maxWaiting: WAITING_WEIGHT,
    lanes: LANES,
    lanesPerKey: LANES_PER_APP,
    key: ({ appId }) => appId,
  })

  const registering = new Map<string, Promise<void>>()

  /** The app's routing, once it has the types of the events. One registration per app at a time. */
  async function routingFor(
    appId: string,
    events: readonly NewEvent[],
    keys: readonly (readonly EventKey[])[],
    isBatch: boolean,
  ): Promise<Routing> {
    for (;;) {
      const routing = await routings.get(appId)
      const unknown = unknownTypes(events, routing, eventTypes.globalTypes)
      if (unknown.length === 0) return routing
      // Nothing is registered for events that are refused.
      checkSchemas(events, routing, isBatch)
      refuseConflicts(appId, keys.flat(), await findRepeats(db, [{ appId, events: [{ keys: keys.flat() }] }]))
      if (!options.autoRegister) {
        throw new Problem(
          'unknown-event-type',
          `Not registered: ${unknown.join(', ')}. Create it with POST /event-types.`,
        )
      }
      const underWay = registering.get(appId)
      if (underWay) {
        await underWay.catch(() => {})
        continue
      }
      const registration = eventTypes.register(appId, unknown).finally(() => {
        registering.delete(appId)
        routings.drop(appId, routing)
      })
      registering.set(appId, registration)
      await registration
    }
  }

  /** @returns undefined when it was refused by a routing that is out of date by now: to be looked at again */
  async function prepare(
    appId: string,
    events: readonly NewEvent[],
    keys: readonly (readonly EventKey[])[],
    isBatch: boolean,
  ): Promise<Request | undefined> {
    const before = await routings.get(appId)
    try {
      const routing = await routingFor(appId, events, keys, isBatch)
      return { appId, routing, events: prepareEvents(events, keys, routing, isBatch) }
    } catch (error) {
      if (error instanceof Problem && !(await routings.isCurrent(appId, before))) {
        routings.drop(appId, before)
        return undefined
      }
      throw error
    }
  }

  async function storeAll(requests: readonly Request[]): Promise<Outcome[]> {
    const outcomes = new Map<Request, Outcome>()
    const fresh = withoutStale(requests, outcomes)
    const repeats = await findRepeats(db, fresh)
    const taken = new Set<string>()
    const toStore = fresh.filter((request) => {
      const settled = settleRepeats(request, repeats, taken)
      if (settled) outcomes.set(request, settled)
      return !settled
    })
    await store(toStore, repeats, outcomes)
    return requests.map((request) => outcomes.get(request) ?? 'again')
  }

  async function store(
    requests: readonly Request[],
    repeats: Repeats,
    outcomes: Map<Request, Outcome>,
  ): Promise<void> {
    if (requests.length === 0) return
    const isNew = (appId: string) => (event: PreparedEvent) =>
      !event.keys.some((key) => repeats.has(keyName(appId, key)))
    const byApp = Map.groupBy(requests, ({ appId }) => appId)
    const appends = [...byApp].map(([appId, own]): PreparedAppend => ({
      appId,
      routing: (own[0] as Request).routing,
      events: own.flatMap(({ events }) => events.filter(isNew(appId))),
    }))
    let results: Awaited<ReturnType<typeof runAppend>>
    try {
      results = await runAppend(pool, appends, options.graceMs)
    } catch (error) {
      // A key was taken by another process meanwhile: all of them look again.
      if (isUniqueViolation(error)) return
      if (!isDataError(error) || requests.length === 1) throw error
      // One of them holds what Postgres does not take, which no check foresaw: find it, keep the others.
      for (const request of requests) {
        await store([request], repeats, outcomes).catch((own: unknown) => {
          if (!isDataError(own)) throw own
          outcomes.set(
            request,
            new Problem('validation-failed', 'The database does not take a value of this event.'),
          )
        })
      }
      return
    }
    const owed: OwedDelivery[] = []
    const grown: StoredEvents[] = []
    for (const [index, { appId, routing, events }] of appends.entries()) {
      const result = results[index]
      if (!result) {
        routings.drop(appId, routing)
        continue
      }
      const stored = new Map(
        events.map((event, place) => [event, toAppended(appId, event, result.base + place + 1, result.at)]),
      )
      grown.push({ appId, events: [...stored.values()].map(({ event }) => event) })
      for (const { deliveries } of events)
        for (const delivery of deliveries) owed.push({ appId, ...delivery })
      for (const request of byApp.get(appId) ?? []) {
        outcomes.set(request, {
          events: request.events.map((event) => stored.get(event) ?? repeatOf(appId, event, repeats)),
          replayed: false,
        })
      }
    }
    if (grown.length > 0) options.onCommitted(grown, owed)
  }

  return {
    async append(appId, events, { idempotencyKey, isBatch = false } = {}) {
      const keys = keysOf(events, idempotencyKey, isBatch)
      await refuseUnknownOrigins(db, appId, events, isBatch)
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const prepared = await prepare(appId, events, keys, isBatch)
        if (!prepared) continue
        const outcome = await batcher.add(prepared)
        if (outcome instanceof Problem) throw outcome
        if (outcome === 'again') continue
        await options.afterAppend(newIn(outcome.events))
        return outcome
      }
      throw neverCurrent()
    },

    async appendWith(appId, change) {
      for (let round = 0; round < MAX_ROUNDS; round++) {
        // Before the transaction: while it holds a connection it must not wait for another.
        const routing = await routings.get(appId)
        const stored = await db
          .transaction()
          .execute((transaction) => storeIn(transaction, appId, routing, change))
          .catch((error: unknown) => {
            if (error instanceof OutOfDate) return undefined
            throw error
          })
        if (stored && stored.events.length === 0) return { events: [], result: stored.result }
        if (stored) {
          const owed = stored.prepared.flatMap(({ deliveries }) =>
            deliveries.map((delivery) => ({ appId, ...delivery })),
          )
          options.onCommitted([{ appId, events: stored.events.map(({ event }) => event) }], owed)
          await options.afterAppend(newIn(stored.events))
          return { events: stored.events, result: stored.result }
        }
        routings.drop(appId, routing)
      }
      throw neverCurrent()
    },

    idle: () => batcher.idle(),
  }

  async function storeIn<T>(transaction: Database, appId: string, routing: Routing, change: Change<T>) {
    const { events: changes, result } = await change(transaction)
    if (changes.length === 0) return { prepared: [], events: [], result }
    const prepared = prepareEvents(changes, [], routing, true)
    const append = { appId, routing, events: prepared }
    const [stored] = await runAppend(executorIn(transaction), [append], options.graceMs)
    if (!stored) throw new OutOfDate()
    const events = prepared.map((event, place) =>
      toAppended(appId, event, stored.base + place + 1, stored.at),
    )
    return { prepared, events, result }
  }

  /** Requests of an app that were prepared with another routing than its newest here wait for the next round. */
  function withoutStale(requests: readonly Request[], outcomes: Map<Request, Outcome>): Request[] {
    const newest = new Map<string, Routing>()
    for (const { appId, routing } of requests) {
      const other = newest.get(appId)
      if (!other || isNewer(routing, other)) newest.set(appId, routing)
    }
    return requests.filter((request) => {
      const current = sameVersions(newest.get(request.appId) as Routing, request.routing)
      if (!current) outcomes.set(request, 'again')
      return current
    })
  }
}

/** Undoes a transaction whose events were prepared with a routing that is out of date. */
class OutOfDate extends Error {}

/** Those of some events that were not there before. */
const newIn = (events: readonly AppendedEvent[]): StoredEvent[] =>
  events.flatMap(({ event, state }) => (state ? [event] : []))

const neverCurrent = (): Problem =>
  new Problem('overloaded', 'Types or subscriptions of the app changed all the while. Nothing was stored.')

const sameVersions = (a: Routing, b: Routing): boolean =>
  a.typesVersion === b.typesVersion && a.subscriptionsVersion === b.subscriptionsVersion

const isNewer = (a: Routing, b: Routing): boolean =>
  a.typesVersion > b.typesVersion || a.subscriptionsVersion > b.subscriptionsVersion

function toAppended(appId: string, event: PreparedEvent, position: number, createdAt: Date): AppendedEvent {
  const owed = event.deliveries.length > 0
  return {
    event: {
      appId,
      id: event.id,
      position,
      eventTypeId: event.eventTypeId,
      type: event.type,
      schemaVersion: event.schemaVersion,
      schemaValid: event.schemaValid,
      payload: event.payload,
      edges: event.edgesJson,
      originEventId: event.originEventId,
      externalId: event.externalId,
      orgid: event.orgid,
      context: event.context,
      topic: event.topic,
      rooms: roomsIn(event.rooms),
      createdAt,
    },
    state: { status: owed ? 'pending' : 'completed', processedAt: owed ? null : createdAt },
  }
}
