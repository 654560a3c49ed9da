import { Type, type Static, type TObject, type TSchema } from '@sinclair/typebox'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { appIdOf, type Scope } from './auth.ts'
import { ID_CURSOR, pageOf, pageQuery, pageSize, readCursor, type Page } from './pagination.ts'
import type { ProblemName } from './problems.ts'
import { bodyAsWritten } from './raw-json.ts'
import { BODY_PROBLEMS, ref, responses, Uuid } from './schemas.ts'

/** Records of an app that are created, listed, read, changed and deleted under one path. */
export interface Resource<
  Item extends TSchema,
  New extends TSchema,
  Change extends TSchema,
  Query extends TObject,
> {
  path: string
  tag: string
  /** As in "a file", "files", for the document. */
  words: { one: string; many: string }
  /** For operation ids: `createFile`, `listFiles`. */
  name: { one: string; many: string }
  access: { read: Scope; write: Scope }
  schemas: {
    /** Has an `$id`. */
    item: Item
    /** What creating answers when it is more than the item; has an `$id`. */
    created?: TSchema
    create: New
    change: Change
    /** Query parameters of the list, beside those of every list. */
    query: Query
  }
  /** Members that may be any JSON, and whose numbers are kept as they are written. */
  asWritten?: readonly string[]
  /** What creating and changing may be refused for, beside the body's form. */
  problems: readonly ProblemName[]
  /** What each operation is for and when to use it, for the document. */
  about: { create: string; list: string; get: string; change: string; remove: string }
  service: {
    create(appId: string, input: Static<New>): Promise<unknown>
    list(
      appId: string,
      query: Static<Query>,
      size: number,
      after: string | undefined,
    ): Promise<Page<Static<Item>>>
    get(appId: string, id: string): Promise<Static<Item>>
    change(appId: string, id: string, change: Static<Change>): Promise<Static<Item>>
    remove(appId: string, id: string): Promise<void>
  }
}

const Params = Type.Object({ id: Uuid() })
const idOf = (request: FastifyRequest): string => (request.params as Static<typeof Params>).id

/** The five routes of a resource. Lists are in the order of ids, which is that of creation. */
export const resourceRoutes =
  <Item extends TSchema, New extends TSchema, Change extends TSchema, Query extends TObject>(
    resource: Resource<Item, New, Change, Query>,
  ): FastifyPluginAsync =>
  async (app) => {
    const { path, words, name, access, schemas, asWritten = [], problems, about, service } = resource
    const tags = [resource.tag]
    const read = { access: access.read }
    const write = { access: access.write }
    const bodyOf = (request: FastifyRequest): object =>
      bodyAsWritten<Record<string, unknown>>(request, ...asWritten)
    const one = `${path}/:id`
    const created = schemas.created ?? schemas.item
    for (const schema of new Set([schemas.item, created])) app.addSchema(schema)

    app.post(
      path,
      {
        config: write,
        schema: {
          tags,
          operationId: `create${name.one}`,
          summary: `Create a ${words.one}`,
          description: about.create,
          body: schemas.create,
          response: responses({ 201: ref(created) }, [...BODY_PROBLEMS, ...problems]),
        },
      },
      async (request, reply) =>
        reply.code(201).send(await service.create(appIdOf(request), bodyOf(request) as Static<New>)),
    )

    app.get(
      path,
      {
        config: read,
        schema: {
          tags,
          operationId: `list${name.many}`,
          summary: `List ${words.many}, oldest first`,
          description: about.list,
          querystring: Type.Object(
            { ...pageQuery, ...schemas.query.properties },
            { additionalProperties: false },
          ),
          response: responses({ 200: pageOf(ref(schemas.item)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request) => {
        const { limit, first, after, ...query } = request.query as Static<Query> & PageQuery
        const size = pageSize({
          ...(limit !== undefined && { limit }),
          ...(first !== undefined && { first }),
        })
        const page = await service.list(appIdOf(request), query, size, readCursor(after, ID_CURSOR))
        return { data: page.rows, pageInfo: page.pageInfo }
      },
    )

    app.get(
      one,
      {
        config: read,
        schema: {
          tags,
          operationId: `get${name.one}`,
          summary: `Read a ${words.one}`,
          description: about.get,
          params: Params,
          response: responses({ 200: ref(schemas.item) }, ['validation-failed', 'not-found']),
        },
      },
      async (request) => service.get(appIdOf(request), idOf(request)),
    )

    app.patch(
      one,
      {
        config: write,
        schema: {
          tags,
          operationId: `change${name.one}`,
          summary: `Change a ${words.one}`,
          description: about.change,
          params: Params,
          body: schemas.change,
          response: responses({ 200: ref(schemas.item) }, [...BODY_PROBLEMS, 'not-found', ...problems]),
        },
      },
      async (request) => service.change(appIdOf(request), idOf(request), bodyOf(request) as Static<Change>),
    )

    app.delete(
      one,
      {
        config: write,
        schema: {
          tags,
          operationId: `delete${name.one}`,
          summary: `Delete a ${words.one}`,
          description: about.remove,
          params: Params,
          response: responses({ 204: Type.Null({ description: 'Deleted' }) }, [
            'validation-failed',
            'not-found',
            'conflict',
          ]),
        },
      },
      async (request, reply) => {
        await service.remove(appIdOf(request), idOf(request))
        return reply.code(204).send(null)
      },
    )
  }

interface PageQuery {
  limit?: number
  first?: number
  after?: string
}
