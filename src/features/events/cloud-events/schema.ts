import { Type, type Static } from '@sinclair/typebox'
import { AnyObject, EXAMPLE_TIME, Text } from '../../../platform/http/schemas.ts'
import { CLOUD_EVENT_STRING } from '../../../platform/json/cloud-event.ts'
import { TypeName } from '../schemas.ts'

/** Media types of the JSON event format of CloudEvents 1.0, and of its batch form. */
export const CLOUD_EVENT = 'application/cloudevents+json'
export const CLOUD_EVENT_BATCH = 'application/cloudevents-batch+json'

/** An attribute may take as much as an event that every receiver should take (CloudEvents 1.0.2, "Size Limits"). */
const MAX_STRING = 65_536
const MAX_URI = 2_048

const AttributeString = (minLength: number, options: object = {}) =>
  Type.String({ minLength, maxLength: MAX_STRING, pattern: CLOUD_EVENT_STRING, ...options })

const Attribute = Type.Union([
  AttributeString(0),
  Type.Boolean(),
  Type.Integer({ minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }),
])

/** Begins the names of the attributes that Heliograph gives a meaning; all other names are their senders'. */
export const OWN_PREFIX = 'heliograph'

/** What Heliograph itself says of an event, beside what its sender said. */
const OWN = {
  heliographid: Type.Optional(
    Type.String({ description: 'Answered only, passed over in what is sent: the id of the event.' }),
  ),
  heliographposition: Type.Optional(
    Type.String({ description: 'Answered only, passed over in what is sent: its place in the app’s log.' }),
  ),
  heliographexternalid: Type.Optional(Text(200, { description: '`externalId` of `POST /events`.' })),
  heliographoriginid: Type.Optional(
    Type.String({ format: 'uuid', description: '`originEventId` of `POST /events`.' }),
  ),
  heliographorgid: Type.Optional(Text(200, { description: '`orgid` of `POST /events`.' })),
  heliographedges: Type.Optional(
    Type.String({
      description:
        'The edges as JSON text: as in `POST /events`. In answers and deliveries the object by edge type of a webhook’s body.',
      maxLength: 50_000,
    }),
  ),
  heliographedgelist: Type.Optional(
    Type.String({
      description:
        'All edges as JSON text, as in the `edge_list` of a webhook’s body. Where it is there it counts, not `heliographedges`.',
      maxLength: 50_000,
    }),
  ),
}

export const OWN_NAMES: ReadonlySet<string> = new Set(Object.keys(OWN))

/**
 * An event in the JSON format of CloudEvents 1.0.2. Names of attributes are checked by `checkNames`, which can say what
 * is wrong with them.
 */
export const CloudEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: AttributeString(1, { description: 'With `source` it names the event.' }),
    source: Type.String({
      minLength: 1,
      maxLength: MAX_URI,
      format: 'uri-reference',
      examples: ['/shop'],
    }),
    type: TypeName,
    time: Type.Optional(Type.String({ format: 'date-time', pattern: '^\\S*$' })),
    subject: Type.Optional(AttributeString(1)),
    datacontenttype: Type.Optional(
      Type.String({
        maxLength: 1_000,
        // `*/json` or `*/*+json` (JSON format, 3.1.1): the data is to be JSON.
        pattern: "^[\\w!#$&^.+*'`|~%-]+/([\\w!#$&^.+*'`|~%-]+\\+)?[jJ][sS][oO][nN][ \\t]*(;[^\\p{Cc}]*)?$",
        examples: ['application/json'],
      }),
    ),
    dataschema: Type.Optional(Type.String({ maxLength: MAX_URI, format: 'uri' })),
    ...OWN,
    data: Type.Optional(
      AnyObject({ description: 'The payload: any JSON object, or nothing for an empty one.' }),
    ),
    data_base64: Type.Optional(
      Type.String({
        contentEncoding: 'base64',
        description: 'Instead of `data`: the bytes of a JSON object.',
      }),
    ),
  },
  {
    $id: 'CloudEvent',
    additionalProperties: Attribute,
    description:
      'An event in the JSON format of CloudEvents 1.0. Attributes with other names, of lower-case letters and digits, are kept and given back.',
    examples: [
      {
        specversion: '1.0',
        id: 'A-1001',
        source: '/shop',
        type: 'order.placed',
        time: EXAMPLE_TIME,
        datacontenttype: 'application/json',
        data: { order_id: 'A-1001', total: 42.5 },
      },
    ],
  },
)

export type CloudEventBody = Static<typeof CloudEvent>
