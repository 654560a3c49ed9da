/** What a CloudEvent tells of an event. Payload, edges and context are JSON text. */
export interface CloudEventParts {
  appId: string
  id: string
  position: number
  type: string
  payload: string
  edges: string
  originEventId: string | null
  externalId: string | null
  orgid: string | null
  /** The attributes it came with, when it came as a CloudEvent. */
  context: string | null
  createdAt: Date
}

/** An event in the JSON format of CloudEvents 1.0: as it came, when it came as a CloudEvent. */
export function cloudEventJson(event: CloudEventParts): string {
  const context =
    event.context === null
      ? `"specversion":"1.0","id":"${event.id}","source":"/apps/${event.appId}",` +
        `"time":"${event.createdAt.toISOString()}","datacontenttype":"application/json"`
      : event.context.slice(1, -1)
  const optional = (name: string, value: string | null): string =>
    value === null ? '' : `"${name}":${JSON.stringify(value)},`
  return (
    `{${context},"type":"${event.type}","sequence":"${event.position}","heliographid":"${event.id}",` +
    optional('externalid', event.externalId) +
    optional('originid', event.originEventId) +
    optional('orgid', event.orgid) +
    optional('edges', event.edges === '[]' ? null : event.edges) +
    `"data":${event.payload}}`
  )
}
