import { sql, type OnConflictBuilder, type Updateable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { compileSchema, SchemaError } from '../../../platform/json-schema/json-schema.ts'
import { warningsOf } from '../../../platform/json-schema/warnings.ts'
import { raiseVersion } from '../../apps/index.ts'
import { notFound, Problem } from '../../../platform/http/problems.ts'
import { toPage, type Page } from '../../../platform/http/pagination.ts'
import { newId } from '../../../platform/identifiers/ids.ts'
import { parseAsWritten } from '../../../platform/json/exact-numbers.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { DB } from '../../../platform/postgres/tables.ts'
import type { EventType, EventTypeChange, NewEventType } from '../schemas.ts'
import { GLOBAL_SCHEMA_VERSION, type GlobalType, type GlobalTypes } from './global-types.ts'
import { checkTemplates } from './rooms.ts'

/** Types an app may have: appends look them up in memory, and each new one makes processes read them anew. */
const MAX_TYPES = 5_000

type EventTypeBody = Static<typeof EventType>

/**
 * Event types of an app. Every change raises the version in the app's log head, under the lock that orders
 * appends, so no event is ever checked against a schema that was replaced before it.
 */
export function createEventTypeService(db: Database, globalTypes: GlobalTypes) {
  const builtInTypes = [...globalTypes.byName.values()]

  function refuseReserved(name: string): void {
    if (globalTypes.byName.has(name)) throw new Problem('conflict', `"${name}" is a built-in type.`)
    if (globalTypes.isReserved(name)) {
      throw new Problem(
        'reserved-event-type',
        `"${name}": custom types may not begin with ${globalTypes.reservedPrefixes}`,
      )
    }
  }

  async function refuseTooMany(transaction: Database, appId: string): Promise<void> {
    const { count } = await transaction
      .selectFrom('event_types')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('app_id', '=', appId)
      .where('deleted_at', 'is', null)
      .executeTakeFirstOrThrow()
    if (count > MAX_TYPES) {
      throw new Problem(
        'too-many-event-types',
        `An app has at most ${MAX_TYPES} custom event types. Put what varies into the payload.`,
      )
    }
  }

  const addSchema = (transaction: Database, appId: string, typeId: string, version: number, schema: object) =>
    transaction
      .insertInto('event_type_schemas')
      .values({ app_id: appId, event_type_id: typeId, version, json_schema: JSON.stringify(schema) })
      .execute()

  const select = (appId: string) =>
    db
      .selectFrom('event_types')
      .leftJoin('event_type_schemas', (join) =>
        join
          .onRef('event_type_schemas.app_id', '=', 'event_types.app_id')
          .onRef('event_type_schemas.event_type_id', '=', 'event_types.id')
          .onRef('event_type_schemas.version', '=', 'event_types.schema_version'),
      )
      .select([
        'event_types.id',
        'event_types.name',
        'event_types.description',
        'event_types.domain',
        'event_types.topic',
        'event_types.rooms',
        'event_types.enforce_validation',
        'event_types.schema_version',
        'event_types.created_at',
        'event_types.updated_at',
        'event_type_schemas.json_schema',
      ])
      .where('event_types.app_id', '=', appId)
      .where('event_types.deleted_at', 'is', null)

  async function get(appId: string, id: string): Promise<EventTypeBody> {
    const builtIn = builtInTypes.find((type) => type.id === id.toLowerCase())
    if (builtIn) return fromGlobal(builtIn)
    const row = await select(appId).where('event_types.id', '=', id).executeTakeFirst()
    if (!row) throw notFound('event type')
    return fromRow(row)
  }

  return {
    globalTypes,
    get,

    async create(appId: string, input: Static<typeof NewEventType>): Promise<EventTypeBody> {
      refuseReserved(input.name)
      const schema = input.jsonSchema ?? null
      checkSchema(schema)
      checkTemplates(input)
      const id = await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'types_version')
        const values = {
          description: input.description ?? null,
          domain: input.domain ?? null,
          topic: input.topic ?? null,
          rooms: input.rooms ?? [],
          enforce_validation: input.enforceValidation ?? false,
        }
        const row = await transaction
          .insertInto('event_types')
          .values({ app_id: appId, id: newId(), name: input.name, schema_version: schema ? 1 : 0, ...values })
          .onConflict((conflict) => reviveDeleted(conflict, values))
          .returning(['id', 'schema_version'])
          .executeTakeFirst()
        if (!row) throw new Problem('conflict', `There is an event type "${input.name}" already.`)
        if (schema) await addSchema(transaction, appId, row.id, row.schema_version, schema)
        await refuseTooMany(transaction, appId)
        return row.id
      })
      return get(appId, id)
    },

    /** Registers types that events name for the first time. Those that exist by now are left as they are. */
    async register(appId: string, names: readonly string[]): Promise<void> {
      for (const name of names) refuseReserved(name)
      await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'types_version')
        await transaction
          .insertInto('event_types')
          .values(names.map((name) => ({ app_id: appId, id: newId(), name })))
          .onConflict((conflict) => reviveDeleted(conflict))
          .execute()
        await refuseTooMany(transaction, appId)
      })
    },

    /** The built-in types by name, then the custom ones by name. @param after a cursor: only what comes after it */
    async list(appId: string, size: number, after = ''): Promise<Page<EventTypeBody>> {
      const rows = await select(appId).execute()
      const types = [...builtInTypes.map(fromGlobal), ...rows.map(fromRow)]
        .filter((type) => placeInList(type) > after)
        .toSorted((a, b) => (placeInList(a) < placeInList(b) ? -1 : 1))
      return toPage(types.slice(0, size + 1), size, placeInList)
    },

    async change(appId: string, id: string, change: Static<typeof EventTypeChange>): Promise<EventTypeBody> {
      const before = await get(appId, id)
      refuseGlobal(before)
      if (change.jsonSchema) checkSchema(change.jsonSchema)
      checkTemplates(change)
      await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'types_version')
        const row = await transaction
          .updateTable('event_types')
          .set({
            updated_at: sql`now()`,
            ...(change.description !== undefined && { description: change.description }),
            ...(change.domain !== undefined && { domain: change.domain }),
            ...(change.topic !== undefined && { topic: change.topic }),
            ...(change.rooms !== undefined && { rooms: change.rooms }),
            ...(change.enforceValidation !== undefined && { enforce_validation: change.enforceValidation }),
            ...(change.jsonSchema !== undefined && { schema_version: sql`schema_version + 1` }),
          })
          .where('app_id', '=', appId)
          .where('id', '=', id)
          .where('deleted_at', 'is', null)
          .returning('schema_version')
          .executeTakeFirst()
        if (!row) throw notFound('event type')
        if (change.jsonSchema) await addSchema(transaction, appId, id, row.schema_version, change.jsonSchema)
      })
      return get(appId, id)
    },

    /** Events of the type stay; appending it again registers it anew, without its schema and its rooms. */
    async remove(appId: string, id: string): Promise<void> {
      refuseGlobal(await get(appId, id))
      await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'types_version')
        await transaction
          .updateTable('event_types')
          .set({ deleted_at: sql`now()` })
          .where('app_id', '=', appId)
          .where('id', '=', id)
          .execute()
      })
    },

    /** Every type name that the app's log may hold and a condition takes; those of deleted types too. */
    async namesWhere(appId: string, takes: (name: string) => boolean): Promise<string[]> {
      const rows = await db.selectFrom('event_types').select('name').where('app_id', '=', appId).execute()
      return [...globalTypes.byName.keys(), ...rows.map((row) => row.name)].filter(takes)
    },
  }
}

