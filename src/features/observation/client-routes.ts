import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { keepAnswer } from '../../platform/http/kept-answer.ts'
import { inMediaTypes } from '../../platform/http/schemas.ts'
import { sha256 } from '../../platform/secrets/secret-box.ts'
import { asyncApi } from './asyncapi/document.ts'

const MODULES_DIR = join(import.meta.dirname, '../../../clients/browser/modules')
/** The one to import, and those that it imports. */
const MODULES = ['observer.js', 'link.js', 'rooms.js', 'watch.js'] as const

const config = { access: 'public' as const }
const tags = ['Observation']
const security: never[] = []

/** What whoever writes an observer needs: a client for browsers, and the protocol as AsyncAPI. */
export const clientRoutes: FastifyPluginAsyncTypebox = async (app) => {
  for (const name of MODULES)
    app.get(
      `/observation/client/${name}`,
      {
        config,
        schema: {
          tags,
          security,
          // The document tells of the one that is imported.
          hide: name !== MODULES[0],
          operationId: 'getBrowserClient',
          summary: 'The client for browsers',
          description:
            'Import it in a page to observe rooms: it connects, resumes and gets new tokens by itself. A JavaScript module without dependencies, to be imported from any origin. See clients/browser/README.md.',
          headers: Type.Object({
            'if-none-match': Type.Optional(Type.String({ description: 'The `ETag` of what one has.' })),
          }),
          response: {
            200: inMediaTypes({ 'text/javascript': Type.String() }, { description: 'The module.' }),
            304: Type.Unsafe<undefined>({ type: 'null', description: 'It is what one has.' }),
          },
        },
      },
      async (request, reply) => {
        const text = await readFile(join(MODULES_DIR, name), 'utf8')
        const etag = `"${sha256(text).toString('base64url')}"`
        void reply.headers({
          'access-control-allow-origin': '*',
          'cross-origin-resource-policy': 'cross-origin',
        })
        if (keepAnswer(request, reply, etag)) return reply.send(undefined)
        return reply.type('text/javascript; charset=utf-8').send(text)
      },
    )

  app.get(
    '/asyncapi.json',
    {
      config,
      schema: {
        tags,
        security,
        operationId: 'getAsyncApi',
        summary: 'The messages of WebSocket, server-sent events and webhooks, as AsyncAPI 3',
        description:
          'For tools and for whoever writes a client of their own: each frame of the WebSocket, each server-sent event and each webhook, with its schema.',
        response: { 200: Type.Unknown() },
      },
    },
    async () => asyncApi,
  )
}
