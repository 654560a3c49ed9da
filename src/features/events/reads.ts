import { sql } from 'kysely'
import { notFound } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import { compilePatterns } from '../subscriptions/index.ts'
import {
  eventJson,
  readStates,
  toStoredEvent,
  type EventRow,
  type EventState,
  type StoredEvent,
} from './event.ts'
import type { EventTypeService } from './types/service.ts'

export interface EventFilter {
  /** Any of these types exactly. */
  type?: readonly string[]
  /** Comma-separated patterns. */
  types?: string
  typePrefix?: string
  typeContains?: string
}

export interface EventListOptions {
  filter: EventFilter
  order: 'asc' | 'desc'
  size: number
  /** Only events beyond this position, in the order of the list. */
  after: number | undefined
}

/**
 * Reading the log. A page costs the same however long the log is: it is read along the index of positions,
 * or along that of types and positions for each type that the filter takes. A filter is turned into names
 * of types first, of which an app has a bounded number.
 */
export function createEventReader(db: Database, eventTypes: EventTypeService) {
  async function get(appId: string, id: string): Promise<StoredEvent> {
    const row = await db
      .selectFrom('events')
      .selectAll()
      .where('app_id', '=', appId)
      .where('id', '=', id)
      .executeTakeFirst()
    if (!row) throw notFound('event')
    return toStoredEvent(row)
  }

  /** Undefined: every type. */
  async function typeNames(appId: string, filter: EventFilter): Promise<string[] | undefined> {
    const { type, types, typePrefix, typeContains } = filter
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

  return {
    get,

    async list(appId: string, { filter, order, size, after }: EventListOptions): Promise<Page<StoredEvent>> {
      const names = await typeNames(appId, filter)
      if (names?.length === 0) return toPage<StoredEvent>([], size, String)
      const { rows } = await listQuery({ appId, names, order, limit: size + 1, after }).execute(db)
      return toPage(rows.map(toStoredEvent), size, (event) => String(event.position))
    },

    /** The JSON of events with where they stand; at most one query, for those whose state is not given. */
    async toJson(
      appId: string,
      events: readonly { event: StoredEvent; state?: EventState | undefined }[],
    ): Promise<string[]> {
      const unknown = events.filter(({ state }) => state === undefined).map(({ event }) => event)
      const states = await readStates(db, appId, unknown)
      return events.map(({ event, state }) => eventJson(event, state ?? states.get(event.id)))
    },

    /** The position of the newest event; 0 for an empty log. */
    async head(appId: string): Promise<number> {
      const row = await db
        .selectFrom('app_logs')
        .select('head')
        .where('app_id', '=', appId)
        .executeTakeFirstOrThrow()
      return row.head
    },

    /** Events after a position, oldest first. What is committed by the time of the call has no gaps. */
    async readAfter(appId: string, position: number, limit: number): Promise<StoredEvent[]> {
      const { rows } = await listQuery({
        appId,
        names: undefined,
        order: 'asc',
        limit,
        after: position,
      }).execute(db)
      return rows.map(toStoredEvent)
    },
  }
}

export type EventReader = ReturnType<typeof createEventReader>

export interface ListQuery {
  appId: string
  /** Undefined: every type. */
  names: readonly string[] | undefined
  order: 'asc' | 'desc'
  limit: number
  after: number | undefined
}

/** The statement behind every list of events; exported for the test of its plans. */
export function listQuery({ appId, names, order, limit, after }: ListQuery) {
  const direction = sql.raw(order)
  const beyond =
    after === undefined ? sql`` : sql`and position ${sql.raw(order === 'asc' ? '>' : '<')} ${after}`
  const page = (ofType: ReturnType<typeof sql>) =>
    sql<EventRow>`select * from events where app_id = ${appId} ${ofType} ${beyond}
                  order by position ${direction} limit ${limit}`
  if (names === undefined) return page(sql``)
  if (names.length === 1) return page(sql`and type = ${names[0]}`)
  return sql<EventRow>`
    select e.* from unnest(${names}::text[]) as wanted(name)
     cross join lateral (${page(sql`and type = wanted.name`)}) e
     order by e.position ${direction} limit ${limit}`
}
