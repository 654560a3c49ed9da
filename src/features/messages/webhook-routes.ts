import { Type } from '@sinclair/typebox'
import { isUtf8 } from 'node:buffer'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../../platform/time/clock.ts'
import { Problem } from '../../platform/http/problems.ts'
import { inMediaTypes, responses, Uuid } from '../../platform/http/schemas.ts'
import type { ConnectionService } from './connections.ts'
import type { MessageReceiver } from './receiving.ts'

const tags = ['Messages']
const config = { access: 'public' as const }
const security: never[] = []
const Params = Type.Object({ id: Uuid() })
/** What Meta asks; other platforms do not ask. */
const ChallengeQuery = Type.Object({
  'hub.mode': Type.Optional(Type.String()),
  'hub.verify_token': Type.Optional(Type.String()),
  'hub.challenge': Type.Optional(Type.String()),
})
const Query = Type.Object({
  eventId: Type.Optional(Type.String({ description: 'Given back by Twilio: the event of the message.' })),
  bodySHA256: Type.Optional(
    Type.String({ description: 'Added by Twilio where the body is no form: its hash, in hexadecimal.' }),
  ),
})

/**
 * Where platforms send what happens there. They have no key of ours: each request is signed with what the
 * connection's credentials hold, over its very bytes, whatever their media type.
 */
export const webhookRoutes =
  (
    connections: ConnectionService,
    receiver: MessageReceiver,
    clock: Clock,
    publicUrl: string | undefined,
  ): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (_request, bytes, done) => {
      if (isUtf8(bytes)) done(null, bytes.toString('utf8'))
      else done(new Problem('validation-failed', 'The body is not UTF-8.'))
    })

    app.get(
      '/platform-connections/:id/webhook',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'verifyPlatformWebhook',
          summary: 'Answer a platform that asks whether this is the right address',
          description:
            'Not for you: Meta calls it when you enter `webhookUrl` in its dashboard, and gets its challenge back if it knows the verify token of the connection.',
          params: Params,
          querystring: ChallengeQuery,
          response: responses(
            {
              200: inMediaTypes(
                { 'text/plain': Type.String({ examples: ['1158201444'] }) },
                { description: 'Its challenge.' },
              ),
            },
            ['validation-failed', 'invalid-signature', 'not-found', 'conflict'],
          ),
        },
      },
      async (request, reply) => {
        const { driver, account } = await connections.openAny(request.params.id)
        const challenge = driver.challenge?.(request.query, account)
        if (challenge === undefined) {
          throw new Problem('invalid-signature', 'This is not the verify token of the connection.')
        }
        return plain(reply, 'text/plain', challenge)
      },
    )

    app.post(
      '/platform-connections/:id/webhook',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'receivePlatformWebhook',
          summary: 'Take what a platform sends: messages and what became of messages',
          description:
            'Not for you: the platform calls it, and signs what it sends with the credentials of the connection. Messages become `message.inbound`, what became of sent ones `message.delivered`, `message.read` or `message.failed`.',
          params: Params,
          querystring: Query,
          response: responses(
            {
              200: inMediaTypes(
                {
                  'text/plain': Type.String({ examples: [''] }),
                  'text/xml': Type.String({ examples: ['<Response></Response>'] }),
                  'application/json': Type.Object({ options: Type.Array(Type.Object({})) }),
                },
                { description: 'Taken.' },
              ),
            },
            [
              'validation-failed',
              'conflict',
              'payload-too-large',
              'unsupported-media-type',
              'invalid-signature',
              'not-found',
              'overloaded',
            ],
          ),
        },
      },
      async (request, reply) => {
        const connection = await connections.openAny(request.params.id)
        const answer = await receiver.receive(connection, {
          url: addressOf(request, publicUrl),
          headers: request.headers,
          text: (request.body as string | undefined) ?? '',
          now: clock.now(),
        })
        return plain(reply, answer?.contentType ?? 'text/plain', answer?.body ?? '')
      },
    )
  }

/** Some platforms sign the address they call: that which PUBLIC_URL tells, or else the one of the request. */
const addressOf = (request: FastifyRequest, publicUrl: string | undefined): string =>
  (publicUrl ?? `${request.protocol}://${request.host}`) + request.url

const plain = (reply: FastifyReply, mediaType: string, body: string): FastifyReply =>
  reply.type(`${mediaType}; charset=utf-8`).send(body)
