import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ID_CURSOR, pageOf, pageQuery, pageSize, readCursor } from '../../platform/http/pagination.ts'
import { BODY_PROBLEMS, ref, responses, Uuid } from '../../platform/http/schemas.ts'
import { ApiKey, App, CreatedApiKey, CreatedApp, NewApiKey, NewApp } from './schemas.ts'
import type { AppService } from './service.ts'

const tags = ['Apps']
const config = { access: 'admin' as const }
const security = [{ adminKey: [] }]
const AppId = Type.Object({ appId: Uuid() })
const KeyId = Type.Object({ appId: Uuid(), keyId: Type.String({ pattern: '^[0-9a-f]{16}$' }) })

/** Administration of apps and their keys, with the admin key (SPEC section 9). */
export const appRoutes =
  (apps: AppService): FastifyPluginAsyncTypebox =>
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
          params: AppId,
          body: NewApiKey,
          response: responses({ 201: ref(CreatedApiKey) }, [...BODY_PROBLEMS, 'not-found']),
        },
      },
      async (request, reply) => {
        const { name, scopes } = request.body
        return reply.code(201).send(await apps.createKey(request.params.appId, name, scopes))
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
