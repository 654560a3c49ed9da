import type { Pool } from '../../src/platform/postgres/pool.ts'

export const APP = '01900000-0000-7000-8000-000000000001'
export const COMMON_TYPES = 20
/** A quarter of all events have an edge to it. */
export const BUSY = 'busy'
/** Three events have an edge to it, all of them at the beginning. */
export const QUIET = 'quiet'

/** How many users each of these turned out to be. An eighth of all events have an edge to one of them. */
const IDENTITIES = [2, 10, 40] as const
export type Identities = (typeof IDENTITIES)[number]

/** The id of the user that so many turned out to be. */
export const userOf = (identities: Identities): string => userId(firstOf(identities))

const firstOf = (identities: Identities): number =>
  IDENTITIES.slice(0, IDENTITIES.indexOf(identities)).reduce((sum, count) => sum + count, 0)
const userId = (number: number): string => `${USER_PREFIX}${String(number).padStart(4, '0')}`
const USER_PREFIX = '01900000-0000-7000-8000-00000001'
const USERS = IDENTITIES.reduce((sum, count) => sum + count, 0)

/** So that a million events take three months. */
const SECONDS_BETWEEN = 8

/** A log whose length can grow, filled by the database itself. */
export interface BigLog {
  /** Adds the events up to a position. */
  growTo(length: number): Promise<void>
  /** The id of the event at a position. */
  idAt(position: number): Promise<string>
  /** When the event at a position was appended. */
  momentAt(position: number): string
}

/**
 * A log over the months that have partitions. The first event has a tenth of all as its children, the second
 * three. A fifth of the events were delivered; of a thousand one waits for its first attempt, one for another
 * attempt, and one is dead.
 */
export async function createBigLog(pool: Pool): Promise<BigLog> {
  // Partitions begin and end with months: from there the log takes as many on any day.
  const today = new Date()
  const start = Date.UTC(today.getUTCFullYear(), today.getUTCMonth())
  await pool.query(`
    create function moment(n int) returns timestamptz language sql immutable as
      $$ select to_timestamp(${start / 1000} + n * ${SECONDS_BETWEEN}) $$;
    create function id_at(n int, kind int) returns uuid language sql immutable as
      $$ select (lpad(to_hex(${start} + n * ${SECONDS_BETWEEN * 1000}::bigint), 12, '0') || '70008000'
                 || lpad(to_hex(n * 2 + kind), 12, '0'))::uuid $$`)
  await withoutWal(pool)
  await pool.query(`insert into apps (id, name) values ($1, 'big')`, [APP])
  await pool.query('insert into app_logs (app_id) values ($1)', [APP])
  await pool.query(
    `insert into event_types (app_id, id, name)
     select $1, gen_random_uuid(), 'common.' || n from generate_series(0, ${COMMON_TYPES - 1}) n`,
    [APP],
  )
  for (const identities of IDENTITIES) {
    for (let number = 0; number < identities; number++) {
      const first = firstOf(identities)
      await pool.query('insert into users (app_id, id, merged_into) values ($1, $2, $3)', [
        APP,
        userId(first + number),
        number === 0 ? null : userId(first),
      ])
    }
  }
  let length = 0
  return {
    async idAt(position) {
      const { rows } = await pool.query<{ id: string }>('select id_at($1, 0) as id', [position])
      return rows[0]?.id ?? ''
    },
    momentAt: (position) => new Date(start + position * SECONDS_BETWEEN * 1000).toISOString(),
    async growTo(to) {
      await Promise.all(FILL.map((statement) => pool.query(statement, [APP, length + 1, to])))
      await pool.query('update app_logs set head = $2 where app_id = $1', [APP, to])
      await pool.query('analyze events, event_edges, deliveries')
      length = to
    },
  }
}

/** What a crash of the server would empty is filled in two thirds of the time. */
async function withoutWal(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ name: string }>(
    `select relid::text as name from unnest(array['events', 'event_edges', 'deliveries']) parent,
            pg_partition_tree(parent::regclass) where isleaf`,
  )
  for (const { name } of rows) await pool.query(`alter table ${name} set unlogged`)
}

const NUMBERS = 'generate_series($2::int, $3::int) n'

const FILL = [
  `insert into events (app_id, id, position, event_type_id, type, payload, edges, origin_event_id, created_at)
   select $1, id_at(n, 0), n, $1,
          case when n <= 5 then 'rare.first' else 'common.' || n % ${COMMON_TYPES} end,
          ('{"n":' || n || ',"tenth":' || n % 10 || '}')::json, '[]',
          case when n between 101 and 103 then id_at(2, 0) when n > 10 and n % 10 = 0 then id_at(1, 0) end,
          moment(n)
     from ${NUMBERS}`,
  `insert into event_edges (app_id, event_id, ordinal, type, target_type, target_id, position)
   select $1, id_at(n, 0), 0, type, 'user', target_id, n
     from ${NUMBERS},
          lateral (select 'sent_by' as type, '${BUSY}' as target_id where n % 4 = 0
                   union all select 'sent_by', '${QUIET}' where n in (11, 13, 15)
                   union all select case when n % 16 = 1 then 'sent_by' else 'seen_by' end,
                                    '${USER_PREFIX}' || lpad(((n / 16) % ${USERS})::text, 4, '0') where n % 8 = 1) edge`,
  `insert into deliveries (app_id, id, event_id, position, subscription_id, status, attempts, created_at,
                           next_attempt_at, due_at, completed_at)
   select $1, id_at(n, 1), id_at(n, 0), n, $1, status, attempts, moment(n), moment(n), moment(n),
          case when status <> 'pending' then moment(n) end
     from ${NUMBERS},
          lateral (select 'succeeded' as status, 1 as attempts where n % 5 = 0
                   union all select 'pending', 0 where n % 1000 = 1
                   union all select 'pending', 2 where n % 1000 = 2
                   union all select 'dead', 3 where n % 1000 = 3) delivery`,
]
