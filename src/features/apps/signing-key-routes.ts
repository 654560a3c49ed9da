import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../platform/http/auth.ts'
import { BODY_PROBLEMS, inMediaTypes, ref, responses, Uuid } from '../../platform/http/schemas.ts'
import { JwkSet, SigningKey, SigningKeyRotation } from './schemas.ts'
import type { SigningKeyService } from './signing-keys.ts'

const tags = ['Signing keys']
const JWK_SET = 'application/jwk-set+json'
const DEFAULT_OVERLAP_SECONDS = 24 * 3600

/** The ed25519 keys that sign an app's webhooks (`v1a` of the Standard Webhooks specification). */
export const signingKeyRoutes =
  (signingKeys: SigningKeyService): FastifyPluginAsyncTypebox =>
  async (app) => {
    for (const schema of [SigningKey, JwkSet]) app.addSchema(schema)

    app.get(
      '/apps/:appId/.well-known/jwks.json',
      {
        config: { access: 'public' },
        schema: {
          tags,
          security: [],
          operationId: 'getJwks',
          summary: 'The public keys that verify the webhooks of an app, as a JSON Web Key Set',
          description:
            'For receivers that check `v1a` signatures: they get the public keys here, without a key of the API or a shared secret. Keep them for as long as `Cache-Control` says, and ask again when none of them fits.',
          params: Type.Object({ appId: Uuid() }),
          response: responses(
            { 200: inMediaTypes({ [JWK_SET]: ref(JwkSet) }, { description: 'The keys.' }) },
            ['validation-failed', 'not-found'],
          ),
        },
      },
      async (request, reply) => {
        const keySet = await signingKeys.keySet(request.params.appId)
        return reply.header('cache-control', 'public, max-age=300').type(JWK_SET).send(JSON.stringify(keySet))
      },
    )

    app.get(
      '/signing-keys',
      {
        config: { access: 'subscriptions:read' },
        schema: {
          tags,
          operationId: 'listSigningKeys',
          summary: 'List the keys that sign webhooks now, the current one first',
          description:
            'See which keys sign the webhooks of the app now, and until when the older ones do. Give `publicKey` to receivers that do not fetch the JSON Web Key Set.',
          response: responses({ 200: Type.Object({ data: Type.Array(ref(SigningKey)) }) }),
        },
      },
      async (request) => ({ data: await signingKeys.list(appIdOf(request)) }),
    )

    app.post(
      '/signing-keys/rotate',
      {
        config: { access: 'subscriptions:write' },
        schema: {
          tags,
          operationId: 'rotateSigningKey',
          summary: 'Make a new signing key',
          description:
            'Do this on a schedule, or when a key may have become known. The key until now signs beside it for the overlap, so that receivers have time to get the new one. At most ten keys sign at once: beyond that the oldest ends. A worker may take a minute to know of it.',
          body: SigningKeyRotation,
          response: responses({ 201: ref(SigningKey) }, BODY_PROBLEMS),
        },
      },
      async (request, reply) => {
        const { overlapSeconds = DEFAULT_OVERLAP_SECONDS } = request.body
        return reply.code(201).send(await signingKeys.rotate(appIdOf(request), overlapSeconds))
      },
    )
  }