export type EventTypeService = ReturnType<typeof createEventTypeService>

/** A name whose type was deleted is taken again, with the next schema version; any other conflict gives no row. */
const reviveDeleted = (
  conflict: OnConflictBuilder<DB, 'event_types'>,
  values: Updateable<DB['event_types']> = {},
) =>
  conflict
    .columns(['app_id', 'name'])
    .doUpdateSet({
      enforce_validation: false,
      topic: null,
      rooms: [],
      ...values,
      deleted_at: null,
      schema_version: sql`event_types.schema_version + 1`,
      updated_at: sql`now()`,
    })
    .where('event_types.deleted_at', 'is not', null)

/** What `placeInList` gives. */
export const PLACE_CURSOR = /^[01][a-z0-9_.]{1,200}$/

/** What the list is ordered by, and its cursors are made of; it outlives the type. */
export const placeInList = ({ isGlobal, name }: { isGlobal: boolean; name: string }): string =>
  `${isGlobal ? 0 : 1}${name}`

function refuseGlobal(type: EventTypeBody): void {
  if (type.isGlobal) throw new Problem('conflict', `"${type.name}" is built in and cannot be changed.`)
}

/** Schemas are evaluated with doubles: what a schema says of a number is not exact beyond them. */
function checkSchema(schema: object | null): void {
  if (schema === null) return
  try {
    compileSchema(JSON.parse(JSON.stringify(schema)) as object)
  } catch (error) {
    if (error instanceof SchemaError) throw new Problem('invalid-schema', error.message)
    throw error
  }
}

const fromGlobal = ({
  id,
  name,
  description,
  domain,
  jsonSchema,
  topic,
  rooms,
}: GlobalType): EventTypeBody => ({
  id,
  name,
  description,
  domain,
  jsonSchema: jsonSchema as EventTypeBody['jsonSchema'],
  schemaVersion: jsonSchema === null ? 0 : GLOBAL_SCHEMA_VERSION,
  schemaWarnings: [],
  enforceValidation: false,
  isGlobal: true,
  topic,
  rooms: [...rooms],
  createdAt: null,
  updatedAt: null,
})

function readSchema(text: string | null): Pick<EventTypeBody, 'jsonSchema' | 'schemaWarnings'> {
  const jsonSchema = text === null ? null : (parseAsWritten(text) as EventTypeBody['jsonSchema'])
  return { jsonSchema, schemaWarnings: warningsOf(jsonSchema) }
}

const fromRow = (row: {
  id: string
  name: string
  description: string | null
  domain: string | null
  topic: string | null
  rooms: string[]
  enforce_validation: boolean
  schema_version: number
  created_at: Date
  updated_at: Date
  json_schema: string | null
}): EventTypeBody => ({
  id: row.id,
  name: row.name,
  description: row.description,
  ...readSchema(row.json_schema),
  schemaVersion: row.schema_version,
  enforceValidation: row.enforce_validation,
  isGlobal: false,
  topic: row.topic,
  rooms: row.rooms,
  domain: row.domain,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
})
