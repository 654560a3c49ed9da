import { Type } from '@sinclair/typebox'
import { PATTERN_FORM } from '../matching/index.ts'
import { File, PlatformUser, User } from '../entities/index.ts'
import {
  AnyObject,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Nullable,
  ref,
  Text,
  Timestamp,
  Uuid,
} from '../../platform/http/schemas.ts'
import { pageQuery } from '../../platform/http/pagination.ts'

export const MAX_BATCH_EVENTS = 1000
export const MAX_TYPE_LENGTH = 200

export const TypeName = Type.String({
  minLength: 1,
  maxLength: MAX_TYPE_LENGTH,
  pattern: '^[a-z0-9_.]+$',
  description: 'Lower-case letters, digits, `_` and `.`.',
  examples: ['order.placed'],
})

const Payload = AnyObject({
  description: 'Any JSON object. It is stored and passed on exactly as it was sent.',
  examples: [{ order_id: 'A-1001', total: 42.5 }],
})

const edge = {
  type: Text(100, { examples: ['sent_by'] }),
  targetType: Text(100, { examples: ['platform_user'] }),
  targetId: Text(200, { examples: ['019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'] }),
}

const Edge = Type.Object(edge, {
  additionalProperties: false,
  description: 'A typed link from an event to an entity.',
})

const EdgeWithEntity = Type.Object(
  {
    ...edge,
    entity: Type.Optional(
      Nullable(Type.Union([ref(User), ref(PlatformUser), ref(File)]), {
        description: 'With `include=entities`: what it points to; null when Heliograph has no such entity.',
      }),
    ),
  },
  { description: 'A typed link from an event to an entity.' },
)

export const Edges = Type.Array(Edge, { maxItems: 50 })

export const NewEvent = Type.Object(
  {
    type: TypeName,
    payload: Payload,
    edges: Type.Optional(Edges),
    originEventId: Type.Optional(Uuid({ description: 'The event that this one is a child of.' })),
    externalId: Type.Optional(
      Text(200, {
        description: 'Your own id. Appending it again returns the first event.',
        examples: ['A-1001'],
      }),
    ),
    orgid: Type.Optional(
      Text(200, { description: 'The organisation inside the app that the event concerns.' }),
    ),
  },
  {
    additionalProperties: false,
    examples: [
      {
        type: 'order.placed',
        payload: { order_id: 'A-1001', total: 42.5 },
        edges: [{ type: 'placed_by', targetType: 'user', targetId: EXAMPLE_ID }],
        externalId: 'A-1001',
      },
    ],
  },
)

export const NewEventBatch = Type.Object(
  { events: Type.Array(NewEvent, { minItems: 1, maxItems: MAX_BATCH_EVENTS }) },
  {
    additionalProperties: false,
    description: 'Stored as a whole or not at all.',
    examples: [
      {
        events: [
          { type: 'order.placed', payload: { order_id: 'A-1002', total: 17 } },
          { type: 'order.paid', payload: { order_id: 'A-1002', by: 'card' } },
        ],
      },
    ],
  },
)

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Text(200, {
      description:
        'Repeating a request with its key returns the first answer and stores nothing. It never expires.',
      examples: ['5c1f2f6e-order-A-1001'],
    }),
  ),
})

const EventStatus = Type.Union(
  [Type.Literal('pending'), Type.Literal('processing'), Type.Literal('completed'), Type.Literal('failed')],
  { description: 'Where the event’s deliveries stand; one that nobody is owed is completed at once.' },
)

export const Event = Type.Object(
  {
    id: Uuid(),
    position: Type.Integer({
      minimum: 1,
      description: 'Its place in the app’s log: 1, 2, 3 … without gaps.',
      examples: [41],
    }),
    appId: Uuid(),
    eventTypeId: Uuid(),
    type: TypeName,
    status: EventStatus,
    processedAt: Nullable(Timestamp()),
    payload: Payload,
    edges: Type.Array(EdgeWithEntity),
    originEventId: Nullable(Uuid()),
    externalId: Nullable(Type.String()),
    orgid: Nullable(Type.String()),
    schemaVersion: Nullable(Type.Integer(), {
      description: 'The version of the type’s schema it was checked against.',
    }),
    schemaValid: Nullable(Type.Boolean(), {
      description: 'Whether it matched; null when the type had no schema.',
    }),
    createdAt: Timestamp(),
  },
  {
    $id: 'Event',
    description: 'An immutable fact in the app’s log.',
    examples: [
      {
        id: EXAMPLE_ID,
        position: 41,
        appId: EXAMPLE_ID,
        eventTypeId: EXAMPLE_ID,
        type: 'order.placed',
        status: 'completed',
        processedAt: EXAMPLE_TIME,
        payload: { order_id: 'A-1001', total: 42.5 },
        edges: [{ type: 'placed_by', targetType: 'user', targetId: EXAMPLE_ID }],
        originEventId: null,
        externalId: 'A-1001',
        orgid: null,
        schemaVersion: null,
        schemaValid: null,
        createdAt: EXAMPLE_TIME,
      },
    ],
  },
)

const PatternList = Type.String({
  maxLength: 2000,
  pattern: `${PATTERN_FORM.slice(0, -1)}(?:,${PATTERN_FORM.slice(1, -1)})*$`,
  description: 'Only types that match one of these patterns, separated by commas.',
  examples: ['order.*,message.inbound'],
})

const Include = Type.Optional(
  Type.Literal('entities', { description: 'Give each edge with the entity that it points to.' }),
)

