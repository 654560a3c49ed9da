import { sql } from 'kysely'
import { Problem } from '../../../platform/http/problems.ts'
import { readTime } from '../../../platform/http/times.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import { identitiesOf } from '../../entities/index.ts'
import { compilePatterns } from '../../matching/index.ts'
import type { EventState } from '../event.ts'
import type { EventTypeService } from '../types/service.ts'
import type { EdgeTarget, ListQuery } from './query.ts'

/** Types of edges to one entity that a filter with `*` follows. */
const MAX_EDGE_TYPES = 100
/** What a user may be known as, times the types of edges, for a filter to follow all of them. */
const MAX_TARGETS = 1_000

/** What a caller asks for; all of it must hold. */
export interface EventFilter {
  /** Any of these types exactly. */
  type?: readonly string[] | undefined
  /** Comma-separated patterns. */
  types?: string | undefined
  typePrefix?: string | undefined
  typeContains?: string | undefined
  status?: EventState['status'] | undefined
  /** Inclusive, to the millisecond. */
  createdAtGte?: string | undefined
  createdAtLte?: string | undefined
  /** `type:targetType:targetId`; the type may be `*`. */
  edge?: string | undefined
  originEventId?: string | undefined
  /** JSON text of an object that the payload contains. */
  payload?: string | undefined
}

type Conditions = Pick<ListQuery, 'from' | 'to' | 'names' | 'edges' | 'originEventId' | 'status' | 'payload'>

/**
 * Turns what a caller asks for into what the indexes know.
 *
 * @returns undefined when no event can match
 * @throws Problem `validation-failed`
 */
export async function resolveFilter(
  db: Database,
  eventTypes: EventTypeService,
  appId: string,
  filter: EventFilter,
): Promise<Conditions | undefined> {
  const { status, originEventId, payload } = filter
  refuseOtherThanObject(payload)
  const names = await typeNames(eventTypes, appId, filter)
  const edges = filter.edge === undefined ? undefined : await edgeTargets(db, appId, filter.edge)
  if (names?.length === 0 || edges?.length === 0) return undefined
  return { ...(await positions(db, appId, filter)), names, edges, originEventId, status, payload }
}

/** Undefined: every type. */
async function typeNames(
  eventTypes: EventTypeService,
  appId: string,
  { type, types, typePrefix, typeContains }: EventFilter,
): Promise<string[] | undefined> {
  if (types === undefined && typePrefix === undefined && typeContains === undefined)
    return type && [...new Set(type)]
  const matches = types === undefined ? () => true : compilePatterns(types.split(','))
  return eventTypes.namesWhere(
    appId,
    (name) =>
      matches(name) &&
      (type === undefined || type.includes(name)) &&
      (typePrefix === undefined || name.startsWith(typePrefix)) &&
      (typeContains === undefined || name.includes(typeContains)),
  )
}

/** Times do not fall along the log, so bounds of time are bounds of positions. */
async function positions(
  db: Database,
  appId: string,
  { createdAtGte, createdAtLte }: EventFilter,
): Promise<Pick<Conditions, 'from' | 'to'>> {
  if (createdAtGte === undefined && createdAtLte === undefined) return {}
  const notBefore = createdAtGte === undefined ? null : readTime('createdAtGte', createdAtGte)
  // Times are kept to the microsecond and shown to the millisecond.
  const before =
    createdAtLte === undefined ? null : new Date(readTime('createdAtLte', createdAtLte).getTime() + 1)
  const { rows } = await sql<{ from: number | null; to: number | null }>`
    select case when ${notBefore}::timestamptz is not null then position_at(${appId}, ${notBefore}) end as from,
           case when ${before}::timestamptz is not null then position_at(${appId}, ${before}) - 1 end as to`.execute(
    db,
  )
  const [{ from, to } = { from: null, to: null }] = rows
  return { from: from ?? undefined, to: to ?? undefined }
}

/**
 * The edges that a filter means. An edge to a user is one to whoever was merged into that user too, and to
 * any of their platform users.
 */
async function edgeTargets(db: Database, appId: string, edge: string): Promise<EdgeTarget[]> {
  const [, type = '', targetType = '', targetId = ''] = /^([^:]+):([^:]+):(.+)$/s.exec(edge) ?? []
  const targets = targetType === 'user' ? await identitiesOf(db, appId, targetId) : [{ targetType, targetId }]
  const edges =
    type === '*'
      ? await edgesTo(db, appId, targets)
      : targets.map(({ targetType: kind, targetId: id }) => ({ type, targetType: kind, targetId: id }))
  if (edges.length <= MAX_TARGETS) return edges
  throw new Problem(
    'validation-failed',
    `The user is known as too many for one list: ${MAX_TARGETS} at most. Ask for platform users one by one.`,
  )
}

/** Every type of edge to some entities, by going from type to type in the index, however many edges there are. */
async function edgesTo(
  db: Database,
  appId: string,
  targets: readonly Omit<EdgeTarget, 'type'>[],
): Promise<EdgeTarget[]> {
  const { rows } = await sql<EdgeTarget>`
    with recursive step as (
      select t.target_type, t.target_id, first.type, 1 as number
        from unnest(${targets.map((target) => target.targetType)}::text[],
                    ${targets.map((target) => target.targetId)}::text[]) as t(target_type, target_id)
       cross join lateral (select type from event_edges
              where app_id = ${appId} and target_type = t.target_type and target_id = t.target_id
              order by type limit 1) first
      union all
      select s.target_type, s.target_id, next.type, s.number + 1
        from step s
       cross join lateral (select type from event_edges
              where app_id = ${appId} and target_type = s.target_type and target_id = s.target_id
                and type > s.type order by type limit 1) next
       where s.number < ${MAX_EDGE_TYPES}
    ) select type, target_type as "targetType", target_id as "targetId" from step`.execute(db)
  return rows
}

function refuseOtherThanObject(payload: string | undefined): void {
  if (payload === undefined) return
  let value: unknown
  try {
    value = JSON.parse(payload)
  } catch {
    value = undefined
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return
  throw new Problem('validation-failed', 'payload must be a JSON object, such as {"order_id":"A-1001"}.')
}
