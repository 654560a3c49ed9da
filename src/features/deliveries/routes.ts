import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../platform/http/auth.ts'
import { ID_CURSOR, pageOf, pageQuery, pageSize, readCursor } from '../../platform/http/pagination.ts'
import { ref, responses, Uuid } from '../../platform/http/schemas.ts'
import type { EventReader } from '../events/index.ts'
import type { DeliveryControl } from './control.ts'
import type { DeliveryReader } from './reading/reads.ts'
import { Attempt, AttemptQuery, Delivery, DeliveryQuery } from './schemas.ts'

const tags = ['Deliveries']
const config = { access: 'deliveries:read' as const }
const write = { access: 'deliveries:write' as const }
const Id = Type.Object({ id: Uuid() })

/** What became of each event that was owed (SPEC section 3). */
export const deliveryRoutes =
  (deliveries: DeliveryReader, control: DeliveryControl, events: EventReader): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addSchema(Delivery)
    app.addSchema(Attempt)

    app.get(
      '/deliveries',
      {
        config,
        schema: {
          tags,
          operationId: 'listDeliveries',
          summary: 'List deliveries, newest first',
          description:
            'Find what did not arrive: `status=dead` has the dead letters, `status=pending` what is still owed.',
          querystring: DeliveryQuery,
          response: responses({ 200: pageOf(ref(Delivery)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request) => {
        const after = readCursor(request.query.after, ID_CURSOR)
        const page = await deliveries.list(appIdOf(request), request.query, pageSize(request.query), after)
        return { data: page.rows, pageInfo: page.pageInfo }
      },
    )

    app.get(
      '/events/:id/deliveries',
      {
        config,
        schema: {
          tags,
          operationId: 'listEventDeliveries',
          summary: 'List the deliveries of an event, newest first',
          description: 'See who was told of one event, who is still owed it and who never got it.',
          params: Id,
          querystring: Type.Object(pageQuery, { additionalProperties: false }),
          response: responses({ 200: pageOf(ref(Delivery)) }, [
            'validation-failed',
            'not-found',
            'invalid-cursor',
          ]),
        },
      },
      async (request) => {
        const after = readCursor(request.query.after, ID_CURSOR)
        const { id } = await events.get(appIdOf(request), request.params.id)
        const page = await deliveries.list(appIdOf(request), { eventId: id }, pageSize(request.query), after)
        return { data: page.rows, pageInfo: page.pageInfo }
      },
    )

    app.get(
      '/deliveries/:id',
      {
        config,
        schema: {
          tags,
          operationId: 'getDelivery',
          summary: 'Read a delivery',
          description: 'See where one delivery stands, how many attempts it took and when the next one is.',
          params: Id,
          response: responses({ 200: ref(Delivery) }, ['validation-failed', 'not-found']),
        },
      },
      async (request) => deliveries.get(appIdOf(request), request.params.id),
    )

    app.get(
      '/deliveries/:id/attempts',
      {
        config,
        schema: {
          tags,
          operationId: 'listAttempts',
          summary: 'List the attempts of a delivery, oldest first',
          description:
            'See why a delivery failed: when each attempt was made, how long it took and what the endpoint answered.',
          params: Id,
          response: responses({ 200: Type.Object({ data: Type.Array(ref(Attempt)) }) }, [
            'validation-failed',
            'not-found',
          ]),
        },
      },
      async (request) => ({ data: await deliveries.attempts(appIdOf(request), request.params.id) }),
    )

    app.get(
      '/attempts',
      {
        config,
        schema: {
          tags,
          operationId: 'listAttemptLog',
          summary: 'List attempts of all deliveries, newest first',
          description:
            'Watch an endpoint over many events: its failures, its answers of one status, or all of some time.',
          querystring: AttemptQuery,
          response: responses({ 200: pageOf(ref(Attempt)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request) => {
        const after = readCursor(request.query.after, ID_CURSOR)
        const page = await deliveries.attemptLog(
          appIdOf(request),
          request.query,
          pageSize(request.query),
          after,
        )
        return { data: page.rows, pageInfo: page.pageInfo }
      },
    )

    app.post(
      '/deliveries/:id/retry',
      {
        config: write,
        schema: {
          tags,
          operationId: 'retryDelivery',
          summary: 'Make one more attempt now, whatever became of the delivery',
          description:
            'Do this when the receiver was mended and should not wait for the next attempt, or when the delivery is dead. One that has ended is pending again; after its last attempt it is the only one. It is made also while the endpoint is held, unless the subscription has a rate limit, a concurrency, an order or batches.',
          params: Id,
          response: responses({ 202: ref(Delivery) }, ['validation-failed', 'not-found', 'conflict']),
        },
      },
      async (request, reply) => {
        await control.retry(appIdOf(request), request.params.id)
        return reply.code(202).send(await deliveries.get(appIdOf(request), request.params.id))
      },
    )

    app.post(
      '/deliveries/:id/discard',
      {
        config: write,
        schema: {
          tags,
          operationId: 'discardDelivery',
          summary: 'End a delivery that is dead or pending for good',
          description:
            'For an event that the receiver will never take. With `onDead: hold` it lets those after it go on. It may be retried later all the same.',
          params: Id,
          response: responses({ 200: ref(Delivery) }, ['validation-failed', 'not-found', 'conflict']),
        },
      },
      async (request) => {
        await control.discard(appIdOf(request), request.params.id)
        return deliveries.get(appIdOf(request), request.params.id)
      },
    )
  }
