import { Type } from '@sinclair/typebox'
import { pageQuery } from '../../../platform/http/pagination.ts'
import {
  AnyObject,
  bodyExamples,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Nullable,
  Timestamp,
  Uuid,
} from '../../../platform/http/schemas.ts'
import { PATTERN_FORM } from '../../matching/index.ts'

const Kind = Type.Union([Type.Literal('replay'), Type.Literal('retry'), Type.Literal('discard')])

const Status = Type.Union([
  Type.Literal('running'),
  Type.Literal('paused'),
  Type.Literal('cancelled'),
  Type.Literal('completed'),
])

const EventPatterns = Type.Array(
  Type.String({ minLength: 1, maxLength: 200, pattern: PATTERN_FORM, examples: ['order.*'] }),
  { minItems: 1, maxItems: 100, description: 'Only events of types that match one of these.' },
)

export const Recovery = Type.Object(
  {
    id: Uuid(),
    kind: Kind,
    subscriptionId: Nullable(Uuid(), { description: 'null: those of all subscriptions.' }),
    criteria: AnyObject({ description: 'What it was asked to do.' }),
    status: Status,
    total: Type.Integer({ description: 'Events, of a replay, or deliveries that it looks at.' }),
    examined: Type.Integer({ description: 'Of those so far.' }),
    affected: Type.Integer({ description: 'Deliveries that were made, tried again or discarded.' }),
    createdAt: Timestamp(),
    updatedAt: Timestamp(),
    completedAt: Nullable(Timestamp(), {
      description: 'Its last delivery may still be under way then.',
    }),
  },
  {
    $id: 'Recovery',
    description: 'Work on many events or deliveries of the past, in the background.',
    examples: [
      {
        id: EXAMPLE_ID,
        kind: 'replay',
        subscriptionId: EXAMPLE_ID,
        criteria: { fromPosition: 1 },
        status: 'running',
        total: 5_000,
        examined: 1_200,
        affected: 480,
        createdAt: EXAMPLE_TIME,
        updatedAt: EXAMPLE_TIME,
        completedAt: null,
      },
    ],
  },
)

export const RecoveryQuery = Type.Object(
  { ...pageQuery, subscriptionId: Type.Optional(Uuid()), status: Type.Optional(Status) },
  { additionalProperties: false },
)

export const Replay = Type.Object(
  {
    fromPosition: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
    toPosition: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
    from: Type.Optional(Timestamp({ description: 'Events appended then or later.' })),
    to: Type.Optional(Timestamp({ description: 'Events appended before then.' })),
    eventPatterns: Type.Optional(EventPatterns),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    description: 'Which part of the log: what is appended after the request is never part of it.',
    ...bodyExamples({
      'The whole log': { fromPosition: 1 },
      'Orders of a day': {
        from: '2026-11-21T00:00:00Z',
        to: '2026-11-22T00:00:00Z',
        eventPatterns: ['order.*'],
      },
    }),
  },
)

const range = {
  subscriptionId: Type.Optional(Uuid()),
  from: Type.Optional(Timestamp({ description: 'Deliveries created then or later.' })),
  to: Type.Optional(Timestamp({ description: 'Deliveries created before then.' })),
  eventPatterns: Type.Optional(EventPatterns),
}

export const RetryMany = Type.Object(
  {
    ...range,
    status: Type.Optional(
      Type.Union([Type.Literal('dead'), Type.Literal('cancelled')], {
        description: 'Which ended deliveries are tried again; the dead ones unless given.',
      }),
    ),
  },
  { additionalProperties: false, examples: [{ subscriptionId: EXAMPLE_ID, from: '2026-11-21T00:00:00Z' }] },
)

export const DiscardMany = Type.Object(range, {
  additionalProperties: false,
  description: 'Which dead deliveries are discarded.',
  examples: [{ subscriptionId: EXAMPLE_ID, eventPatterns: ['order.*'] }],
})
