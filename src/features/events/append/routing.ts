import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import {
  compileSchema,
  compileWhenUsed,
  SchemaError,
  type Validate,
} from '../../../platform/json-schema/json-schema.ts'
import { parseExactly } from '../../../platform/json/exact-numbers.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import { compileRoute, type Flow, type Route } from '../../matching/index.ts'
import { GLOBAL_SCHEMA_VERSION, type GlobalTypes } from '../types/global-types.ts'
import { compileRooms, type DeclaredRooms, type RoomsOf } from '../types/rooms.ts'

/** Apps whose routing a process keeps. */
const CACHE_SIZE = 10_000

export interface RoutedType {
  id: string
  enforce: boolean
  /** The current schema, compiled; undefined for a type without one. */
  schema: { version: number; validate: Validate } | undefined
  /** undefined for a type whose events are in no room. */
  roomsOf: RoomsOf | undefined
}

/**
 * What an append needs to know of an app, as of two versions. The append's statement stores nothing when
 * the app has moved on from them, so a routing that is out of date does no harm.
 */
export interface Routing {
  typesVersion: number
  subscriptionsVersion: number
  typeOf(name: string): RoutedType | undefined
  /** The subscriptions whose patterns match a type. */
  routesOf(name: string): readonly Route[]
  /** Whether events may be addressed to a subscription. */
  isAddressable(subscriptionId: string): boolean
}

export interface RoutingCache {
  /** @throws Error for an app that does not exist */
  get(appId: string): Promise<Routing>
  /** Whether nothing changed since, by a look into the database. */
  isCurrent(appId: string, routing: Routing): Promise<boolean>
  /** Drops a routing that proved out of date, unless it was replaced by now. */
  drop(appId: string, stale: Routing): void
}

interface LoadedType extends DeclaredRooms {
  id: string
  name: string
  enforce: boolean
  version: number
  schema: object | null
}

interface LoadedSubscription {
  id: string
  patterns: string[]
  filter: Record<string, unknown> | null
  ordering: Flow['ordering'] | null
  addressed: boolean
}

export function createRoutingCache(db: Database, globalTypes: GlobalTypes): RoutingCache {
  const builtIn = toRoutedTypes(globalTypes)
  const cache = new LRUCache<string, { loading: Promise<Routing>; routing?: Routing }>({ max: CACHE_SIZE })
  const compiled = new LRUCache<string, Validate>({ max: CACHE_SIZE })

  /** All of it in one statement, so in one snapshot. */
  async function load(appId: string): Promise<Routing> {
    const { rows } = await sql<{
      types_version: number
      subscriptions_version: number
      types: string
      subscriptions: string
    }>`
      select l.types_version, l.subscriptions_version,
        (select coalesce(json_agg(json_build_object('id', t.id, 'name', t.name, 'enforce', t.enforce_validation,
                                                    'version', t.schema_version, 'schema', s.json_schema,
                                                    'topic', t.topic, 'rooms', t.rooms)), '[]')
           from event_types t
           left join event_type_schemas s
             on s.app_id = t.app_id and s.event_type_id = t.id and s.version = t.schema_version
          where t.app_id = l.app_id and t.deleted_at is null) as types,
        (select coalesce(json_agg(json_build_object('id', s.id, 'patterns', s.event_patterns, 'filter', s.filter,
                                                    'ordering', s.flow -> 'ordering', 'addressed', s.addressed) order by s.id), '[]')
           from subscriptions s
          where s.app_id = l.app_id and s.deleted_at is null) as subscriptions
        from app_logs l
       where l.app_id = ${appId}`.execute(db)
    const row = rows[0]
    if (!row) throw new Error(`App ${appId} has no log.`)
    const types = new Map(
      (JSON.parse(row.types) as LoadedType[]).map((type) => [type.name, toRouted(appId, type)]),
    )
    const all = parseExactly(row.subscriptions) as LoadedSubscription[]
    const addressable = new Set(all.filter(({ addressed }) => addressed).map(({ id }) => id))
    const routes = all.filter(({ addressed }) => !addressed).map(compileRoute)
    return {
      typesVersion: row.types_version,
      subscriptionsVersion: row.subscriptions_version,
      typeOf: (name) => types.get(name) ?? builtIn.get(name),
      routesOf: memoized(routes),
      isAddressable: (id) => addressable.has(id),
    }
  }

  function toRouted(appId: string, type: LoadedType): RoutedType {
    const { id, enforce, version, schema } = type
    const roomsOf = compileRooms(type.name, type)
    if (schema === null) return { id, enforce, schema: undefined, roomsOf }
    const validate = compiledLater(`${appId}/${id}/${version}`, schema)
    return { id, enforce, schema: { version, validate }, roomsOf }
  }

  /** Compiling takes long enough that an app's thousands of schemas must not be compiled all at once. */
  function compiledLater(key: string, schema: object): Validate {
    return (value) => {
      let validate = compiled.get(key)
      if (!validate) compiled.set(key, (validate = compileStored(schema)))
      return validate(value)
    }
  }

  return {
    get(appId) {
      const cached = cache.get(appId)
      if (cached) return cached.loading
      const entry: { loading: Promise<Routing>; routing?: Routing } = { loading: load(appId) }
      cache.set(appId, entry)
      entry.loading.then(
        (routing) => (entry.routing = routing),
        () => cache.delete(appId),
      )
      return entry.loading
    },
    async isCurrent(appId, { typesVersion, subscriptionsVersion }) {
      const row = await db
        .selectFrom('app_logs')
        .select(['types_version', 'subscriptions_version'])
        .where('app_id', '=', appId)
        .executeTakeFirst()
      return row?.types_version === typesVersion && row.subscriptions_version === subscriptionsVersion
    },
    drop(appId, stale) {
      if (cache.get(appId)?.routing === stale) cache.delete(appId)
    },
  }
}

/** A schema that was taken once but cannot be used by this version fits nothing, and says so. */
function compileStored(schema: object): Validate {
  try {
    return compileSchema(schema)
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error
    const violation = { pointer: '', detail: `cannot be checked: ${error.message}` }
    return () => [violation]
  }
}

/** The built-in types; none of them enforces its schema. */
const toRoutedTypes = ({ byName }: GlobalTypes): ReadonlyMap<string, RoutedType> =>
  new Map(
    [...byName.values()].map((type) => {
      const { id, name, jsonSchema } = type
      const schema = jsonSchema
        ? { version: GLOBAL_SCHEMA_VERSION, validate: compileWhenUsed(jsonSchema) }
        : undefined
      return [name, { id, enforce: false, schema, roomsOf: compileRooms(name, type) }]
    }),
  )

function memoized(routes: readonly Route[]): Routing['routesOf'] {
  const byType = new Map<string, readonly Route[]>()
  return (name) => {
    let matching = byType.get(name)
    if (!matching) {
      matching = routes.filter(({ matchesType }) => matchesType(name))
      byType.set(name, matching)
    }
    return matching
  }
}
