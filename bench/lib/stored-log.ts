import pg from 'pg'
import { payload } from './events.ts'

/** Events are as far apart as makes the whole log so long. */
const SPAN_MS = 30 * 86_400_000
/** Filled at once; between two of these a run can end, and says how far it is. */
const STEP = 250_000
/** Apps beside the one that is asked; together they have a fifth of the events. */
const OTHER_APPS = 10
export const COMMON_TYPES = 20
/** Of a type that is rare, all of them at the beginning. */
export const RARE_TYPE = 'shop.refunded'
const RARE_EVENTS = 20
const USERS = 1_000
/** So many of the users turned out to be the first of them. */
const MERGED_USERS = 10

/** A log that the database filled by itself. */
export interface StoredLog {
  /** Of the app that is asked: its newest position. */
  head: number
  /** Of the event at a position of that app. */
  idAt(position: number): string
  momentAt(position: number): string
  /** A user with a thousandth of the edges to users, and one who is known as several. */
  userId: string
  mergedUserId: string
}

/**
 * Fills the tables with events of several apps, four of five of them of the one given, in the order of their
 * time. Of that app:
 *
 * - its types are `shop.common_0` to `shop.common_19`, and a rare one at the beginning;
 * - a tenth are children of the first event;
 * - half have an edge `placed_by` to one of 1,000 users, a quarter `placed_in` to the same shop;
 * - a fifth were delivered; of a thousand one waits for its first attempt, one for another, one is dead.
 */
export async function fillLog(
  databaseUrl: string,
  appId: string,
  events: number,
  say: (text: string) => void,
): Promise<StoredLog> {
  const start = Date.now() - SPAN_MS
  const stepMs = SPAN_MS / events
  const database = new pg.Pool({
    connectionString: databaseUrl,
    max: 3,
    options: '-c synchronous_commit=off',
  })
  try {
    await database.query(functions(start, stepMs, appId))
    await database.query(PREPARE, [appId])
    for (let from = 1; from <= events; from += STEP) {
      const to = Math.min(events, from + STEP - 1)
      await Promise.all(FILL.map((statement) => database.query(statement, [from, to])))
      if (events > STEP) say(`filled ${to.toLocaleString('en')} of ${events.toLocaleString('en')} events`)
    }
    await database.query(FINISH)
    await database.query('vacuum (analyze) events, event_edges, deliveries, app_logs, users, event_types')
    await database.query('checkpoint')
    const { rows } = await database.query<{ user_ids: string[]; head: number }>(
      `select array[bench_user(${MERGED_USERS + 7}), bench_user(0)] as user_ids, head::int as head
         from app_logs where app_id = $1`,
      [appId],
    )
    const [{ user_ids: [userId = '', mergedUserId = ''], head } = { user_ids: [], head: 0 }] = rows
    const momentMs = (position: number): number => start + numberAt(position) * stepMs
    return {
      head,
      idAt: (position) => idOf(momentMs(position), numberAt(position)),
      momentAt: (position) => new Date(momentMs(position)).toISOString(),
      userId,
      mergedUserId,
    }
  } finally {
    await database.end()
  }
}

/** Of five events the fifth is of another app. */
const numberAt = (position: number): number => position + Math.floor((position - 1) / 4)

