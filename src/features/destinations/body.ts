import { cloudEventJson } from '../../platform/json/cloud-event.ts'
import type { OwedEvent } from './destination.ts'

/** Says to receivers who sends. */
export const USER_AGENT = 'Heliograph (+https://www.standardwebhooks.com)'

/** What the body of a webhook tells of an event. */
export type BodyEvent = Pick<
  OwedEvent,
  'event_id' | 'type' | 'app_id' | 'payload' | 'edges' | 'event_created_at'
>

/** The body of SPEC section 3. The payload stands in it exactly as it was appended. */
export function eventBody(event: BodyEvent): string {
  return (
    `{"event_id":"${event.event_id}","event_type":"${event.type}","app_id":"${event.app_id}",` +
    `"payload":${event.payload},"edges":${event.edges.byType},"edge_list":${event.edges.list},` +
    `"created_at":"${event.event_created_at.toISOString()}"}`
  )
}

/** @param payload in place of the event's own */
export const cloudEventBody = (event: OwedEvent, payload = event.payload): string =>
  cloudEventJson({
    appId: event.app_id,
    id: event.event_id,
    position: event.position,
    type: event.type,
    payload,
    edges: event.edges,
    originEventId: event.origin_event_id,
    externalId: event.external_id,
    orgid: event.orgid,
    context: event.context,
    createdAt: event.event_created_at,
  })