export const EventQuery = Type.Object(
  {
    ...pageQuery,
    order: Type.Optional(
      Type.Union([Type.Literal('asc'), Type.Literal('desc')], {
        description: 'Oldest or newest first; `desc` unless told.',
      }),
    ),
    type: Type.Optional(
      Type.Array(TypeName, { maxItems: 50, description: 'Only this type; may be repeated.' }),
    ),
    types: Type.Optional(PatternList),
    typePrefix: Type.Optional(Type.String({ maxLength: MAX_TYPE_LENGTH })),
    typeContains: Type.Optional(Type.String({ maxLength: MAX_TYPE_LENGTH })),
    status: Type.Optional(EventStatus),
    createdAtGte: Type.Optional(Timestamp({ description: 'Only from this time on.' })),
    createdAtLte: Type.Optional(Timestamp({ description: 'Only up to this time.' })),
    edge: Type.Optional(
      Text(500, {
        pattern: '^[^:\\u0000\\ud800-\\udfff]+:[^:\\u0000\\ud800-\\udfff]+:[^\\u0000\\ud800-\\udfff]+$',
        description:
          'Only with this edge: `type:targetType:targetId`, where the type may be `*`. A user stands for everybody merged into it, and for their platform users.',
        examples: ['sent_by:platform_user:019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'],
      }),
    ),
    originEventId: Type.Optional(Uuid({ description: 'Only children of this event.' })),
    payload: Type.Optional(
      Type.String({
        maxLength: 4000,
        description: 'Only payloads that contain this JSON object, as JSON text.',
        examples: ['{"order_id":"A-1001"}'],
      }),
    ),
    include: Include,
  },
  { additionalProperties: false },
)

/** Of lists that a condition belongs to already. */
export const ChildrenQuery = Type.Object(
  { ...pageQuery, order: EventQuery.properties.order, include: Include },
  { additionalProperties: false },
)

export const IncludeQuery = Type.Object({ include: Include }, { additionalProperties: false })

export const StatusReport = Type.Object(
  {
    status: Type.String({
      pattern: '^[a-z0-9_]{1,50}$',
      description: 'Of a message `delivered`, `read` or `failed`; of another event whatever you name it.',
      examples: ['delivered'],
    }),
  },
  {
    additionalProperties: true,
    description: 'What became of an event. All of it becomes the payload of the child.',
    examples: [{ status: 'shipped', carrier: 'DHL' }],
  },
)

export const StreamQuery = Type.Object(
  {
    after: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          'Begin after this position; 0 is the beginning of the log. Left out: from now on. `Last-Event-ID` goes first.',
      }),
    ),
    types: Type.Optional(PatternList),
  },
  { additionalProperties: false },
)

const JsonSchemaDocument = AnyObject({
  description:
    'JSON Schema: draft 2020-12, or 2019-09 or draft-07 where `$schema` says so. Patterns are RE2 (no look-around, no back-references).',
  examples: [{ type: 'object', required: ['order_id'], properties: { order_id: { type: 'string' } } }],
})

const TOPIC = {
  description:
    'What live messages of its events are about: a name with places such as `{payload.order_id}`. The type, unless given or when a place cannot be filled.',
  examples: ['orders/shipped'],
}

const ROOMS = {
  maxItems: 8,
  description:
    'Who observes its events: names of rooms with places such as `{payload.order_id}`. A room whose place cannot be filled is left out.',
  examples: [['orders', 'orders/{payload.order_id}']],
}

const ORDER_SHIPPED = {
  name: 'order.shipped',
  description: 'An order has left the warehouse.',
  jsonSchema: { type: 'object', required: ['order_id'], properties: { order_id: { type: 'string' } } },
  enforceValidation: true,
  rooms: ['orders/{payload.order_id}'],
}

/** Only so much of a template is looked at here: `parseTemplate` has its form. */
const Template = Text(500)

export const EventType = Type.Object(
  {
    id: Uuid(),
    name: TypeName,
    description: Nullable(Type.String()),
    jsonSchema: Nullable(JsonSchemaDocument),
    schemaVersion: Type.Integer({
      description: 'Goes up with every change of the schema; 0 when there never was one.',
    }),
    schemaWarnings: Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }), {
      description:
        'What in the schema may mean something else than it looks like, with JSON pointers into it.',
    }),
    enforceValidation: Type.Boolean({
      description: 'Whether a payload that does not match is refused, rather than flagged.',
    }),
    isGlobal: Type.Boolean({ description: 'Built in; every app has it and none can change it.' }),
    domain: Nullable(Type.String()),
    topic: Nullable(Type.String(), TOPIC),
    rooms: Type.Array(Type.String(), ROOMS),
    createdAt: Nullable(Timestamp(), { description: 'null for built-in types.' }),
    updatedAt: Nullable(Timestamp()),
  },
  {
    $id: 'EventType',
    description: 'A named kind of event with an optional JSON Schema.',
    examples: [
      {
        id: EXAMPLE_ID,
        ...ORDER_SHIPPED,
        schemaVersion: 1,
        schemaWarnings: [],
        isGlobal: false,
        domain: null,
        topic: 'orders/shipped',
        createdAt: EXAMPLE_TIME,
        updatedAt: EXAMPLE_TIME,
      },
    ],
  },
)

export const NewEventType = Type.Object(
  {
    name: TypeName,
    description: Type.Optional(Nullable(Text(2000))),
    jsonSchema: Type.Optional(Nullable(JsonSchemaDocument)),
    enforceValidation: Type.Optional(Type.Boolean()),
    domain: Type.Optional(Nullable(Text(200))),
    topic: Type.Optional(Nullable(Template, TOPIC)),
    rooms: Type.Optional(Type.Array(Template, ROOMS)),
  },
  { additionalProperties: false, examples: [ORDER_SHIPPED] },
)

export const EventTypeChange = Type.Partial(Type.Omit(NewEventType, ['name']), {
  additionalProperties: false,
  minProperties: 1,
  examples: [{ description: 'An order is on its way.', enforceValidation: false }],
})
