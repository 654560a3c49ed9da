import type { Static } from '@sinclair/typebox'
import { sql, type RawBuilder } from 'kysely'
import { cloudEventJson } from '../../platform/json/cloud-event.ts'
import { notFound, Problem } from '../../platform/http/problems.ts'
import { toCursor, toPage, type Page } from '../../platform/http/pagination.ts'
import { isDataError } from '../../platform/postgres/errors.ts'
import type { Database, Executor } from '../../platform/postgres/pool.ts'
import { createSentEdgesReader, readEntities, type EntityRef, type SentEdges } from '../entities/index.ts'
import { eventJson, toStoredEvent, type EventRow, type EventState, type StoredEvent } from './event.ts'
import { resolveFilter, type EventFilter } from './list/filter.ts'
import { countQuery, lastLookedAtQuery, listQuery, type ListQuery } from './list/query.ts'
import type { Edges } from './schemas.ts'
import { readStates } from './states.ts'
import type { EventTypeService } from './types/service.ts'

/** Events are counted up to here. */
const MAX_COUNT = 10_000

export interface EventListOptions {
  filter: EventFilter
  order: 'asc' | 'desc'
  size: number
  /** Only events beyond this position, in the order of the list. */
  after: number | undefined
}

/** Reading the log. A page costs the same however long the log is; `list/query.ts` says how. */
export function createEventReader(
  db: Database,
  executor: Executor,
  eventTypes: EventTypeService,
  publicUrl?: string,
) {
  const readSentEdges = createSentEdgesReader(executor, publicUrl)

  /**
   * Runs a statement of a list; where it found too few, also finds out where it stopped looking, as of the
   * same moment: otherwise what is appended in between would be skipped.
   */
  async function readList<Row>(
    query: ListQuery,
    statement: RawBuilder<Row>,
    isEnough: (rows: Row[]) => boolean,
  ): Promise<{ rows: Row[]; lastLookedAt?: number | undefined }> {
    const end = lastLookedAtQuery(query)
    const run = async (snapshot: Database) => {
      const { rows } = await statement.execute(snapshot)
      if (!end || isEnough(rows)) return { rows }
      const {
        rows: [last],
      } = await end.execute(snapshot)
      return { rows, lastLookedAt: last?.position }
    }
    try {
      if (!end) return await run(db)
      const reading = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
      return await reading.execute(run)
    } catch (error) {
      if (query.payload === undefined || !isDataError(error)) throw error
      throw new Problem('validation-failed', 'payload holds what the database does not take.')
    }
  }

  /** The position of the newest event; 0 for an empty log. */
  async function head(appId: string): Promise<number> {
    const row = await db
      .selectFrom('app_logs')
      .select('head')
      .where('app_id', '=', appId)
      .executeTakeFirstOrThrow()
    return row.head
  }

  /** Those of several apps, in one query; an app that is not there is left out. */
  const heads = (appIds: readonly string[]): Promise<{ appId: string; head: number }[]> =>
    db
      .selectFrom('app_logs')
      .select(['app_id as appId', 'head'])
      .where('app_id', '=', sql<string>`any(${appIds}::uuid[])`)
      .execute()

  /** The position of the oldest event that is held; that of the next event where none is. */
  async function oldest(appId: string): Promise<number> {
    const { rows } = await sql<{ oldest: number }>`
      select coalesce((select position from events where app_id = ${appId} order by position limit 1), head + 1) as oldest
        from app_logs where app_id = ${appId}`.execute(db)
    return rows[0]?.oldest ?? 1
  }

  return {
    head,
    heads,
    oldest,

    async get(appId: string, id: string): Promise<StoredEvent> {
      const row = await db
        .selectFrom('events')
        .selectAll()
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .executeTakeFirst()
      if (!row) throw notFound('event')
      return toStoredEvent(row)
    },

    /** Those of some events that exist, in one query. */
    async getMany(appId: string, ids: readonly string[]): Promise<StoredEvent[]> {
      if (ids.length === 0) return []
      const rows = await db
        .selectFrom('events')
        .selectAll()
        .where('app_id', '=', appId)
        .where('id', 'in', [...ids])
        .execute()
      return rows.map(toStoredEvent)
    },

    /** The first children of each of some events, in the order of the log, in one query. */
    async childrenOf(appId: string, ids: readonly string[], first: number): Promise<StoredEvent[]> {
      const { rows } = await sql<EventRow>`
        select e.* from unnest(${ids}::uuid[]) as origin(id)
         cross join lateral (select * from events
                where app_id = ${appId} and origin_event_id = origin.id
                order by position limit ${first}) e
         order by e.position`.execute(db)
      return rows.map(toStoredEvent)
    },

    /**
     * A page may hold fewer events than asked for although there are more: when a condition has no index,
     * a page ends after a number of events looked at, and its cursor goes on from there.
     */
    async list(appId: string, { filter, order, size, after }: EventListOptions): Promise<Page<StoredEvent>> {
      const conditions = await resolveFilter(db, eventTypes, appId, filter)
      if (!conditions) return toPage<StoredEvent>([], size, String)
      const query = { appId, order, limit: size + 1, after, ...conditions }
      const { rows, lastLookedAt } = await readList(query, listQuery(query), (found) => found.length > size)
      const page = toPage(rows.map(toStoredEvent), size, ({ position }) => String(position))
      if (lastLookedAt === undefined) return page
      return { ...page, pageInfo: { hasNextPage: true, endCursor: toCursor(String(lastLookedAt)) } }
    },

    /** How many events a filter takes; undefined when that would take looking at too many. */
    async count(appId: string, filter: EventFilter): Promise<number | undefined> {
      const conditions = await resolveFilter(db, eventTypes, appId, filter)
      if (!conditions) return 0
      if (Object.values(conditions).every((condition) => condition === undefined)) return head(appId)
      const query: ListQuery = { appId, order: 'desc', limit: MAX_COUNT + 1, ...conditions }
      const isTooMany = ([row]: { count: number }[]) => (row?.count ?? 0) > MAX_COUNT
      const { rows, lastLookedAt } = await readList(query, countQuery(query), isTooMany)
      return isTooMany(rows) || lastLookedAt !== undefined ? undefined : (rows[0]?.count ?? 0)
    },

    /** Where events stand, in at most one query for those whose state is not given. */
    async states(
      appId: string,
      events: readonly { event: StoredEvent; state?: EventState | undefined }[],
    ): Promise<EventState[]> {
      const unknown = events.filter(({ state }) => state === undefined).map(({ event }) => event)
      const states = await readStates(executor, appId, unknown)
      return events.map(({ event, state }) => (state ?? states.get(event.id)) as EventState)
    },

    /** The JSON of events with where they stand, and with the entities behind their edges where asked for. */
    async toJson(
      appId: string,
      events: readonly { event: StoredEvent; state?: EventState | undefined }[],
      include?: 'entities',
    ): Promise<string[]> {
      const [states, edges] = await Promise.all([
        this.states(appId, events),
        include && edgesWithEntities(db, appId, events, publicUrl),
      ])
      return events.map(({ event }, index) => eventJson(event, states[index], edges?.[index]))
    },

    /** Events in the JSON format of CloudEvents, with what their edges point to. */
    async toCloudEvents(appId: string, events: readonly { event: StoredEvent }[]): Promise<string[]> {
      const texts = events.map(({ event }) => event.edges)
      const edges = await readSentEdges(appId, texts)
      return events.map(({ event }, index) => cloudEventJson({ ...event, edges: edges[index] as SentEdges }))
    },

    /** Events after a position, oldest first. What is committed by the time of the call has no gaps. */
    async readAfter(appId: string, position: number, limit: number): Promise<StoredEvent[]> {
      const { rows } = await listQuery({ appId, order: 'asc', limit, after: position }).execute(db)
      return rows.map(toStoredEvent)
    },
  }
}

export type EventReader = ReturnType<typeof createEventReader>

/** JSON of the edges of each event with what they point to: one query for each kind of entity. */
async function edgesWithEntities(
  db: Database,
  appId: string,
  events: readonly { event: StoredEvent }[],
  publicUrl: string | undefined,
): Promise<string[]> {
  const edges = events.map(({ event }) => JSON.parse(event.edges) as Static<typeof Edges>)
  const find = await readEntities(db, appId, edges.flat() satisfies EntityRef[], publicUrl)
  return edges.map((own) => JSON.stringify(own.map((edge) => ({ ...edge, entity: find(edge) ?? null }))))
}
