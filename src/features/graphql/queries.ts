import { ID_CURSOR, POSITION_CURSOR, readCursor } from '../../platform/http/pagination.ts'
import { Problem } from '../../platform/http/problems.ts'
import { placeInList, type EventFilter } from '../events/index.ts'
import { sizeOf, toConnection } from './connections.ts'
import { batchOf, nodeOf, requireScope, type GraphContext } from './context.ts'

interface Paged {
  first: number | null
  after?: string | null
}

interface EventFilters {
  eventType?: { equals?: string; contains?: string; prefix?: string; in?: string[] } | null
  status?: { equals?: string } | null
  createdAt?: { gte?: string; lte?: string } | null
  edge?: { edgeType?: string | null; targetNodeType: string; targetNodeId: string } | null
  originEventId?: { equals?: string } | null
  payload?: { contains?: unknown } | null
}

/** A list, as Outeract documents it, and not pages of it: apps with more types than these are few. */
const MAX_SCHEMAS = 1_000

const STATUSES = ['pending', 'processing', 'completed', 'failed'] as const

/** null, which GraphQL takes for anything optional, is nothing given. */
const given = <T>(value: T | null | undefined): T | undefined => value ?? undefined

/** Reading, over the services that REST has (SPEC section 2). */
export const queries = {
  async application(_root: unknown, _arguments: unknown, { services, key }: GraphContext) {
    return services.apps.get(key.appId)
  },

  async events(
    _root: unknown,
    args: Paged & { filters?: EventFilters | null; orderBy?: { direction: 'ASC' | 'DESC' } | null },
    context: GraphContext,
  ) {
    requireScope(context, 'events:read')
    const { services, key } = context
    const filter = toFilter(args.filters ?? {})
    const cursor = readCursor(given(args.after), POSITION_CURSOR)
    const page = await services.eventReader.list(key.appId, {
      filter,
      order: args.orderBy?.direction === 'ASC' ? 'asc' : 'desc',
      size: sizeOf(args.first, 20),
      after: cursor === undefined ? undefined : Number(cursor),
    })
    const { nodes } = batchOf(context, page.rows)
    return {
      ...toConnection(
        page,
        args.after,
        ({ position }) => String(position),
        (_event, index) => nodes[index],
      ),
      totalCount: async () => (await services.eventReader.count(key.appId, filter)) ?? null,
    }
  },

  async event(_root: unknown, { id }: { id: string }, context: GraphContext) {
    requireScope(context, 'events:read')
    const [event] = await context.services.eventReader.getMany(context.key.appId, [id])
    return event ? nodeOf(context, event) : null
  },

  async eventSchemas(_root: unknown, { first, after }: Paged, context: GraphContext) {
    requireScope(context, 'event-types:read')
    const place = after
      ? placeInList({ name: after, isGlobal: context.services.eventTypes.globalTypes.byName.has(after) })
      : undefined
    const size = sizeOf(first, MAX_SCHEMAS, MAX_SCHEMAS)
    return (await context.services.eventTypes.list(context.key.appId, size, place)).rows
  },

  async eventSchema(_root: unknown, { id }: { id: string }, context: GraphContext) {
    requireScope(context, 'event-types:read')
    return orNull(context.services.eventTypes.get(context.key.appId, id))
  },

  async users(
    _root: unknown,
    { first, after, filters }: Paged & { filters?: { id?: { equals?: string } | null } | null },
    context: GraphContext,
  ) {
    requireScope(context, 'entities:read')
    const { users } = context.services
    const id = given(filters?.id?.equals)
    if (id !== undefined) {
      const user = await orNull(users.get(context.key.appId, id))
      const page = { rows: user ? [user] : [], pageInfo: { hasNextPage: false, endCursor: null } }
      return toConnection(page, after, idOf, (row) => row)
    }
    const page = await users.list(
      context.key.appId,
      {},
      sizeOf(first, 20),
      readCursor(given(after), ID_CURSOR),
    )
    return toConnection(page, after, idOf, (user) => user)
  },

  async user(_root: unknown, { id }: { id: string }, context: GraphContext) {
    requireScope(context, 'entities:read')
    return orNull(context.services.users.get(context.key.appId, id))
  },

  async platformUsers(
    _root: unknown,
    { first, after, platformConnectionId }: Paged & { platformConnectionId?: string | null },
    context: GraphContext,
  ) {
    requireScope(context, 'entities:read')
    const filter = platformConnectionId ? { platformConnectionId } : {}
    const cursor = readCursor(given(after), ID_CURSOR)
    const page = await context.services.platformUsers.list(
      context.key.appId,
      filter,
      sizeOf(first, 20),
      cursor,
    )
    return toConnection(page, after, idOf, (platformUser) => platformUser)
  },

  async platformUser(_root: unknown, { id }: { id: string }, context: GraphContext) {
    requireScope(context, 'entities:read')
    return orNull(context.services.platformUsers.get(context.key.appId, id))
  },

  async platformConnections(_root: unknown, { first, after }: Paged, context: GraphContext) {
    requireScope(context, 'platform-connections:read')
    const cursor = readCursor(given(after), ID_CURSOR)
    const page = await context.services.connections.list(context.key.appId, {}, sizeOf(first, 20), cursor)
    return toConnection(page, after, idOf, (connection) => connection)
  },

  async platformConnection(_root: unknown, { id }: { id: string }, context: GraphContext) {
    requireScope(context, 'platform-connections:read')
    return orNull(context.services.connections.get(context.key.appId, id))
  },
}

const idOf = ({ id }: { id: string }): string => id

/** What is not there is null in GraphQL, not an error. */
async function orNull<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found
  } catch (error) {
    if (error instanceof Problem && error.problem === 'not-found') return null
    throw error
  }
}

function toFilter({ eventType, status, createdAt, edge, originEventId, payload }: EventFilters): EventFilter {
  const { equals, contains, prefix, in: oneOf } = eventType ?? {}
  const state = given(status?.equals)
  if (state !== undefined && !(STATUSES as readonly string[]).includes(state)) {
    throw new Problem('validation-failed', `status must be one of ${STATUSES.join(', ')}.`)
  }
  if (edge?.edgeType?.includes(':') || edge?.targetNodeType.includes(':')) {
    throw new Problem('validation-failed', 'Types of edges and nodes with a colon cannot be asked for.')
  }
  const texts = [
    equals,
    contains,
    prefix,
    ...(oneOf ?? []),
    edge?.edgeType,
    edge?.targetNodeType,
    edge?.targetNodeId,
  ]
  if (texts.some((text) => text?.includes('\0')) || (oneOf?.length ?? 0) > 50) {
    throw new Problem('validation-failed', 'A filter takes texts without U+0000, and 50 types at most.')
  }
  const types = equals === undefined || equals === null ? given(oneOf) : [equals]
  const both = given(equals) !== undefined && given(oneOf) !== undefined
  return {
    type: both ? oneOf?.filter((name) => name === equals) : types,
    typeContains: given(contains),
    typePrefix: given(prefix),
    status: state as (typeof STATUSES)[number] | undefined,
    createdAtGte: given(createdAt?.gte),
    createdAtLte: given(createdAt?.lte),
    edge: edge ? `${edge.edgeType ?? '*'}:${edge.targetNodeType}:${edge.targetNodeId}` : undefined,
    originEventId: given(originEventId?.equals),
    payload:
      payload?.contains === undefined || payload.contains === null
        ? undefined
        : JSON.stringify(payload.contains),
  }
}
