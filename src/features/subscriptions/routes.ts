import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../platform/http/auth.ts'
import { resourceRoutes } from '../../platform/http/resource-routes.ts'
import { BODY_PROBLEMS, Nullable, ref, responses, Uuid } from '../../platform/http/schemas.ts'
import { RotatedSecret, SecretRotation, type SubscriptionSchemas } from './schemas.ts'
import type { SubscriptionService } from './service.ts'
import type { SubscriptionSwitch } from './switch.ts'

const tags = ['Subscriptions']
const write = { access: 'subscriptions:write' as const }
const Id = Type.Object({ id: Uuid() })
const COMMON = ['validation-failed', 'not-found'] as const

/** Who gets which events (SPEC sections 3 and 9). */
export const subscriptionRoutes =
  (
    subscriptions: SubscriptionService,
    subscriptionSwitch: SubscriptionSwitch,
    schemas: SubscriptionSchemas,
  ): FastifyPluginAsyncTypebox =>
  async (app) => {
    const { Subscription } = schemas
    app.addSchema(RotatedSecret)

    // Not registered: its schemas are those of the other routes too.
    const addResource = resourceRoutes({
      path: '/subscriptions',
      tag: 'Subscriptions',
      words: { one: 'subscription', many: 'subscriptions' },
      name: { one: 'Subscription', many: 'Subscriptions' },
      access: { read: 'subscriptions:read', write: 'subscriptions:write' },
      schemas: {
        item: Subscription,
        created: schemas.CreatedSubscription,
        create: schemas.NewSubscription,
        change: schemas.SubscriptionChange,
        query: Type.Object({}),
      },
      asWritten: ['filter'],
      problems: ['invalid-destination', 'invalid-filter', 'invalid-transformation', 'invalid-subscription'],
      about: {
        create:
          'Have events delivered to a webhook, a Slack or Discord channel, or an address of mail. It gets every event that is appended after this request was answered and none from before it; `POST /subscriptions/{id}/replay` brings those. The answer has the secret that signs, which is shown this once.',
        list: 'See who is told of what, and how their endpoints fare (`health`).',
        get: 'Look up the settings of one subscription, whether it is enabled, and since when its endpoint has failed.',
        change:
          'Send elsewhere, choose other events, or set limits. It counts for what is appended from then on; what is owed already goes to the destination as it is at the attempt.',
        remove: 'Do this when nobody listens any more. What it is still owed is cancelled.',
      },
      service: {
        ...subscriptions,
        list: (appId, _query, size, after) => subscriptions.list(appId, size, after),
      },
    })
    await addResource(app, {})

    app.post(
      '/subscriptions/:id/rotate-secret',
      {
        config: write,
        schema: {
          tags,
          operationId: 'rotateSecret',
          summary: 'Give a subscription a new signing secret',
          description:
            'Do this on a schedule, or when the secret may have become known. For a time requests are signed with the old one too, so that receivers can change over without missing any.',
          params: Id,
          body: Nullable(SecretRotation, { examples: [{ overlapSeconds: 86_400 }] }),
          response: responses({ 200: ref(RotatedSecret) }, [...BODY_PROBLEMS, 'not-found']),
        },
      },
      async (request) => subscriptions.rotateSecret(appIdOf(request), request.params.id, request.body ?? {}),
    )

    app.post(
      '/subscriptions/:id/disable',
      {
        config: write,
        schema: {
          tags,
          operationId: 'disableSubscription',
          summary: 'Stop sending to a subscription',
          description:
            'For maintenance of a receiver, or to end a flood. What the subscription is owed is kept, and goes on to be owed, until it is enabled or deleted.',
          params: Id,
          response: responses({ 200: ref(Subscription) }, COMMON),
        },
      },
      async (request) => {
        await subscriptionSwitch.disable(appIdOf(request), request.params.id, 'manual')
        return subscriptions.get(appIdOf(request), request.params.id)
      },
    )

    app.post(
      '/subscriptions/:id/enable',
      {
        config: write,
        schema: {
          tags,
          operationId: 'enableSubscription',
          summary: 'Send to a disabled subscription again',
          description:
            'Do this once the receiver is well again, also after Heliograph disabled the subscription because of its failures. What was kept for it is delivered now. Where sending is held, the hold ends.',
          params: Id,
          response: responses({ 200: ref(Subscription) }, COMMON),
        },
      },
      async (request) => {
        await subscriptionSwitch.enable(appIdOf(request), request.params.id)
        return subscriptions.get(appIdOf(request), request.params.id)
      },
    )
  }
