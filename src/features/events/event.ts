import type { Database } from '../../platform/postgres/pool.ts'

/** An event as the log holds it. `payload` and `edges` are JSON texts, passed on as they are. */
export interface StoredEvent {
  appId: string
  id: string
  /** Dense in its app's log: 1, 2, 3 … in the order of commits. */
  position: number
  eventTypeId: string
  type: string
  /** The version of the type's schema that the payload was checked against, or null when it has none. */
  schemaVersion: number | null
  schemaValid: boolean | null
  payload: string
  edges: string
  originEventId: string | null
  externalId: string | null
  orgid: string | null
  createdAt: Date
}

/** Where an event stands: a projection of its deliveries, not part of the log. */
export interface EventState {
  status: 'pending' | 'processing' | 'completed' | 'failed'
  processedAt: Date | null
}

const text = (value: string | null): string => (value === null ? 'null' : JSON.stringify(value))

/**
 * The JSON of an event, with its payload to the letter as it was sent.
 *
 * @param state left out where only the immutable part is wanted, as in streams
 */
export function eventJson(event: StoredEvent, state?: EventState): string {
  const projected = state
    ? `"status":"${state.status}","processedAt":${text(state.processedAt?.toISOString() ?? null)},`
    : ''
  return (
    `{"id":"${event.id}","position":${event.position},"appId":"${event.appId}",` +
    `"eventTypeId":"${event.eventTypeId}","type":"${event.type}",${projected}` +
    `"payload":${event.payload},"edges":${event.edges},"originEventId":${text(event.originEventId)},` +
    `"externalId":${text(event.externalId)},"orgid":${text(event.orgid)},` +
    `"schemaVersion":${event.schemaVersion},"schemaValid":${event.schemaValid},` +
    `"createdAt":"${event.createdAt.toISOString()}"}`
  )
}

export interface EventRow {
  app_id: string
  id: string
  position: number
  event_type_id: string
  type: string
  schema_version: number | null
  schema_valid: boolean | null
  payload: string
  edges: string
  origin_event_id: string | null
  external_id: string | null
  orgid: string | null
  created_at: Date
}

export const toStoredEvent = (row: EventRow): StoredEvent => ({
  appId: row.app_id,
  id: row.id,
  position: row.position,
  eventTypeId: row.event_type_id,
  type: row.type,
  schemaVersion: row.schema_version,
  schemaValid: row.schema_valid,
  payload: row.payload,
  edges: row.edges,
  originEventId: row.origin_event_id,
  externalId: row.external_id,
  orgid: row.orgid,
  createdAt: row.created_at,
})

/**
 * Where events stand, in one query for all of them.
 *
 * An event nobody is owed is completed; one with a delivery that is still to be made is pending until the
 * first attempt and processing after it; then it failed if any delivery is dead.
 */
export async function readStates(
  db: Database,
  appId: string,
  events: readonly StoredEvent[],
): Promise<Map<string, EventState>> {
  const rows =
    events.length === 0
      ? []
      : await db
          .selectFrom('deliveries')
          .select((eb) => [
            'event_id',
            eb.fn.countAll<number>().filterWhere('status', '=', 'pending').as('open'),
            eb.fn.countAll<number>().filterWhere('status', '=', 'dead').as('dead'),
            eb.fn.countAll<number>().filterWhere('attempts', '>', 0).as('tried'),
            eb.fn.max('completed_at').as('completed_at'),
          ])
          .where('app_id', '=', appId)
          .where(
            'event_id',
            'in',
            events.map((event) => event.id),
          )
          .groupBy('event_id')
          .execute()
  const states = new Map<string, EventState>()
  for (const { event_id: id, open, dead, tried, completed_at: processedAt } of rows) {
    if (open > 0) states.set(id, { status: tried > 0 ? 'processing' : 'pending', processedAt: null })
    else states.set(id, { status: dead > 0 ? 'failed' : 'completed', processedAt })
  }
  for (const event of events) {
    if (!states.has(event.id)) states.set(event.id, { status: 'completed', processedAt: event.createdAt })
  }
  return states
}
