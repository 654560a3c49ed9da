import { Type, type Static } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../platform/http/auth.ts'
import { bodyAsWritten } from '../../platform/http/raw-json.ts'
import { BODY_PROBLEMS, Nullable, ref, responses, Uuid } from '../../platform/http/schemas.ts'
import type { SubscriptionService } from '../subscriptions/index.ts'
import { StatisticsQuery, SubscriptionStatistics, TestDelivery, TestResult } from './schemas.ts'

const tags = ['Subscriptions']
const Id = Type.Object({ id: Uuid() })

export interface SubscriptionRoutesOptions {
  subscriptions: SubscriptionService
  readStatistics: (
    appId: string,
    id: string,
    hours?: number,
  ) => Promise<Static<typeof SubscriptionStatistics>>
  sendTest: (
    appId: string,
    id: string,
    body: Static<typeof TestDelivery>,
  ) => Promise<Static<typeof TestResult>>
}

/** What deliveries tell of a subscription (SPEC section 3). */
export const subscriptionDeliveryRoutes =
  ({ subscriptions, readStatistics, sendTest }: SubscriptionRoutesOptions): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addSchema(SubscriptionStatistics)
    app.addSchema(TestResult)

    app.get(
      '/subscriptions/:id/statistics',
      {
        config: { access: 'subscriptions:read' },
        schema: {
          tags,
          operationId: 'getSubscriptionStatistics',
          summary: 'See how deliveries to a subscription went, and what it is still owed',
          description:
            'For dashboards and alerts: attempts and their outcomes, latencies, and how much is pending or dead.',
          params: Id,
          querystring: StatisticsQuery,
          response: responses({ 200: ref(SubscriptionStatistics) }, ['validation-failed', 'not-found']),
        },
      },
      async (request) => {
        await subscriptions.get(appIdOf(request), request.params.id)
        return readStatistics(appIdOf(request), request.params.id, request.query.hours)
      },
    )

    app.post(
      '/subscriptions/:id/test',
      {
        config: { access: 'subscriptions:write' },
        schema: {
          tags,
          operationId: 'testSubscription',
          summary: 'Send a made-up event to a subscription at once',
          description:
            'Do this after making a subscription or changing its endpoint, before anything real depends on it. The event is shaped and signed as the real ones are, and stored nowhere. The answer tells what came of it.',
          params: Id,
          body: Nullable(TestDelivery, {
            examples: [{ eventType: 'order.placed', payload: { order_id: 'A-1001' } }],
          }),
          response: responses({ 200: ref(TestResult) }, [...BODY_PROBLEMS, 'not-found']),
        },
      },
      async (request) => {
        await subscriptions.get(appIdOf(request), request.params.id)
        const body = bodyAsWritten<Static<typeof TestDelivery>>(request, 'payload')
        return sendTest(appIdOf(request), request.params.id, body)
      },
    )
  }
