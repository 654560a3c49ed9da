import { Problem } from '../../../platform/http/problems.ts'
import { isDataError, isUniqueViolation } from '../../../platform/postgres/errors.ts'
import type { Database, Pool } from '../../../platform/postgres/pool.ts'
import { roomsIn, type StoredEvents } from '../event.ts'
import type { AppendedEvent, Outcome } from './appended.ts'
import type { PreparedAppend, PreparedEvent } from './prepare.ts'
import { findRepeats, isRepeat, repeatOf, settleRepeats, type Repeats } from './repeats.ts'
import type { Routing, RoutingCache } from './routing.ts'
import { runAppend } from './statement.ts'

/** A delivery that a committed append owes. */
export interface OwedDelivery {
  appId: string
  id: string
  subscriptionId: string
}

/** Told after each commit what was stored of each app and what is owed. Must not throw. */
export type OnCommitted = (stored: readonly StoredEvents[], owed: readonly OwedDelivery[]) => void

/** The events of one request, prepared with a routing of their app. */
export interface AppendRequest {
  appId: string
  routing: Routing
  events: PreparedEvent[]
}

export interface StoringOptions {
  pool: Pool
  db: Database
  routings: RoutingCache
  graceMs: number
  onCommitted: OnCommitted
}

/**
 * Stores the events of several requests in one statement, and tells what became of each request.
 *
 * @returns a function that gives the outcomes in the order of the requests
 */
export function createStoring({ pool, db, routings, graceMs, onCommitted }: StoringOptions) {
  async function storeAll(requests: readonly AppendRequest[]): Promise<Outcome[]> {
    const outcomes = new Map<AppendRequest, Outcome>()
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
    requests: readonly AppendRequest[],
    repeats: Repeats,
    outcomes: Map<AppendRequest, Outcome>,
  ): Promise<void> {
    if (requests.length === 0) return
    const byApp = Map.groupBy(requests, ({ appId }) => appId)
    const appends = [...byApp].map(([appId, own]): PreparedAppend => ({
      appId,
      routing: (own[0] as AppendRequest).routing,
      events: own.flatMap(({ events }) => events.filter((event) => !isRepeat(appId, event, repeats))),
    }))
    let results: Awaited<ReturnType<typeof runAppend>>
    try {
      results = await runAppend(pool, appends, graceMs)
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
      for (const event of events) for (const delivery of owedBy(appId, event)) owed.push(delivery)
      for (const request of byApp.get(appId) ?? []) {
        outcomes.set(request, {
          events: request.events.map((event) => stored.get(event) ?? repeatOf(appId, event, repeats)),
          replayed: false,
        })
      }
    }
    if (grown.length > 0) onCommitted(grown, owed)
  }

  return storeAll
}

/** Requests of an app that were prepared with another routing than its newest here wait for the next round. */
function withoutStale(
  requests: readonly AppendRequest[],
  outcomes: Map<AppendRequest, Outcome>,
): AppendRequest[] {
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

const sameVersions = (a: Routing, b: Routing): boolean =>
  a.typesVersion === b.typesVersion && a.subscriptionsVersion === b.subscriptionsVersion

const isNewer = (a: Routing, b: Routing): boolean =>
  a.typesVersion > b.typesVersion || a.subscriptionsVersion > b.subscriptionsVersion

export const owedBy = (appId: string, { deliveries }: PreparedEvent): OwedDelivery[] =>
  deliveries.map((delivery) => ({ appId, ...delivery }))

export function toAppended(
  appId: string,
  event: PreparedEvent,
  position: number,
  createdAt: Date,
): AppendedEvent {
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
