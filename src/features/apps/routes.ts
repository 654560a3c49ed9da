import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ID_CURSOR, pageOf, pageQuery, pageSize, readCursor } from '../../platform/http/pagination.ts'
import { BODY_PROBLEMS, ref, responses, Uuid } from '../../platform/http/schemas.ts'
import { ApiKey, App, CreatedApiKey, CreatedApp, newApiKey, NewApp } from './schemas.ts'
import type { AppService } from './service.ts'

const tags = ['Apps']
const config = { access: 'admin' as const }
const security = [{ adminKey: [] }]
const AppId = Type.Object({ appId: Uuid() })
const KeyId = Type.Object({ appId: Uuid(), keyId: Type.String({ pattern: '^[0-9a-f]{16}$' }) })

/**
 * Administration of apps and their keys, with the admin key (SPEC section 9).
 *
 * @param scopes every right that a key can have
 */
export const appRoutes =
  (apps: AppService, scopes: readonly string[]): FastifyPluginAsyncTypebox =>
  async (app) => {
    for (const schema of [App, CreatedApp, ApiKey, CreatedApiKey]) app.addSchema(schema)

    app.post(
      '/apps',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'createApp',
          summary: 'Create an app',
          description:
            'Do this once for each tenant or product: what belongs to one app is never seen by another. The answer has the first key of the app, which is shown this once.',
          body: NewApp,
          response: responses({ 201: ref(CreatedApp) }, [...BODY_PROBLEMS]),
        },
      },
      async (request, reply) => reply.code(201).send(await apps.create(request.body.name)),
    )

    app.get(
      '/apps',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'listApps',
          summary: 'List apps, oldest first',
          description: 'For administration: all apps of this service, page by page, without their keys.',
          querystring: Type.Object(pageQuery, { additionalProperties: false }),
          response: responses({ 200: pageOf(ref(App)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request) => {
        const page = await apps.list(pageSize(request.query), readCursor(request.query.after, ID_CURSOR))
        return { data: page.rows, pageInfo: page.pageInfo }
      },
    )

    app.get(
      '/apps/:appId',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'getApp',
          summary: 'Read an app',
          description: 'Look up an app by its id, such as the `app_id` in the body of a webhook.',
          params: AppId,
          response: responses({ 200: ref(App) }, ['validation-failed', 'not-found']),
        },
      },
      async (request) => apps.get(request.params.appId),
    )

    app.post(
      '/apps/:appId/api-keys',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'createApiKey',
          summary: 'Create an API key',
          description:
            'Give each program a key of its own, with no more scopes than it needs, so that it can be revoked alone. To replace a key make another one, deploy it, and revoke the old one. The key is shown this once.',
          params: AppId,
          body: newApiKey(scopes),
          response: responses({ 201: ref(CreatedApiKey) }, [...BODY_PROBLEMS, 'not-found']),
        },
      },
      async (request, reply) => {
        const { name, scopes: chosen } = request.body
        return reply.code(201).send(await apps.createKey(request.params.appId, name, chosen))
      },
    )

    app.get(
      '/apps/:appId/api-keys',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'listApiKeys',
          summary: 'List the API keys of an app, oldest first',
          description:
            'See which keys an app has, what each may do and which were revoked. The keys themselves are not kept, only their hashes.',
          params: AppId,
          response: responses({ 200: Type.Object({ data: Type.Array(ref(ApiKey)) }) }, [
            'validation-failed',
            'not-found',
          ]),
        },
      },
      async (request) => ({ data: await apps.listKeys(request.params.appId) }),
    )

    app.delete(
      '/apps/:appId/api-keys/:keyId',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'revokeApiKey',
          summary: 'Revoke an API key',
          description:
            'Do this when a key has leaked or is no longer needed. Within five seconds every process refuses it, and the observer tokens made with it.',
          params: KeyId,
          response: responses({ 204: Type.Null({ description: 'Revoked' }) }, [
            'validation-failed',
            'not-found',
          ]),
        },
      },
      async (request, reply) => {
        await apps.revokeKey(request.params.appId, request.params.keyId)
        return reply.code(204).send(null)
      },
    )
  }
