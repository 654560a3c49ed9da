import { Type } from '@sinclair/typebox'
import { pageQuery } from '../../platform/http/pagination.ts'
import { AnyObject, Nullable, Timestamp, Uuid } from '../../platform/http/schemas.ts'

const Status = Type.Union(
  [Type.Literal('pending'), Type.Literal('succeeded'), Type.Literal('dead'), Type.Literal('cancelled')],
  {
    description:
      '`dead`: every attempt failed. `cancelled`: its subscription was deleted first, or it was discarded.',
  },
)

const Trigger = Type.Union([Type.Literal('automatic'), Type.Literal('manual'), Type.Literal('replay')], {
  description: 'Why it was made: `manual` after a retry was asked for, `replay` for a replay’s first.',
})

export const Delivery = Type.Object(
  {
    id: Uuid(),
    eventId: Uuid(),
    subscriptionId: Uuid(),
    status: Status,
    attempts: Type.Integer({ minimum: 0, description: 'How many were made.' }),
    orderingKey: Nullable(Type.String(), {
      description: 'Deliveries of the subscription with the same key are made one after the other.',
    }),
    recoveryId: Nullable(Uuid(), { description: 'The replay or retry that it is part of.' }),
    nextAttemptAt: Nullable(Timestamp(), { description: 'null once it has ended.' }),
    createdAt: Timestamp(),
    completedAt: Nullable(Timestamp()),
  },
  { $id: 'Delivery', description: 'One event owed to one subscription.' },
)

export const Attempt = Type.Object(
  {
    id: Uuid(),
    deliveryId: Uuid(),
    eventId: Uuid(),
    subscriptionId: Uuid(),
    number: Type.Integer({ minimum: 1 }),
    trigger: Trigger,
    outcome: Type.Union([Type.Literal('succeeded'), Type.Literal('failed')]),
    startedAt: Timestamp(),
    durationMs: Type.Integer({ description: 'Milliseconds from its start to the end of the response.' }),
    responseStatus: Nullable(Type.Integer(), { description: 'null when there was no response.' }),
    responseHeaders: Nullable(AnyObject()),
    responseBody: Nullable(Type.String(), { description: 'Its beginning, up to 16 KiB.' }),
    error: Nullable(Type.String(), { description: 'Why it failed.' }),
  },
  { $id: 'Attempt', description: 'One try to make a delivery.' },
)

export const DeliveryQuery = Type.Object(
  {
    ...pageQuery,
    status: Type.Optional(Status),
    eventId: Type.Optional(Uuid()),
    subscriptionId: Type.Optional(Uuid()),
  },
  { additionalProperties: false },
)

export const AttemptQuery = Type.Object(
  {
    ...pageQuery,
    subscriptionId: Type.Optional(Uuid()),
    outcome: Type.Optional(Type.Union([Type.Literal('succeeded'), Type.Literal('failed')])),
    trigger: Type.Optional(Trigger),
    responseStatus: Type.Optional(Type.Integer({ minimum: 100, maximum: 999 })),
    'startedAt[gte]': Type.Optional(Timestamp()),
    'startedAt[lte]': Type.Optional(Timestamp()),
  },
  { additionalProperties: false },
)

const Percentile = Nullable(Type.Number(), { description: 'Milliseconds; null without attempts.' })

export const SubscriptionStatistics = Type.Object(
  {
    since: Timestamp({ description: 'Attempts from then on are counted.' }),
    attempts: Type.Integer({ description: 'The newest 10,000 at most are looked at.' }),
    succeeded: Type.Integer(),
    failed: Type.Integer(),
    successRate: Nullable(Type.Number({ minimum: 0, maximum: 1 })),
    latencyMs: Type.Object({ p50: Percentile, p95: Percentile, p99: Percentile, max: Percentile }),
    backlog: Type.Object({
      pending: Type.Integer({ description: 'Deliveries still to be made; counted up to 100,000.' }),
      oldestPendingAt: Nullable(Timestamp(), { description: 'When the oldest of them was created.' }),
      dead: Type.Integer({ description: 'Dead letters; counted up to 100,000.' }),
    }),
  },
  { $id: 'SubscriptionStatistics', description: 'How deliveries to a subscription went.' },
)

export const StatisticsQuery = Type.Object(
  {
    hours: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 720, description: 'How far to look back; 24 unless given.' }),
    ),
  },
  { additionalProperties: false },
)

export const TestDelivery = Type.Object(
  {
    eventType: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9_.]{1,200}$',
        description: 'system.subscription.test unless given.',
        examples: ['order.placed'],
      }),
    ),
    payload: Type.Optional(AnyObject({ description: 'A small one is made up unless given.' })),
  },
  { additionalProperties: false },
)

export const TestResult = Type.Object(
  {
    succeeded: Type.Boolean(),
    eventId: Uuid({ description: 'The `webhook-id`; nothing of this id is in the log.' }),
    durationMs: Attempt.properties.durationMs,
    responseStatus: Attempt.properties.responseStatus,
    responseHeaders: Attempt.properties.responseHeaders,
    responseBody: Attempt.properties.responseBody,
    error: Attempt.properties.error,
  },
  { $id: 'TestResult', description: 'What came of a test.' },
)
