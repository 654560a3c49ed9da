/** What a CloudEvent tells of an event. Payload, edges (in both forms in which they are sent) and context are JSON text. */
export interface CloudEventParts {
  appId: string
  id: string
  position: number
  type: string
  payload: string
  edges: { byType: string; list: string }
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
  return (
    `{${context},"type":"${event.type}","sequence":"${event.position}","heliographid":"${event.id}",` +
    optional('externalid', event.externalId) +
    optional('originid', event.originEventId) +
    optional('orgid', event.orgid) +
    edgeAttributes(event.edges) +
    `"data":${event.payload}}`
  )
}

const optional = (name: string, value: string | null): string =>
  value === null ? '' : `"${name}":${JSON.stringify(value)},`

/** An attribute is a text, a number or a boolean, so what is more stands in it as JSON text. */
const edgeAttributes = ({ byType, list }: CloudEventParts['edges']): string =>
  list === '[]' ? '' : optional('edges', byType) + optional('edgelist', list)
