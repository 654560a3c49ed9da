import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../platform/http/auth.ts'
import { ref, responses } from '../../platform/http/schemas.ts'
import {
  answered,
  APPEND_PROBLEMS,
  Event,
  EVENT_SCHEMAS,
  IdempotencyHeaders,
  sendAppended,
  type EventReader,
} from '../events/index.ts'
import { NewMessage } from './schemas.ts'
import type { MessageSender } from './sending.ts'

/** Sending messages through platform connections (SPEC section 2). */
export const messageRoutes =
  (sender: MessageSender, events: EventReader): FastifyPluginAsyncTypebox =>
  async (app) => {
    for (const schema of EVENT_SCHEMAS) app.addSchema(schema)

    app.post(
      '/messages',
      {
        config: { access: 'messages:write' },
        schema: {
          tags: ['Messages'],
          operationId: 'sendMessage',
          summary: 'Send a message',
          description:
            'Write to somebody on a platform: by their id there, or as a platform user who has written before. Appends `message.outbound`. A worker sends it and tries again as with every delivery; what the platform reports becomes its children. Its `status` tells whether the platform took it.',
          headers: IdempotencyHeaders,
          body: NewMessage,
          response: responses(
            {
              200: answered('A repeat: the message that is there already.', ref(Event)),
              201: answered('Taken; it is sent from now on.', ref(Event)),
            },
            [...APPEND_PROBLEMS, 'not-found', 'conflict'],
          ),
        },
      },
      async (request, reply) => {
        const key = request.headers['idempotency-key']
        return sendAppended(request, reply, events, await sender.send(appIdOf(request), request.body, key))
      },
    )
  }
