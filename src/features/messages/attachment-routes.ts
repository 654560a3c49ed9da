import { Readable } from 'node:stream'
import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { create as contentDisposition } from 'content-disposition'
import { appIdOf } from '../../platform/http/auth.ts'
import { inMediaTypes, responses, Uuid } from '../../platform/http/schemas.ts'
import type { AttachmentContents } from './attachment-content.ts'

/** What came with messages, for whoever may read of it (SPEC section 2). */
export const attachmentRoutes =
  (contents: AttachmentContents): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/files/:id/content',
      {
        config: { access: 'entities:read' },
        schema: {
          tags: ['Entities'],
          operationId: 'getFileContent',
          summary: 'Download what came with a message',
          description:
            'Fetched from the platform at this moment, with the credentials of the connection; Heliograph keeps no copy. An answer that breaks off is not whole: the content turned out too large, or not to have the SHA-256 that the platform told. A file that you made is at its `url`.',
          params: Type.Object({ id: Uuid() }),
          response: responses(
            {
              200: inMediaTypes<Readable>(
                { '*/*': Type.String({ format: 'binary' }) },
                { description: 'The content, to be saved: browsers do not show it.' },
              ),
            },
            [
              'validation-failed',
              'conflict',
              'not-found',
              'content-unavailable',
              'content-gone',
              'platform-refused',
              'content-too-large',
              'overloaded',
              'platform-timeout',
            ],
          ),
        },
      },
      async (request, reply) => {
        const [appId, { id }] = [appIdOf(request), request.params]
        // What only asks for the head is no reason to fetch anything.
        const { filename, contentType, length, body } =
          request.method === 'HEAD'
            ? { ...(await contents.describe(appId, id)), body: Readable.from([]) }
            : await contents.fetch(appId, id)
        if (length !== undefined) void reply.header('content-length', length)
        return reply
          .headers({
            'content-type': contentType,
            'content-disposition': contentDisposition(savedAs(filename)),
            'content-security-policy': 'sandbox',
          })
          .send(body)
      },
    )
  }

/** A name as platforms tell it, made fit for a folder: the last part of a path, without what is not seen. */
const savedAs = (filename: string): string =>
  filename.split(/[\\/]/).at(-1)?.replaceAll(/\p{C}/gu, '') || 'attachment'
