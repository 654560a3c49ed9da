import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Type, type Static } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import {
  buildSchema,
  GraphQLError,
  lexicographicSortSchema,
  parse,
  printSchema,
  type ExecutionResult,
} from 'graphql'
import mercurius from 'mercurius'
import { isNumber } from '../../platform/json/exact-numbers.ts'
import type { AppKey } from '../../platform/http/auth.ts'
import { toProblem } from '../../platform/http/error-handler.ts'
import { Problem } from '../../platform/http/problems.ts'
import { bodyAsWritten } from '../../platform/http/raw-json.ts'
import {
  AnyObject,
  BODY_PROBLEMS,
  bodyExamples,
  inMediaTypes,
  Nullable,
  responses,
} from '../../platform/http/schemas.ts'
import type { GraphContext, GraphServices } from './context.ts'
import { MAX_DEPTH, MAX_TOKENS, refuseCostly } from './limits.ts'
import { mutations } from './mutations.ts'
import { queries } from './queries.ts'
import { scalars } from './scalars.ts'
import { loaders, types } from './types.ts'

const SCHEMA = readFileSync(join(import.meta.dirname, 'schema.graphql'), 'utf8')

/** The schema in the form in which it is published: sorted, so that it changes only when its meaning does. */
export const publishedSchema = (): string => `${printSchema(lexicographicSortSchema(buildSchema(SCHEMA)))}\n`

/** What a query may take beside the payload of an event. */
const QUERY_OVERHEAD_BYTES = 262_144

const Body = Type.Object(
  {
    query: Type.String({
      minLength: 1,
      examples: ['{ events(first: 5) { edges { node { id eventType } } } }'],
    }),
    variables: Type.Optional(Nullable(AnyObject())),
    operationName: Type.Optional(Nullable(Type.String())),
    extensions: Type.Optional(Nullable(AnyObject())),
  },
  {
    additionalProperties: false,
    ...bodyExamples({
      'The newest events, and what they point to': {
        query:
          '{ events(first: 5) { edges { node { id eventType payload edges { edgeType targetNodeId } } } } }',
      },
      'Append an event': {
        query:
          'mutation Append($payload: JSON!) { createEvent(eventType: "order.placed", payload: $payload) { id } }',
        variables: { payload: { order_id: 'A-1001' } },
      },
    }),
  },
)

const Answer = Type.Object({
  data: Type.Optional(Nullable(AnyObject())),
  errors: Type.Optional(Type.Array(AnyObject())),
})

/** `POST /graphql`: the same services, rights and errors as REST, in one query (SPEC section 2). */
export const graphqlRoutes =
  (services: GraphServices): FastifyPluginAsyncTypebox =>
  async (app) => {
    await app.register(mercurius, {
      schema: SCHEMA,
      cache: false,
      resolvers: { ...scalars, ...types, Query: queries, Mutation: mutations } as never,
      loaders: loaders as never,
      routes: false,
      queryDepth: MAX_DEPTH,
      errorFormatter: ({ data, errors }, { reply }) => ({
        statusCode: 200,
        response: {
          data: data ?? null,
          errors: errors.map((error) => toGraphError(error, reply.request)),
        },
      }),
      graphql: { parseOptions: { maxTokens: MAX_TOKENS } },
    })

    app.graphql.addHook('preExecution', async (schema, document, context, variables) => {
      refuseCostly(schema, document, variables ?? {}, (context as { operationName?: string }).operationName)
    })

    app.post(
      '/graphql',
      {
        config: { access: 'any-key' },
        bodyLimit: services.config.MAX_PAYLOAD_BYTES + QUERY_OVERHEAD_BYTES,
        schema: {
          tags: ['GraphQL'],
          operationId: 'queryGraphql',
          summary: 'Query and change by GraphQL',
          description:
            'For reading connected things in one request, such as events with the users they are about, and for GraphQL clients. The schema is in openapi/schema.graphql. Each field needs the scope that its REST route needs. An error has `extensions.type`, which is that of the problem document.',
          body: Body,
          response: responses(
            { 200: inMediaTypes({ 'application/json': Answer }, { description: 'What was asked for.' }) },
            BODY_PROBLEMS,
          ),
        },
      },
      async (request, reply) => {
        const { query, variables, operationName } = bodyAsWritten<Static<typeof Body>>(request, 'variables')
        const key = request.appKey as AppKey
        const context = { services, key, ...(operationName && { operationName }) } satisfies GraphContext &
          object
        const result = await run().catch((error: unknown) => refusal(error, request))
        async function run(): Promise<ExecutionResult> {
          // mercurius takes what is no GraphQL for a syntax tree in JSON
          parse(query, { maxTokens: MAX_TOKENS })
          return reply.graphql(query, context, withoutExact(variables ?? {}), operationName ?? undefined)
        }
        return reply.type('application/json; charset=utf-8').send(JSON.stringify(result))
      },
    )
  }

/** A variable that is itself a number is for an argument of GraphQL's own types, which take those of JavaScript. */
const withoutExact = (variables: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, isNumber(value) ? Number(String(value)) : value]),
  )

/** A query that cannot be run at all: its errors are those of the query. */
function refusal(error: unknown, request: FastifyRequest): ExecutionResult {
  const { errors } = error as { errors?: readonly GraphQLError[] }
  const several = !(error instanceof Problem) && Array.isArray(errors) ? errors : [error]
  return { data: null, errors: several.map((each) => toGraphError(each, request)) }
}

/** What GraphQL itself says of a query is told as it is; everything else as the problem it would be in REST. */
function toGraphError(error: unknown, request: FastifyRequest): GraphQLError {
  const { originalError } = error as GraphQLError
  const cause = originalError ?? error
  if (cause instanceof GraphQLError) {
    const { type, title } = new Problem('validation-failed', cause.message).toJSON() as Record<string, string>
    return new GraphQLError((error as Error).message, {
      ...placeOf(error),
      extensions: { type, title, status: 400 },
    })
  }
  if ((cause as { code?: string }).code === 'MER_ERR_GQL_QUERY_DEPTH') {
    const tooDeep = new Problem('validation-failed', `A query takes ${MAX_DEPTH} fields within fields.`)
    return toGraphError(tooDeep, request)
  }
  const { detail, ...extensions } = toProblem(cause, request).toJSON() as Record<string, unknown>
  return new GraphQLError(String(detail), { ...placeOf(error), extensions })
}

function placeOf(error: unknown) {
  const { nodes, source, positions, path } = error as Partial<GraphQLError>
  return { nodes: nodes ?? null, source: source ?? null, positions: positions ?? null, path: path ?? null }
}
