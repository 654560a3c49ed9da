import { Type, type Static } from '@sinclair/typebox'
import { AnyObject, Text } from '../../platform/http/schemas.ts'
import { Problem } from '../../platform/http/problems.ts'
import { compileWhenUsed } from '../../platform/json-schema/json-schema.ts'
import { memberSlice, type Slice } from '../../platform/json-slices.ts'
import { sha256 } from '../../platform/secrets.ts'
import type { Edge, NewEvent } from './append/prepare.ts'
import { toNewEvent, type Limits } from './request-body.ts'
import { Edges, TypeName } from './schemas.ts'

/** Media types of the JSON event format of CloudEvents 1.0, and of its batch form. */
export const CLOUD_EVENT = 'application/cloudevents+json'
export const CLOUD_EVENT_BATCH = 'application/cloudevents-batch+json'

const Attribute = Type.Union([
  Type.String({ maxLength: 2048 }),
  Type.Boolean(),
  Type.Integer({ minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }),
])

export const CloudEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Type.String({ minLength: 1, maxLength: 500, description: 'With `source` it names the event.' }),
    source: Type.String({ minLength: 1, maxLength: 2048, format: 'uri-reference', examples: ['/shop'] }),
    type: TypeName,
    time: Type.Optional(Type.String({ format: 'date-time' })),
    subject: Type.Optional(Type.String({ minLength: 1, maxLength: 2048 })),
    datacontenttype: Type.Optional(
      Type.String({ pattern: '^application/([\\w.-]+\\+)?json(;.*)?$', examples: ['application/json'] }),
    ),
    dataschema: Type.Optional(Type.String({ maxLength: 2048, format: 'uri' })),
    sequence: Type.Optional(Type.String({ description: 'Answered only: the position in the app’s log.' })),
    heliographid: Type.Optional(Type.String({ description: 'Answered only: the id of the event.' })),
    externalid: Type.Optional(Text(200)),
    originid: Type.Optional(Type.String({ format: 'uuid' })),
    orgid: Type.Optional(Text(200)),
    edges: Type.Optional(
      Type.String({
        description:
          'The edges as JSON text: as in `POST /events`. In answers and deliveries the object by edge type of a webhook’s body.',
        maxLength: 50_000,
      }),
    ),
    edgelist: Type.Optional(
      Type.String({
        description:
          'All edges as JSON text, as in the `edge_list` of a webhook’s body. Where it is there it counts, not `edges`.',
        maxLength: 50_000,
      }),
    ),
    data: Type.Optional(AnyObject()),
  },
  {
    $id: 'CloudEvent',
    additionalProperties: Attribute,
    propertyNames: { pattern: '^(?!data_base64$)([a-z0-9]{1,100})$' },
    description: 'An event in the JSON format of CloudEvents 1.0. Other attributes are kept and given back.',
  },
)

type CloudEventBody = Static<typeof CloudEvent>

/** What has a place of its own; the other attributes are kept as they came. */
const OWN = new Set([
  'type',
  'data',
  'sequence',
  'heliographid',
  'externalid',
  'originid',
  'orgid',
  'edges',
  'edgelist',
])

/** Leaves out the attributes that are null: the JSON format says that they count as not there. */
export const withoutNulls = (body: unknown): unknown =>
  typeof body === 'object' && body !== null && !Array.isArray(body)
    ? Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
    : body

/** The event of a body in the JSON format. Appending the same `source` and `id` again returns the first event. */
export const readCloudEvent = (text: string, body: CloudEventBody, limits: Limits): NewEvent =>
  fromCloudEvent(text, 0, body, '', limits)

/** The events of a body in the batch form. */
export const readCloudEvents = (
  text: string,
  bodies: readonly CloudEventBody[],
  slices: readonly Slice[],
  limits: Limits,
): NewEvent[] =>
  slices.map(([at], index) => fromCloudEvent(text, at, bodies[index] as CloudEventBody, `/${index}`, limits))

function fromCloudEvent(
  text: string,
  at: number,
  body: CloudEventBody,
  pointer: string,
  limits: Limits,
): NewEvent {
  const { type, data, externalid, originid, orgid, source, id } = body
  const attributes = Object.entries(body).filter(([name]) => !OWN.has(name))
  const edges = edgesOf(body, pointer)
  const event = {
    type,
    payload: data ?? {},
    ...(edges && { edges }),
    ...(originid !== undefined && { originEventId: originid }),
    ...(externalid !== undefined && { externalId: externalid }),
    ...(orgid !== undefined && { orgid }),
  }
  return {
    ...toNewEvent(
      text,
      data === undefined ? undefined : memberSlice(text, 'data', at),
      event,
      `${pointer}/data`,
      limits,
    ),
    pointers: { payload: `${pointer}/data`, originEventId: `${pointer}/originid` },
    context: JSON.stringify(Object.fromEntries(attributes)),
    ownKey: { kind: 'cloudevent', value: sha256(JSON.stringify([source, id])).toString('hex') },
  }
}

const checkEdges = compileWhenUsed(Edges)

function edgesOf({ edges, edgelist }: CloudEventBody, pointer: string): Edge[] | undefined {
  if (edgelist !== undefined) return readEdges(edgelist, `${pointer}/edgelist`, fromSnakeCase)
  return edges === undefined ? undefined : readEdges(edges, `${pointer}/edges`)
}

/** An item of the list that is sent, without what it tells of the entity. */
const fromSnakeCase = (item: unknown): unknown => {
  const {
    edge_type: type,
    target_type: targetType,
    target_id: targetId,
  } = Object(item) as Record<string, unknown>
  return { type, targetType, targetId }
}

function readEdges(text: string, pointer: string, toEdge = (item: unknown): unknown => item): Edge[] {
  const refuse = (detail: string): Problem =>
    new Problem('validation-failed', 'The edges cannot be read. Nothing was stored.', [{ pointer, detail }])
  let edges: unknown
  try {
    edges = JSON.parse(text)
  } catch {
    throw refuse('must be JSON text')
  }
  const read = Array.isArray(edges) ? edges.map(toEdge) : edges
  if (checkEdges(read).length > 0)
    throw refuse('must be a list of at most 50 edges: type, targetType, targetId')
  return read as Edge[]
}
