import fastifySwagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { registerReference } from './reference.ts'
import { ProblemDocument } from './schemas.ts'

export interface OpenApiOptions {
  version: string
  /** What the service sends by itself: operations by name, as OpenAPI 3.1 `webhooks`. */
  webhooks: Record<string, unknown>
  /** Of the operations, in the order in which one reads. */
  tags: readonly { name: string; description: string }[]
}

/** How observers show who they are, for the schemas of live routes. */
export const OBSERVER_SECURITY: Record<string, string[]>[] = [
  { appKey: ['observation:read'] },
  { observerToken: [] },
  { observerTokenInUrl: [] },
]

/** Makes the OpenAPI 3.1 document of the routes that follow, and serves it for people at `/docs`. */
export async function registerOpenApi(
  app: FastifyInstance,
  { version, webhooks, tags }: OpenApiOptions,
): Promise<void> {
  app.addSchema(ProblemDocument)
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Heliograph',
        version,
        description:
          'Append an event once: it is stored in an ordered immutable log, delivered to webhooks and streamed live. Bodies are UTF-8 and may be compressed (`Content-Encoding: gzip`, `deflate`, `br` or `zstd`); limits are on what comes out. Errors are RFC 9457 problem documents.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: [...tags],
      components: {
        securitySchemes: {
          appKey: {
            type: 'http',
            scheme: 'bearer',
            description: 'A key of an app, with the scope that the operation names.',
          },
          adminKey: { type: 'http', scheme: 'bearer', description: 'The admin key.' },
          observerToken: {
            type: 'http',
            scheme: 'bearer',
            description: 'A token of POST /observation/tokens.',
          },
          observerTokenInUrl: {
            type: 'apiKey',
            in: 'query',
            name: 'token',
            description: 'The same, since a browser cannot set headers. A key is never taken in a URL.',
          },
        },
      },
      security: [{ appKey: [] }],
      webhooks: webhooks as never,
    },
    transform: ({ schema, url, route }) => {
      const scope = route.config?.access
      if (!scope?.includes(':')) return { schema, url }
      const security = (schema.security ?? [{ appKey: [] }]).map((way) =>
        'appKey' in way ? { appKey: [scope] } : way,
      )
      return { schema: { ...schema, security }, url }
    },
    // It is for the validator's messages; OpenAPI knows it only between schemas that have names.
    transformObject: (document) =>
      JSON.parse(
        JSON.stringify('openapiObject' in document && document.openapiObject, (name, value: unknown) =>
          name === 'discriminator' ? undefined : value,
        ),
      ) as never,
    refResolver: {
      buildLocalReference: (schema, _baseUri, _fragment, index) =>
        typeof schema.$id === 'string' ? schema.$id : `schema-${index}`,
    },
  })
  registerReference(app)
}
