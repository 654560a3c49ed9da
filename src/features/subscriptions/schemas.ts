import { Type } from '@sinclair/typebox'
import { Text, Timestamp, Uuid } from '../../platform/http/schemas.ts'
import { PATTERN_FORM } from './patterns.ts'

const EventPattern = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: PATTERN_FORM,
  examples: ['order.*'],
})

const EventPatterns = Type.Array(EventPattern, {
  minItems: 1,
  maxItems: 100,
  description:
    'Which event types it gets. `*` stands for one segment, `**` for one or more; `*` alone matches every type.',
  examples: [['order.*', 'message.inbound']],
})

const WebhookDestination = Type.Object(
  {
    type: Type.Literal('webhook'),
    url: Type.String({
      maxLength: 2048,
      format: 'uri',
      pattern: '^https?://',
      description: 'Where events are posted to. Addresses that are not public need OUTBOUND_ALLOW_CIDRS.',
      examples: ['https://example.com/hooks'],
    }),
  },
  { additionalProperties: false },
)

const SigningSecret = Type.String({
  pattern: '^whsec_[A-Za-z0-9+/]{32,86}={0,2}$',
  description: 'Signs the requests (Standard Webhooks, HMAC-SHA256): `whsec_` and 24 to 64 bytes in base64.',
  examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
})

export const Subscription = Type.Object(
  {
    id: Uuid(),
    name: Type.String({ examples: ['warehouse'] }),
    eventPatterns: EventPatterns,
    destination: WebhookDestination,
    createdAt: Timestamp(),
    updatedAt: Timestamp(),
  },
  { $id: 'Subscription', description: 'Events that match the patterns go to the destination.' },
)

export const CreatedSubscription = Type.Object(
  { ...Subscription.properties, secret: SigningSecret },
  { $id: 'CreatedSubscription', description: 'The secret is shown this once.' },
)

export const NewSubscription = Type.Object(
  {
    name: Text(200, { examples: ['warehouse'] }),
    eventPatterns: EventPatterns,
    destination: WebhookDestination,
    secret: Type.Optional(SigningSecret),
  },
  { additionalProperties: false },
)

export const SubscriptionChange = Type.Partial(Type.Omit(NewSubscription, ['secret']), {
  additionalProperties: false,
  minProperties: 1,
})
