import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../platform/http/auth.ts'
import { ID_CURSOR, pageOf, pageQuery, pageSize, readCursor } from '../../platform/http/pagination.ts'
import { BODY_PROBLEMS, ref, responses, Uuid } from '../../platform/http/schemas.ts'
import { User } from '../entities/index.ts'
import type { LinkCodeService } from './link-codes.ts'
import { Activated, Activation, LinkCode, LinkCodeQuery, NewLinkCode } from './schemas.ts'

const tags = ['Identities']
const read = { access: 'link-codes:read' as const }
const write = { access: 'link-codes:write' as const }

/** Proving that two platform users are one person (SPEC section 2). */
export const linkCodeRoutes =
  (linkCodes: LinkCodeService): FastifyPluginAsyncTypebox =>
  async (app) => {
    for (const schema of [User, LinkCode, Activated]) app.addSchema(schema)

    app.post(
      '/link-codes',
      {
        config: write,
        schema: {
          tags,
          operationId: 'createLinkCode',
          summary: 'Make a link code for a platform user',
          description:
            'The first half of proving that two accounts are one person: show the code to the user of one account, who sends it from the other. Appends `link_code.generated`.',
          body: NewLinkCode,
          response: responses({ 201: ref(LinkCode) }, [...BODY_PROBLEMS, 'unknown-reference', 'overloaded']),
        },
      },
      async (request, reply) =>
        reply.code(201).send(await linkCodes.generate(appIdOf(request), request.body)),
    )

    app.post(
      '/link-codes/activate',
      {
        config: write,
        schema: {
          tags,
          operationId: 'activateLinkCode',
          summary: 'Use a link code: merge two users',
          description:
            'The second half: call it when a code comes in from another account. Messages over a connection with `detectLinkCodes` do it by themselves. The user of the platform user that used it is merged into that of the one it was made for. Appends `link_code.activation`, and `user.merged` unless they were one already.',
          body: Activation,
          response: responses({ 200: ref(Activated) }, [
            ...BODY_PROBLEMS,
            'unknown-reference',
            'link-code-refused',
            'overloaded',
          ]),
        },
      },
      async (request) => linkCodes.activate(appIdOf(request), request.body),
    )

    app.get(
      '/link-codes',
      {
        config: read,
        schema: {
          tags,
          operationId: 'listLinkCodes',
          summary: 'List link codes, oldest first',
          description: 'See which codes were made, for whom, and how often each was used.',
          querystring: Type.Object(
            { ...pageQuery, ...LinkCodeQuery.properties },
            { additionalProperties: false },
          ),
          response: responses({ 200: pageOf(ref(LinkCode)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request) => {
        const after = readCursor(request.query.after, ID_CURSOR)
        const page = await linkCodes.list(appIdOf(request), request.query, pageSize(request.query), after)
        return { data: page.rows, pageInfo: page.pageInfo }
      },
    )

    app.get(
      '/link-codes/:id',
      {
        config: read,
        schema: {
          tags,
          operationId: 'getLinkCode',
          summary: 'Read a link code',
          description: 'See whether a code was used, and until when it may be.',
          params: Type.Object({ id: Uuid() }),
          response: responses({ 200: ref(LinkCode) }, ['validation-failed', 'not-found']),
        },
      },
      async (request) => linkCodes.get(appIdOf(request), request.params.id),
    )
  }
