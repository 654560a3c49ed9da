import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../../platform/http/auth.ts'
import { ID_CURSOR, pageOf, pageSize, readCursor } from '../../../platform/http/pagination.ts'
import { BODY_PROBLEMS, ref, responses, Uuid } from '../../../platform/http/schemas.ts'
import { DiscardMany, Recovery, RecoveryQuery, Replay, RetryMany } from './schemas.ts'
import type { RecoveryService } from './service.ts'

const tags = ['Recoveries']
const read = { access: 'deliveries:read' as const }
const write = { access: 'deliveries:write' as const }
const Id = Type.Object({ id: Uuid() })

/** Work on many events and deliveries of the past (SPEC section 3). */
export const recoveryRoutes =
  (recoveries: RecoveryService): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addSchema(Recovery)

    app.post(
      '/subscriptions/:id/replay',
      {
        config: write,
        schema: {
          tags,
          operationId: 'replay',
          summary: 'Deliver a part of the log to a subscription again',
          description:
            'Do this for a receiver that lost what it had, or that is new and needs the past. Each event in the range that its patterns and its filter match now becomes a new delivery, with the event’s own `webhook-id`.',
          params: Id,
          body: Replay,
          response: responses({ 202: ref(Recovery) }, [...BODY_PROBLEMS, 'not-found', 'conflict']),
        },
      },
      async (request, reply) =>
        reply.code(202).send(await recoveries.replay(appIdOf(request), request.params.id, request.body)),
    )

    app.post(
      '/deliveries/retry',
      {
        config: write,
        schema: {
          tags,
          operationId: 'retryMany',
          summary: 'Try many dead deliveries again',
          description:
            'Do this after an outage: all dead deliveries are tried again in the background, or those of one subscription, some time or some types. The answer tells how to follow it.',
          body: RetryMany,
          response: responses({ 202: ref(Recovery) }, [...BODY_PROBLEMS, 'not-found', 'conflict']),
        },
      },
      async (request, reply) => reply.code(202).send(await recoveries.retry(appIdOf(request), request.body)),
    )

    app.post(
      '/deliveries/discard',
      {
        config: write,
        schema: {
          tags,
          operationId: 'discardMany',
          summary: 'Discard many dead deliveries',
          description:
            'Do this when dead letters are of no use any more: they are cancelled in the background. They may be retried later all the same.',
          body: DiscardMany,
          response: responses({ 202: ref(Recovery) }, [...BODY_PROBLEMS, 'not-found', 'conflict']),
        },
      },
      async (request, reply) =>
        reply.code(202).send(await recoveries.discard(appIdOf(request), request.body)),
    )

    app.get(
      '/recoveries',
      {
        config: read,
        schema: {
          tags,
          operationId: 'listRecoveries',
          summary: 'List replays, retries and discards, newest first',
          description: 'See what is under way in the background, and what was done before.',
          querystring: RecoveryQuery,
          response: responses({ 200: pageOf(ref(Recovery)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request) => {
        const after = readCursor(request.query.after, ID_CURSOR)
        const page = await recoveries.list(appIdOf(request), request.query, pageSize(request.query), after)
        return { data: page.rows, pageInfo: page.pageInfo }
      },
    )

    app.get(
      '/recoveries/:id',
      {
        config: read,
        schema: {
          tags,
          operationId: 'getRecovery',
          summary: 'See how far one got',
          description:
            'Follow a replay, retry or discard: how much of it was looked at, and how many deliveries came of it.',
          params: Id,
          response: responses({ 200: ref(Recovery) }, ['validation-failed', 'not-found']),
        },
      },
      async (request) => recoveries.get(appIdOf(request), request.params.id),
    )

    for (const { action, ...about } of [
      {
        action: 'pause',
        operationId: 'pauseRecovery',
        summary: 'Take nothing more on for now; what was taken on is still delivered',
        description:
          'For when the receiver cannot keep up, or something looks wrong. It can be resumed at any time.',
      },
      {
        action: 'resume',
        operationId: 'resumeRecovery',
        summary: 'Go on with one that was paused',
        description: 'It goes on from where it was when it was paused, and skips nothing.',
      },
      {
        action: 'cancel',
        operationId: 'cancelRecovery',
        summary: 'End one; what it took on and was not tried yet is as it was before',
        description:
          'For one that was started by mistake. What was delivered already stays delivered, and it cannot be resumed.',
      },
    ] as const) {
      app.post(
        `/recoveries/:id/${action}`,
        {
          config: write,
          schema: {
            tags,
            ...about,
            params: Id,
            response: responses({ 200: ref(Recovery) }, ['validation-failed', 'not-found', 'conflict']),
          },
        },
        async (request) => recoveries[action](appIdOf(request), request.params.id),
      )
    }
  }