/** As `bench_id` has it for an event. */
function idOf(ms: number, number: number): string {
  const time = Math.floor(ms).toString(16).padStart(12, '0')
  const digits = `${time}70008000${(number * 4).toString(16).padStart(12, '0')}`
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

const functions = (start: number, stepMs: number, appId: string): string => `
  create function bench_ms(n int8) returns float8 language sql immutable as
    $$ select ${start}::float8 + n * ${stepMs}::float8 $$;
  create function bench_id(n int8, kind int) returns uuid language sql immutable as
    $$ select (lpad(to_hex(floor(bench_ms(n))::int8), 12, '0') || '70008000'
               || lpad(to_hex(n * 4 + kind), 12, '0'))::uuid $$;
  create function bench_app(n int8) returns uuid language sql immutable as
    $$ select case when n % 5 <> 0 then '${appId}'::uuid
                   else ('01900000-0000-7000-8000-00000000000' || (n / 5) % ${OTHER_APPS})::uuid end $$;
  create function bench_position(n int8) returns int8 language sql immutable as
    $$ select case when n % 5 <> 0 then n - n / 5 else (n / 5 - 1) / ${OTHER_APPS} + 1 end $$;
  create function bench_user(number int8) returns uuid language sql immutable as
    $$ select ('01900000-0000-7000-9000-' || lpad(number::text, 12, '0'))::uuid $$;`

const PREPARE = `
  with types as (
    insert into event_types (app_id, id, name)
    select $1, gen_random_uuid(), name
      from (select 'shop.common_' || n as name from generate_series(0, ${COMMON_TYPES - 1}) n
            union all select '${RARE_TYPE}') names
  ), owners as (
    insert into users (app_id, id) values ($1, bench_user(0)) returning id
  ), others as (
    insert into users (app_id, id, name, merged_into)
    select $1, bench_user(n), 'User ' || n, case when n < ${MERGED_USERS} then owners.id end
      from generate_series(1, ${USERS - 1}) n, owners
  )
  update app_logs set types_version = types_version + 1 where app_id = $1`

/** Of a payload as the benches have it, with its own number in it. */
const [BEFORE_NUMBER = '', AFTER_NUMBER = ''] = JSON.stringify(payload(0)).split('100000')

const PLACED_BY = `'[{"type":"placed_by","targetType":"user","targetId":"' || bench_user(p % ${USERS}) || '"}]'`
const PLACED_IN = `'[{"type":"placed_in","targetType":"shop","targetId":"main"}]'`
const NUMBERS = `generate_series($1::int8, $2::int8) n,
       lateral (select bench_app(n) as app_id, bench_position(n) as p, bench_id(n, 0) as id,
                       to_timestamp(bench_ms(n) / 1000) as moment) e`

const FILL = [
  `insert into events (app_id, id, position, event_type_id, type, payload, edges, origin_event_id, created_at)
   select app_id, id, p, app_id,
          case when p <= ${RARE_EVENTS} then '${RARE_TYPE}' else 'shop.common_' || (p * 7919) % ${COMMON_TYPES} end,
          ('${BEFORE_NUMBER}' || 100000 + p || '${AFTER_NUMBER}')::json,
          (case when p % 2 = 0 then ${PLACED_BY} when p % 4 = 1 then ${PLACED_IN} else '[]' end)::json,
          case when p > 10 and p % 10 = 0 then bench_id(1, 0) end, moment
     from ${NUMBERS}`,
  `insert into event_edges (app_id, event_id, ordinal, type, target_type, target_id, position)
   select app_id, id, 0, case when p % 2 = 0 then 'placed_by' else 'placed_in' end,
          case when p % 2 = 0 then 'user' else 'shop' end,
          case when p % 2 = 0 then bench_user(p % ${USERS})::text else 'main' end, p
     from ${NUMBERS}
    where p % 2 = 0 or p % 4 = 1`,
  `insert into deliveries (app_id, id, event_id, position, subscription_id, status, attempts, created_at,
                           next_attempt_at, due_at, completed_at)
   select app_id, bench_id(n, 1), id, p, app_id, status, attempts, moment, moment, moment,
          case when status <> 'pending' then moment end
     from ${NUMBERS},
          lateral (select 'succeeded' as status, 1 as attempts where p % 5 = 0
                   union all select 'pending', 0 where p % 1000 = 1
                   union all select 'pending', 2 where p % 1000 = 2
                   union all select 'dead', 3 where p % 1000 = 3) delivery`,
]

const FINISH = `
  with other as (
    insert into apps (id, name)
    select bench_app(5 * n), 'other' from generate_series(0, ${OTHER_APPS - 1}) n returning id
  ), other_log as (
    insert into app_logs (app_id, head)
    select id, coalesce((select max(position) from events where app_id = id), 0) from other
  )
  update app_logs l
     set head = greatest(head, (select position from events e where e.app_id = l.app_id order by position desc limit 1))`

/**
 * Has a subscription owed every event of an app, and leaves nothing else that is to be delivered. One half is
 * parked, the other waits for a retry tomorrow.
 *
 * @param databaseUrl of a database that `fillLog` filled
 */
export async function oweAll(databaseUrl: string, appId: string, subscriptionId: string): Promise<void> {
  await settleAll(databaseUrl)
  await inDatabase(databaseUrl, async (database) => {
    const { rows } = await database.query<{ head: number }>(
      'select head::int as head from app_logs where app_id = $1',
      [appId],
    )
    const head = rows[0]?.head ?? 0
    for (let from = 1; from <= head; from += STEP) {
      await database.query(OWE, [appId, subscriptionId, from, Math.min(head, from + STEP - 1)])
    }
    await database.query('vacuum (analyze) deliveries')
  })
}

/** Ends every delivery that `fillLog` left open: a worker would take them up. */
export async function settleAll(databaseUrl: string): Promise<void> {
  await inDatabase(databaseUrl, async (database) => {
    await database.query(
      `update deliveries set status = 'succeeded', completed_at = created_at where status <> 'succeeded'`,
    )
    await database.query('vacuum (analyze) deliveries')
    await database.query('checkpoint')
  })
}

async function inDatabase(databaseUrl: string, work: (database: pg.Client) => Promise<void>): Promise<void> {
  const database = new pg.Client({ connectionString: databaseUrl })
  await database.connect()
  try {
    await work(database)
  } finally {
    await database.end()
  }
}

const OWE = `
  insert into deliveries (app_id, id, event_id, position, subscription_id, attempts, created_at, next_attempt_at, due_at)
  select app_id, bench_id(position + (position - 1) / 4, 2), id, position, $2, position % 2, created_at,
         case when position % 2 = 0 then created_at else now() + interval '1 day' end,
         case when position % 2 = 0 then 'infinity' else now() + interval '1 day' end
    from events
   where app_id = $1 and position between $3 and $4`
