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
  /** Its CloudEvents attributes as JSON text, when it was appended as a CloudEvent. */
  context: string | null
  /** What it is about in its rooms; null for an event that is in none. */
  topic: string | null
  rooms: readonly string[]
  createdAt: Date
}

/** What one append stored of an app, in the order of the positions. */
export interface StoredEvents {
  appId: string
  events: readonly StoredEvent[]
}

/** Where an event stands: a projection of its deliveries, not part of the log. */
export interface EventState {
  status: 'pending' | 'processing' | 'completed' | 'failed'
  processedAt: Date | null
}

const text = (value: string | null): string => (value === null ? 'null' : JSON.stringify(value))

let lastDate: Date | undefined
let lastText = ''

/** The events of one append have one date, whose text is made once. */
function dateText(date: Date): string {
  if (date !== lastDate) {
    lastDate = date
    lastText = `"${date.toISOString()}"`
  }
  return lastText
}

/**
 * The JSON of an event, with its payload to the letter as it was sent.
 *
 * @param state left out where only the immutable part is wanted, as in streams
 * @param edges JSON text that takes the place of the event's own
 */
export function eventJson(event: StoredEvent, state?: EventState, edges = event.edges): string {
  const projected = state
    ? `"status":"${state.status}","processedAt":${state.processedAt ? dateText(state.processedAt) : 'null'},`
    : ''
  return (
    `{"id":"${event.id}","position":${event.position},"appId":"${event.appId}",` +
    `"eventTypeId":"${event.eventTypeId}","type":"${event.type}",${projected}` +
    `"payload":${event.payload},"edges":${edges},"originEventId":${text(event.originEventId)},` +
    `"externalId":${text(event.externalId)},"orgid":${text(event.orgid)},` +
    `"schemaVersion":${event.schemaVersion},"schemaValid":${event.schemaValid},` +
    `"createdAt":${dateText(event.createdAt)}}`
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
  context: string | null
  topic: string | null
  rooms: string | null
  created_at: Date
}

const NO_ROOMS: readonly string[] = []

/** @param names with a space between them */
export const roomsIn = (names: string | null): readonly string[] =>
  names === null ? NO_ROOMS : names.split(' ')

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
  context: row.context,
  topic: row.topic,
  rooms: roomsIn(row.rooms),
  createdAt: row.created_at,
})
