import { sql, type RawBuilder } from 'kysely'
import type { EventRow, EventState } from '../event.ts'

/** Events that one page may look at when a condition has no index: it ends there and goes on with the next. */
export const MAX_LOOKED_AT = 10_000
/** The same when several lists become one: they are read before anything of them is checked. */
const MAX_READ_AHEAD = 2_000
/** Types that are read as lists of their own when there are other conditions; more are a condition too. */
const MAX_LISTS_OF_TYPES = 16

export interface EdgeTarget {
  type: string
  targetType: string
  targetId: string
}

/** Which events, by what the indexes know: names of types rather than patterns, positions rather than times. */
export interface ListQuery {
  appId: string
  order: 'asc' | 'desc'
  limit: number
  /** Only beyond this position, in the order of the list. */
  after?: number | undefined
  /** Bounds of the positions, inclusive. */
  from?: number | undefined
  to?: number | undefined
  /** Any of these types. */
  names?: readonly string[] | undefined
  /** With any of these edges. */
  edges?: readonly EdgeTarget[] | undefined
  originEventId?: string | undefined
  status?: EventState['status'] | undefined
  /** JSON text that the payload contains. */
  payload?: string | undefined
}

type Fragment = RawBuilder<unknown>

interface Plan {
  /** The list to read, by one index: `from … where …` of rows that have a position. */
  list: Fragment
  /** The column that has the event's id. */
  id: 'id' | 'event_id'
  /** Several such lists: what `wanted` stands for in each of them. */
  wanted?: { rows: Fragment; count: number } | undefined
  /** What that index does not know. */
  conditions: Fragment[]
}

/**
 * The statement behind every list of events. It reads along the index that fits best; conditions that no
 * index has are checked on the way, on `MAX_LOOKED_AT` events at most.
 */
export function listQuery(query: ListQuery): RawBuilder<EventRow> {
  const plan = planOf(query)
  if (!plan) return eventsOf(query, query.limit)
  return sql<EventRow>`
    select e.* from (${plan.wanted ? merged(query, plan) : page(query, plan, lookedAt(query, plan))}) c
      join lateral (select * from events where app_id = ${query.appId} and id = c.id) e on true
     ${where(plan.conditions)}
     order by c.position ${sql.raw(query.order)} limit ${query.limit}`
}

/**
 * The position of the last event that `listQuery` looks at when it finds fewer than it may; no row when it
 * comes to the end of the list before. Undefined: it always comes to the end.
 */
export function lastLookedAtQuery(query: ListQuery): RawBuilder<{ position: number }> | undefined {
  const plan = planOf(query)
  if (!plan) return undefined
  if (plan.wanted) {
    return sql<{ position: number }>`
      ${readAhead(query, plan)} select position from complete_to where position is not null`
  }
  if (plan.conditions.length === 0) return undefined
  return sql<{ position: number }>`
    select position from (${page(query, plan, MAX_LOOKED_AT)}) c
     order by position ${sql.raw(query.order)} offset ${MAX_LOOKED_AT - 1} limit 1`
}

/** How many events `listQuery` gives, without reading them where the index of types tells. */
export function countQuery(query: ListQuery): RawBuilder<{ count: number }> {
  const { appId, names, limit } = query
  const listed =
    names && !planOf(query)
      ? sql`select from events where app_id = ${appId} and type = any(${names}::text[]) ${within(query)} limit ${limit}`
      : listQuery(query)
  return sql<{ count: number }>`select count(*) as count from (${listed}) listed`
}

const lookedAt = ({ limit }: ListQuery, { conditions }: Plan): number =>
  conditions.length === 0 ? limit : MAX_LOOKED_AT

/** Undefined: the log's own indexes have all of it. */
function planOf(query: ListQuery): Plan | undefined {
  const { appId, names, edges, originEventId, status, payload } = query
  const ofNames = names && sql`e.type = any(${names}::text[])`
  const ofOrigin = originEventId === undefined ? undefined : sql`e.origin_event_id = ${originEventId}`
  const ofStatus = status && sql`(${STATUS_OF_E}) = ${status}`
  const ofPayload =
    payload === undefined
      ? undefined
      : sql`searchable(e.payload::text) @> (select searchable(${payload}::text))`
  const some = (...conditions: (Fragment | undefined)[]) => conditions.filter((each) => each !== undefined)

  if (edges) return { ...edgeLists(appId, edges), conditions: some(ofNames, ofOrigin, ofStatus, ofPayload) }
  if (originEventId !== undefined) {
    const list = sql`from events where app_id = ${appId} and origin_event_id = ${originEventId}`
    return { list, id: 'id', conditions: some(ofNames, ofStatus, ofPayload) }
  }
  if (status && status !== 'completed') {
    const list = sql`from deliveries where app_id = ${appId}
                      and status = ${sql.lit(status === 'failed' ? 'dead' : 'pending')}`
    return { list, id: 'event_id', conditions: some(ofNames, ofStatus, ofPayload) }
  }
  if (!ofStatus && !ofPayload) return undefined
  const log = sql`from events where app_id = ${appId}`
  if (!names || names.length > MAX_LISTS_OF_TYPES) {
    return { list: log, id: 'id', conditions: some(ofNames, ofStatus, ofPayload) }
  }
  return {
    list: names.length === 1 ? sql`${log} and type = ${names[0]}` : sql`${log} and type = wanted.type`,
    id: 'id',
    wanted:
      names.length === 1
        ? undefined
        : {
            rows: sql`unnest(${names}::text[]) with ordinality as wanted(type, number)`,
            count: names.length,
          },
    conditions: some(ofStatus, ofPayload),
  }
}

