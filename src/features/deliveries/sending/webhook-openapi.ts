import { Type } from '@sinclair/typebox'
import { AnyObject, Nullable, Timestamp, Uuid } from '../../../platform/http/schemas.ts'

const CloudEvent = Type.Unsafe({ $ref: '#/components/schemas/CloudEvent' })

/** What an edge points to: as it is when the event is sent, with null for what is gone. */
const EdgeTarget = Type.Union([
  Type.Object({ platform_user_id: Type.String(), external_id: Nullable(Type.String()) }),
  Type.Object({ user_id: Type.String() }),
  Type.Object({
    file_id: Type.String(),
    name: Nullable(Type.String()),
    type: Nullable(Type.String()),
    url: Nullable(Type.String()),
  }),
  Type.Object({ target_type: Type.String(), target_id: Type.String() }),
])

const WebhookBody = Type.Object({
  event_id: Uuid(),
  event_type: Type.String({ examples: ['order.placed'] }),
  app_id: Uuid(),
  payload: AnyObject({ description: 'Exactly as it was appended.' }),
  edges: Type.Record(Type.String(), EdgeTarget, {
    description: 'By the type of an edge what it points to; of several of one type the first.',
    examples: [
      { sent_by: { platform_user_id: '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77', external_id: '+14155551234' } },
    ],
  }),
  edge_list: Type.Array(
    Type.Intersect([
      Type.Object({ edge_type: Type.String(), target_type: Type.String(), target_id: Type.String() }),
      EdgeTarget,
    ]),
    { description: 'All edges, in the order in which they were appended.' },
  ),
  created_at: Timestamp(),
})

const header = (name: string, description: string) => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string' },
})

/** What is sent to a webhook destination, as OpenAPI 3.1 `webhooks`. */
export const webhooks = {
  event: {
    post: {
      operationId: 'receiveEvent',
      tags: ['Subscriptions'],
      summary: 'An event that a subscription’s patterns match',
      description:
        'Signed per the Standard Webhooks specification; verify it with any of its libraries. An event may come more than once, always with the same `webhook-id`. The body is what the subscription asks for: this one, a CloudEvent, what its transformation makes, or several of them (`batching`).',
      parameters: [
        header(
          'webhook-id',
          'The id of the event, or one that follows from the ids of a batch: the same for every attempt.',
        ),
        header('webhook-timestamp', 'Unix time of the attempt, in seconds.'),
        header(
          'webhook-signature',
          'Signatures of `id.timestamp.body`, separated by spaces; one that fits is enough. `v1,` and an HMAC-SHA256 in base64: one for each secret of the subscription that is valid. `v1a,` and an ed25519 signature: one for each key of the app, published at `/apps/{id}/.well-known/jwks.json`.',
        ),
      ],
      requestBody: {
        required: true,
        description:
          'A subscription with batching gets `{"events": [...]}`, each of which is such a body; one with a transformation gets what that makes.',
        content: {
          'application/json': { schema: WebhookBody },
          'application/cloudevents+json': { schema: CloudEvent },
          'application/cloudevents-batch+json': { schema: Type.Array(CloudEvent) },
        },
      },
      responses: {
        '2XX': { description: 'Taken.' },
        410: { description: 'Gone for good: the subscription is disabled.' },
        429: { description: 'Too many: nothing more is sent for a while, as `Retry-After` says.' },
        default: { description: 'Anything else, a redirect too, is a failure: it is tried again later.' },
      },
    },
  },
}
