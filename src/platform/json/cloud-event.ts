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

/** What a String may be: no control characters, noncharacters or halves of surrogate pairs (CloudEvents 1.0.2, "Type System"). */
export const CLOUD_EVENT_STRING = '^[^\\p{Cc}\\p{Cs}\\p{Noncharacter_Code_Point}]*$'
const isString = new RegExp(CLOUD_EVENT_STRING, 'u')
const NOT_IN_STRINGS = /[\p{Cc}\p{Noncharacter_Code_Point}]/gu

/**
 * An event in the JSON format of CloudEvents 1.0.2: as it came, when it came as a CloudEvent.
 *
 * What Heliograph itself says of it stands under names that begin with `heliograph`, which senders cannot use.
 */
export function cloudEventJson(event: CloudEventParts): string {
  const context =
    event.context === null
      ? `"specversion":"1.0","id":"${event.id}","source":"/apps/${event.appId}",` +
        `"time":"${event.createdAt.toISOString()}","datacontenttype":"application/json"`
      : event.context.slice(1, -1)
  return (
    `{${context},"type":"${event.type}","heliographid":"${event.id}","heliographposition":"${event.position}",` +
    optional('heliographexternalid', event.externalId) +
    optional('heliographoriginid', event.originEventId) +
    optional('heliographorgid', event.orgid) +
    edgeAttributes(event.edges) +
    `"data":${event.payload}}`
  )
}

/** An attribute of a text, which is left out where no CloudEvent can have it. */
const optional = (name: string, value: string | null): string =>
  value === null || !isString.test(value) ? '' : `"${name}":${JSON.stringify(value)},`

/** An attribute is a text, a number or a boolean, so what is more stands in it as JSON text. */
const edgeAttributes = ({ byType, list }: CloudEventParts['edges']): string =>
  list === '[]'
    ? ''
    : optional('heliographedges', escaped(byType)) + optional('heliographedgelist', escaped(list))

/** JSON text in which characters that no String may have stand as escape sequences. */
const escaped = (json: string): string =>
  json.replace(NOT_IN_STRINGS, (character) =>
    Array.from({ length: character.length }, (_, unit) => character.charCodeAt(unit))
      .map((code) => `\\u${code.toString(16).padStart(4, '0')}`)
      .join(''),
  )

/**
 * The attributes an event came with, equal for events that mean the same: values in their string encodings, without how
 * the data was written, which is compared by itself.
 */
export function comparableAttributes(context: string): object {
  const { datacontenttype: _data, ...attributes } = JSON.parse(context) as Record<string, unknown>
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, String(value)]))
}
