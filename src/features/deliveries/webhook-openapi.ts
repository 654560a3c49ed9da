import { Type } from '@sinclair/typebox'
import { AnyObject, Timestamp, Uuid } from '../../platform/http/schemas.ts'

const WebhookBody = Type.Object({
  event_id: Uuid(),
  event_type: Type.String({ examples: ['order.placed'] }),
  app_id: Uuid(),
  payload: AnyObject({ description: 'Exactly as it was appended.' }),
  edges: Type.Array(
    Type.Object({ type: Type.String(), target_type: Type.String(), target_id: Type.String() }),
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
      summary: 'An event that a subscription’s patterns match',
      description:
        'Signed per the Standard Webhooks specification; verify it with any of its libraries. An event may come more than once, always with the same `webhook-id`.',
      parameters: [
        header('webhook-id', 'The id of the event: the same for every attempt.'),
        header('webhook-timestamp', 'Unix time of the attempt, in seconds.'),
        header('webhook-signature', '`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64.'),
      ],
      requestBody: { required: true, content: { 'application/json': { schema: WebhookBody } } },
      responses: {
        '2XX': { description: 'Taken.' },
        default: { description: 'Anything else, a redirect too, is a failure: it is tried again later.' },
      },
    },
  },
}