function edgeLists(appId: string, edges: readonly EdgeTarget[]): Omit<Plan, 'conditions'> {
  const to = (type: unknown, targetType: unknown, targetId: unknown): Fragment =>
    sql`from event_edges where app_id = ${appId} and target_type = ${targetType}
          and target_id = ${targetId} and type = ${type}`
  const [first] = edges
  if (first && edges.length === 1) {
    return { list: to(first.type, first.targetType, first.targetId), id: 'event_id' }
  }
  return {
    list: to(sql`wanted.type`, sql`wanted.target_type`, sql`wanted.target_id`),
    id: 'event_id',
    wanted: {
      rows: sql`unnest(${edges.map((edge) => edge.type)}::text[], ${edges.map((edge) => edge.targetType)}::text[],
                       ${edges.map((edge) => edge.targetId)}::text[])
                  with ordinality as wanted(type, target_type, target_id, number)`,
      count: edges.length,
    },
  }
}

/** A page of the log itself, or of the types in it. */
function eventsOf(query: ListQuery, limit: number): RawBuilder<EventRow> {
  const { appId, names } = query
  const direction = sql.raw(query.order)
  const ofType = (condition: Fragment) =>
    sql<EventRow>`select * from events where app_id = ${appId} ${condition} ${within(query)}
                   order by position ${direction} limit ${limit}`
  if (names === undefined) return ofType(sql``)
  if (names.length === 1) return ofType(sql`and type = ${names[0]}`)
  return sql<EventRow>`
    select e.* from unnest(${names}::text[]) as wanted(name)
     cross join lateral (${ofType(sql`and type = wanted.name`)}) e
     order by e.position ${direction} limit ${limit}`
}

/** Positions and ids of a list, in its order; one row per event. */
function page(query: ListQuery, { list, id }: Plan, limit: number): Fragment {
  const columns = sql`position, ${sql.ref(id)} as id ${list} ${within(query)}
                       order by position ${sql.raw(query.order)} limit ${limit}`
  return id === 'id' ? sql`select ${columns}` : sql`select distinct on (position) ${columns}`
}

/**
 * Several lists, each read to the same length. Where one of them may go on, nothing is known of what comes
 * beyond: the lists together are complete up to the nearest of these places.
 */
function readAhead(query: ListQuery, plan: Plan): Fragment {
  const { rows, count } = plan.wanted as NonNullable<Plan['wanted']>
  const isPage = plan.conditions.length === 0 && query.limit <= MAX_READ_AHEAD
  const length = isPage ? query.limit : Math.max(1, Math.ceil(Math.max(query.limit, MAX_READ_AHEAD) / count))
  const [nearest, farthest] = query.order === 'asc' ? ['min', 'max'] : ['max', 'min']
  return sql`
    with read_ahead as materialized (
      select wanted.number, listed.position, listed.id
        from ${rows} cross join lateral (${page(query, plan, length)}) listed
    ), complete_to as materialized (
      select ${sql.raw(nearest)}(position) as position
        from (select ${sql.raw(farthest)}(position) as position from read_ahead
               group by number having count(*) = ${length}) ends
    )`
}

function merged(query: ListQuery, plan: Plan): Fragment {
  const [inside, direction] = query.order === 'asc' ? ['<=', 'asc'] : ['>=', 'desc']
  return sql`
    ${readAhead(query, plan)}
    select distinct on (r.position) r.position, r.id from read_ahead r, complete_to c
     where c.position is null or r.position ${sql.raw(inside)} c.position
     order by r.position ${sql.raw(direction)}`
}

function within({ order, after, from, to }: ListQuery): Fragment {
  const bounds: Fragment[] = []
  if (after !== undefined) bounds.push(order === 'asc' ? sql`position > ${after}` : sql`position < ${after}`)
  if (from !== undefined) bounds.push(sql`position >= ${from}`)
  if (to !== undefined) bounds.push(sql`position <= ${to}`)
  return bounds.length === 0 ? sql`` : sql`and ${sql.join(bounds, sql` and `)}`
}

const where = (conditions: readonly Fragment[]): Fragment =>
  conditions.length === 0 ? sql`` : sql`where ${sql.join([...conditions], sql` and `)}`

/** Where an event `e` stands, as `readStates` has it. An aggregate, which the planner does not turn into a join. */
const STATUS_OF_E = sql`
  select case when count(*) filter (where d.status = 'pending') > 0
              then case when count(*) filter (where d.attempts > 0) > 0 then 'processing' else 'pending' end
              when count(*) filter (where d.status = 'dead') > 0 then 'failed' else 'completed' end
    from deliveries d where d.app_id = e.app_id and d.event_id = e.id`
