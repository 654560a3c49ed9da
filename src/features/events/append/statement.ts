import type { Executor } from '../../../platform/postgres/pool.ts'
import { pgArray } from '../../../platform/postgres/arrays.ts'
import type { PreparedAppend, PreparedEvent } from './prepare.ts'

/**
 * The append: one statement, one round trip, one commit for the appends of any number of apps.
 *
 * It takes the lock of each app's log head, in the order of their ids so that two of these never wait for
 * each other in a circle; it goes on only with the apps whose versions are those the events were prepared
 * with. The lock is held until the commit, so positions are dense and become visible in their order. The
 * time is taken under the lock, so it never runs backwards along the positions.
 */
const APPEND = `
with app as materialized (
  select * from unnest($1::uuid[], $2::int8[], $3::int8[], $4::int4[])
    with ordinality as a(app_id, types_version, subscriptions_version, count, number)
), locked as materialized (
  select l.app_id, a.count, a.number
    from app_logs l join app a using (app_id)
   where l.types_version = a.types_version and l.subscriptions_version = a.subscriptions_version
   order by l.app_id
     for update of l
), head as materialized (
  update app_logs l set head = l.head + k.count
    from locked k
   where l.app_id = k.app_id
  returning l.app_id, k.number, l.head - k.count as base, clock_timestamp() as at
), stored_events as (
  insert into events (app_id, id, position, event_type_id, type, schema_version, schema_valid, payload, edges,
                      origin_event_id, external_id, orgid, context, topic, rooms, created_at)
  select h.app_id, e.id, h.base + e.place, e.event_type_id, e.type, e.schema_version, e.schema_valid, e.payload,
         e.edges, e.origin_event_id, e.external_id, e.orgid, e.context, e.topic, e.rooms, h.at
    from unnest($5::int4[], $6::int4[], $7::uuid[], $8::uuid[], $9::text[], $10::int4[], $11::bool[], $12::json[],
                $13::json[], $14::uuid[], $15::text[], $16::text[], $17::json[], $18::text[], $19::text[])
      as e(app, place, id, event_type_id, type, schema_version, schema_valid, payload, edges, origin_event_id,
           external_id, orgid, context, topic, rooms)
    join head h on h.number = e.app
), stored_edges as (
  insert into event_edges (app_id, event_id, ordinal, type, target_type, target_id, position)
  select h.app_id, e.event_id, e.ordinal, e.type, e.target_type, e.target_id, h.base + e.place
    from unnest($20::int4[], $21::int4[], $22::uuid[], $23::int4[], $24::text[], $25::text[], $26::text[])
      as e(app, place, event_id, ordinal, type, target_type, target_id)
    join head h on h.number = e.app
), stored_keys as (
  insert into event_keys (app_id, kind, value, event_id, content_hash)
  select h.app_id, k.kind, k.value, k.event_id, k.content_hash
    from unnest($27::int4[], $28::text[], $29::text[], $30::uuid[], $31::bytea[])
      as k(app, kind, value, event_id, content_hash)
    join head h on h.number = k.app
), owed as (
  insert into deliveries (app_id, id, event_id, position, subscription_id, ordering_key, created_at, next_attempt_at,
                          due_at)
  select h.app_id, d.id, d.event_id, h.base + d.place, d.subscription_id, d.ordering_key, h.at, h.at,
         h.at + $32::int4 * interval '1 millisecond'
    from unnest($33::int4[], $34::int4[], $35::uuid[], $36::uuid[], $37::uuid[], $38::text[])
      as d(app, place, id, event_id, subscription_id, ordering_key)
    join head h on h.number = d.app
)
select number::int4 as number, base, at from head`

/** What was stored of one app: its events take the positions after `base`, in their order. */
export interface AppendedApp {
  base: number
  at: Date
}

/**
 * Appends in one transaction what was prepared for each app.
 *
 * @param appends one entry per app
 * @param graceMs how long the queue has for new deliveries before the sweeper may queue them again
 * @returns in the order of `appends`; undefined for an app whose versions had moved on: nothing of it was stored
 * @throws a unique violation when a key is taken already: nothing at all was stored
 */
export async function runAppend(
  executor: Executor,
  appends: readonly PreparedAppend[],
  graceMs: number,
): Promise<(AppendedApp | undefined)[]> {
  const events = appends.flatMap(({ events: own }, app) =>
    own.map((event, index) => ({ event, app: app + 1, place: index + 1 })),
  )
  const edges = events.flatMap(({ event, app, place }) =>
    event.edges.map((edge, ordinal) => ({ edge, ordinal, app, place, event })),
  )
  const keys = events.flatMap(({ event, app }) => event.keys.map((key) => ({ key, app, event })))
  const owed = events.flatMap(({ event, app, place }) =>
    event.deliveries.map((delivery) => ({ delivery, app, place, event })),
  )
  const column = <T>(read: (event: PreparedEvent) => T): T[] => events.map(({ event }) => read(event))

  const { rows } = await executor.query({
    name: 'append',
    text: APPEND,
    values: [
      pgArray.uuid(appends.map(({ appId }) => appId)),
      pgArray.int8(appends.map(({ routing }) => routing.typesVersion)),
      pgArray.int8(appends.map(({ routing }) => routing.subscriptionsVersion)),
      pgArray.int4(appends.map(({ events: own }) => own.length)),

      pgArray.int4(events.map(({ app }) => app)),
      pgArray.int4(events.map(({ place }) => place)),
      pgArray.uuid(column((event) => event.id)),
      pgArray.uuid(column((event) => event.eventTypeId)),
      pgArray.text(column((event) => event.type)),
      pgArray.int4(column((event) => event.schemaVersion)),
      pgArray.bool(column((event) => event.schemaValid)),
      pgArray.json(column((event) => event.payload)),
      pgArray.json(column((event) => event.edgesJson)),
      pgArray.uuid(column((event) => event.originEventId)),
      pgArray.text(column((event) => event.externalId)),
      pgArray.text(column((event) => event.orgid)),
      pgArray.json(column((event) => event.context)),
      pgArray.text(column((event) => event.topic)),
      pgArray.text(column((event) => event.rooms)),

      pgArray.int4(edges.map(({ app }) => app)),
      pgArray.int4(edges.map(({ place }) => place)),
      pgArray.uuid(edges.map(({ event }) => event.id)),
      pgArray.int4(edges.map(({ ordinal }) => ordinal)),
      pgArray.text(edges.map(({ edge }) => edge.type)),
      pgArray.text(edges.map(({ edge }) => edge.targetType)),
      pgArray.text(edges.map(({ edge }) => edge.targetId)),

      pgArray.int4(keys.map(({ app }) => app)),
      pgArray.text(keys.map(({ key }) => key.kind)),
      pgArray.text(keys.map(({ key }) => key.value)),
      pgArray.uuid(keys.map(({ event }) => event.id)),
      pgArray.bytea(keys.map(({ key }) => key.contentHash)),

      graceMs,
      pgArray.int4(owed.map(({ app }) => app)),
      pgArray.int4(owed.map(({ place }) => place)),
      pgArray.uuid(owed.map(({ delivery }) => delivery.id)),
      pgArray.uuid(owed.map(({ event }) => event.id)),
      pgArray.uuid(owed.map(({ delivery }) => delivery.subscriptionId)),
      pgArray.text(owed.map(({ delivery }) => delivery.orderingKey)),
    ],
  })
  const results = new Array<AppendedApp | undefined>(appends.length)
  for (const { number, base, at } of rows as ({ number: number } & AppendedApp)[])
    results[number - 1] = { base, at }
  return results
}
