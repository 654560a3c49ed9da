import { Type, type TSchema, type TUnsafe } from '@sinclair/typebox'
import {
  bodyExamples,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Nullable,
  SigningSecret,
  Text,
  Timestamp,
  Uuid,
} from '../../platform/http/schemas.ts'
import type { DestinationSettings } from '../destinations/index.ts'
import { Batching, Concurrency, EventPattern, Ordering, PayloadFilter, RateLimit } from '../matching/index.ts'

const EventPatterns = Type.Array(EventPattern, {
  minItems: 1,
  maxItems: 100,
  description:
    'Which event types it gets. `*` stands for one segment, `**` for one or more; `*` alone matches every type.',
  examples: [['order.*', 'message.inbound']],
})

const Secret = SigningSecret({
  description:
    'Signs the requests (Standard Webhooks, HMAC-SHA256). `whsec_` and a key in base64, or any other text, whose UTF-8 bytes are the key. Best left out: then one is made that every library takes.',
})

const Transformation = Text(16_384, {
  description:
    'A JSONata expression that makes the body of an event; what it is given is the body without it. Numbers become doubles.',
  examples: ['{"text": "Order " & payload.order_id}'],
})

const RetrySchedule = Type.Array(Type.String({ pattern: '^\\d{1,9}(ms|s|m|h|d)$' }), {
  maxItems: 50,
  description:
    'Waits between the attempts (ms, s, m, h, d), each with a jitter of 10 %; after the last one a delivery is dead. Unset: DELIVERY_RETRY_SCHEDULE.',
  examples: [['5s', '1m', '1h']],
})

/** Settings of which a subscription may have none; `null` takes them away again. */
const OPTIONS = {
  filter: Nullable(PayloadFilter),
  transformation: Nullable(Transformation),
  retrySchedule: Nullable(RetrySchedule),
  rateLimit: Nullable(RateLimit),
  concurrency: Nullable(Concurrency),
  ordering: Nullable(Ordering),
  batching: Nullable(Batching),
}

const Health = Type.Object(
  {
    state: Type.Union([Type.Literal('healthy'), Type.Literal('failing'), Type.Literal('held')], {
      description:
        '`held`: after many failures in a row, or because the endpoint asked for it, nothing is sent until `heldUntil`, and then one delivery as a probe.',
    }),
    consecutiveFailures: Type.Integer({ minimum: 0, description: 'Since the last success.' }),
    failingSince: Nullable(Timestamp(), {
      description:
        'The first failure since the last success. After SUBSCRIPTION_DISABLE_AFTER it is disabled.',
    }),
    heldUntil: Nullable(Timestamp()),
  },
  { description: 'How its endpoint fares.' },
)

/** @param destination settings of a kind of destination */
export const newSubscriptionFields = <Destination extends TSchema>(destination: Destination) => ({
  name: Text(200, { examples: ['warehouse'] }),
  eventPatterns: EventPatterns,
  destination,
  secret: Type.Optional(Secret),
  ...Type.Partial(Type.Object(OPTIONS)).properties,
})

/**
 * @param form settings of any kind of destination that users may choose
 * @param shown the same, of kinds that are off too
 */
export function subscriptionSchemas({ form, shown }: Record<'form' | 'shown', TUnsafe<DestinationSettings>>) {
  const Subscription = Type.Object(
    {
      id: Uuid(),
      name: Type.String({ examples: ['warehouse'] }),
      eventPatterns: EventPatterns,
      destination: shown,
      ...OPTIONS,
      status: Type.Union([Type.Literal('enabled'), Type.Literal('disabled')], {
        description: 'What a disabled subscription is owed is kept, and delivered once it is enabled again.',
      }),
      disabledAt: Nullable(Timestamp()),
      disabledReason: Nullable(
        Type.Union([Type.Literal('manual'), Type.Literal('failing'), Type.Literal('gone')]),
        { description: '`failing`: nothing but failures for too long. `gone`: the endpoint answered 410.' },
      ),
      health: Health,
      createdAt: Timestamp(),
      updatedAt: Timestamp(),
    },
    {
      $id: 'Subscription',
      description: 'Events that match the patterns and the filter go to the destination.',
      examples: [
        {
          id: EXAMPLE_ID,
          name: 'warehouse',
          eventPatterns: ['order.*'],
          destination: { type: 'webhook', url: 'https://example.com/hooks' },
          filter: null,
          transformation: null,
          retrySchedule: null,
          rateLimit: null,
          concurrency: null,
          ordering: { key: 'payload.order_id' },
          batching: null,
          status: 'enabled',
          disabledAt: null,
          disabledReason: null,
          health: { state: 'healthy', consecutiveFailures: 0, failingSince: null, heldUntil: null },
          createdAt: EXAMPLE_TIME,
          updatedAt: EXAMPLE_TIME,
        },
      ],
    },
  )

  const CreatedSubscription = Type.Object(
    { ...Subscription.properties, secret: Secret },
    { $id: 'CreatedSubscription', description: 'The secret is shown this once.' },
  )

  const NewSubscription = Type.Object(
    {
      ...newSubscriptionFields(form),
    },
    {
      additionalProperties: false,
      ...bodyExamples({
        'All orders, to a webhook': {
          name: 'warehouse',
          eventPatterns: ['order.*'],
          destination: { type: 'webhook', url: 'https://example.com/hooks' },
        },
        'Large orders from Germany, as lines in Slack': {
          name: 'sales',
          eventPatterns: ['order.placed'],
          filter: { 'customer.country': 'DE', total: { gte: 1000 } },
          transformation: '{"text": "Order " & payload.order_id & " of " & payload.total & " euros"}',
          destination: { type: 'slack', url: 'https://hooks.slack.com/services/T000/B000/XXXX' },
        },
        'Each order in its order, ten requests a second at most': {
          name: 'ledger',
          eventPatterns: ['order.**'],
          destination: { type: 'webhook', url: 'https://example.com/hooks', format: 'cloudevents' },
          ordering: { key: 'payload.order_id', onDead: 'hold' },
          rateLimit: { requests: 10 },
          retrySchedule: ['5s', '1m', '1h'],
        },
      }),
    },
  )

  const SubscriptionChange = Type.Partial(Type.Omit(NewSubscription, ['secret']), {
    additionalProperties: false,
    minProperties: 1,
    ...bodyExamples({
      'Other events': { eventPatterns: ['order.placed', 'order.cancelled'] },
      'Two requests at once, and no filter': { concurrency: 2, filter: null },
    }),
  })

  return { Subscription, CreatedSubscription, NewSubscription, SubscriptionChange }
}

export type SubscriptionSchemas = ReturnType<typeof subscriptionSchemas>

export const SecretRotation = Type.Object(
  {
    secret: Type.Optional(Secret),
    overlapSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2_592_000,
        description: 'How long requests are signed with the old secret too; a day unless given.',
      }),
    ),
  },
  { additionalProperties: false },
)

export const RotatedSecret = Type.Object(
  {
    secret: Secret,
    oldSecretsUntil: Nullable(Timestamp(), { description: 'When the last of the older ones ends.' }),
  },
  { $id: 'RotatedSecret', description: 'The secret is shown this once.' },
)
