import { Type } from '@sinclair/typebox'
import { pageQuery } from '../../platform/http/pagination.ts'
import {
  AnyObject,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Nullable,
  Timestamp,
  Uuid,
} from '../../platform/http/schemas.ts'

const Status = Type.Union(
  [Type.Literal('pending'), Type.Literal('succeeded'), Type.Literal('dead'), Type.Literal('cancelled')],
  {
    description:
      '`dead`: every attempt failed. `cancelled`: its subscription was deleted first, its event is no longer kept, or it was discarded.',
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
  {
    $id: 'Delivery',
    description: 'One event owed to one subscription.',
    examples: [
      {
        id: EXAMPLE_ID,
        eventId: EXAMPLE_ID,
        subscriptionId: EXAMPLE_ID,
        status: 'succeeded',
        attempts: 1,
        orderingKey: null,
        recoveryId: null,
        nextAttemptAt: null,
        createdAt: EXAMPLE_TIME,
        completedAt: EXAMPLE_TIME,
      },
    ],
  },
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
  {
    $id: 'Attempt',
    description: 'One try to make a delivery.',
    examples: [
      {
        id: EXAMPLE_ID,
        deliveryId: EXAMPLE_ID,
        eventId: EXAMPLE_ID,
        subscriptionId: EXAMPLE_ID,
        number: 1,
        trigger: 'automatic',
        outcome: 'failed',
        startedAt: EXAMPLE_TIME,
        durationMs: 38,
        responseStatus: 503,
        responseHeaders: { 'content-type': 'text/plain', 'retry-after': '60' },
        responseBody: 'down for maintenance',
        error: 'The endpoint answered 503.',
      },
    ],
  },
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
  {
    $id: 'SubscriptionStatistics',
    description: 'How deliveries to a subscription went.',
    examples: [
      {
        since: EXAMPLE_TIME,
        attempts: 120,
        succeeded: 117,
        failed: 3,
        successRate: 0.975,
        latencyMs: { p50: 38, p95: 112, p99: 340, max: 1_204 },
        backlog: { pending: 2, oldestPendingAt: EXAMPLE_TIME, dead: 0 },
      },
    ],
  },
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
