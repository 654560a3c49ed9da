import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../platform/http/auth.ts'
import { ID_CURSOR, pageOf, pageQuery, pageSize, readCursor } from '../../platform/http/pagination.ts'
import { BODY_PROBLEMS, ref, responses, Uuid } from '../../platform/http/schemas.ts'
import { CreatedSubscription, NewSubscription, Subscription, SubscriptionChange } from './schemas.ts'
import type { SubscriptionService } from './service.ts'

const tags = ['Subscriptions']
const read = { access: 'subscriptions:read' as const }
const write = { access: 'subscriptions:write' as const }
const Id = Type.Object({ id: Uuid() })

/** Who gets which events (SPEC sections 3 and 9). */
export const subscriptionRoutes =
  (subscriptions: SubscriptionService): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addSchema(Subscription)
    app.addSchema(CreatedSubscription)

    app.post(
      '/subscriptions',
      {
        config: write,
        schema: {
          tags,
          operationId: 'createSubscription',
          summary: 'Subscribe a destination to events',
          description:
            'It gets every event that is appended after this request was answered and none from before it.',
          body: NewSubscription,
          response: responses({ 201: ref(CreatedSubscription) }, [...BODY_PROBLEMS, 'invalid-destination']),
        },
      },
      async (request, reply) =>
        reply.code(201).send(await subscriptions.create(appIdOf(request), request.body)),
    )

    app.get(
      '/subscriptions',
      {
        config: read,
        schema: {
          tags,
          operationId: 'listSubscriptions',
          summary: 'List subscriptions, oldest first',
          querystring: Type.Object(pageQuery, { additionalProperties: false }),
          response: responses({ 200: pageOf(ref(Subscription)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request) => {
        const after = readCursor(request.query.after, ID_CURSOR)
        const { rows, pageInfo } = await subscriptions.list(appIdOf(request), pageSize(request.query), after)
        return { data: rows, pageInfo }
      },
    )

    app.get(
      '/subscriptions/:id',
      {
        config: read,
        schema: {
          tags,
          operationId: 'getSubscription',
          summary: 'Read a subscription',
          params: Id,
          response: responses({ 200: ref(Subscription) }, ['validation-failed', 'not-found']),
        },
      },
      async (request) => subscriptions.get(appIdOf(request), request.params.id),
    )

    app.patch(
      '/subscriptions/:id',
      {
        config: write,
        schema: {
          tags,
          operationId: 'changeSubscription',
          summary: 'Change a subscription',
          params: Id,
          body: SubscriptionChange,
          response: responses({ 200: ref(Subscription) }, [
            ...BODY_PROBLEMS,
            'not-found',
            'invalid-destination',
          ]),
        },
      },
      async (request) => subscriptions.change(appIdOf(request), request.params.id, request.body),
    )

    app.delete(
      '/subscriptions/:id',
      {
        config: write,
        schema: {
          tags,
          operationId: 'deleteSubscription',
          summary: 'Delete a subscription; what it is still owed is cancelled',
          params: Id,
          response: responses({ 204: Type.Null({ description: 'Deleted' }) }, [
            'validation-failed',
            'not-found',
          ]),
        },
      },
      async (request, reply) => {
        await subscriptions.remove(appIdOf(request), request.params.id)
        return reply.code(204).send(null)
      },
    )
  }
