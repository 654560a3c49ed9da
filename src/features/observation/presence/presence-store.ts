import { crc32 } from 'node:zlib'
import { sql } from 'kysely'
import { pgArray } from '../../../platform/postgres/arrays.ts'
import { executorIn, type Database } from '../../../platform/postgres/pool.ts'
import type { Member, PresenceChange } from '../contracts.ts'

/** Connections of dead processes that are removed in one transaction. */
const REAP_SIZE = 250

/** Advisory locks: of members, by bucket, and of the one process that removes what dead ones left. */
const MEMBER_LOCKS = 0x6d656d62
const REAPER_LOCK = 0x72656170
const BUCKETS = 128
/** A process that stops in the middle of a transaction must not keep the others waiting. */
const IDLE_TIMEOUT_MS = 5_000

/** One connection's presence, to be recorded or removed. */
export interface PresenceWrite {
  appId: string
  room: string
  memberId: string
  connectionId: string
  info: string | null
  present: boolean
}

export interface StoredChange extends PresenceChange {
  /** Larger than those of the same member's earlier changes, whichever process made them. */
  version: number
}

export interface PresenceRow {
  appId: string
  room: string
  memberId: string
  connectionId: string
}

export interface PresenceStore {
  /**
   * Records connections of a process, each at most once in a call, in one transaction.
   *
   * @returns what changed for the members by it; no other process is told the same
   */
  write(processId: string, writes: readonly PresenceWrite[]): Promise<StoredChange[]>
  /**
   * Looks for what is to be mended, in one statement: most of the time there is nothing.
   *
   * @returns how many connections of the process are recorded, and whether there is something to reap
   */
  look(processId: string): Promise<{ recorded: number; hasDead: boolean }>
  /**
   * Removes some of what dead processes left, unless another process does so just now.
   *
   * @returns what changed for the members, and whether there may be more to remove
   */
  reap(processId: string): Promise<{ changes: StoredChange[]; more: boolean }>
  rowsOf(processId: string): Promise<PresenceRow[]>
  list(appId: string, room: string, limit: number): Promise<Member[]>
}

/** A connection that the statement below is told of; without `present` only its member is looked at. */
interface Wanted {
  appId: string
  room: string
  memberId: string
  connectionId: string | null
  info: string | null
  present: boolean | null
}

/**
 * Writes, removes the connections of dead processes of the same members, and compares before with after:
 * `was_told` is whether the others believe the member to be there, `was_there` whether it was, with a live
 * process. Its own process is alive, whatever its lease says.
 */
const APPLY = `
with wanted as (
  select * from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::json[], $7::boolean[])
    as w (app_id, room, member_id, connection_id, info, present)
), members as (
  select distinct app_id, room, member_id from wanted
), both_sides as (
  select p.app_id, p.room, p.member_id, p.connection_id, true as stored,
         p.process_id = $1::uuid or exists (
           select from process_leases l
            where l.process_id = p.process_id and l.lease_until > clock_timestamp()) as live,
         null::boolean as present, p.info, p.joined_at
    from members m join presence p using (app_id, room, member_id)
  union all
  select app_id, room, member_id, connection_id, false, false, present, info, null from wanted
), connections as (
  select app_id, room, member_id, connection_id,
         bool_or(stored) as stored, bool_or(live) as live, bool_or(present) as present,
         (array_agg(info) filter (where stored))[1] as info_before,
         (array_agg(info) filter (where present))[1] as info_after,
         max(joined_at) as joined_at
    from both_sides
   group by app_id, room, member_id, connection_id
), gone as (
  delete from presence p using connections c
   where p.app_id = c.app_id and p.room = c.room and p.member_id = c.member_id
     and p.connection_id = c.connection_id and c.stored and not coalesce(c.present, c.live)
), entered as (
  insert into presence (app_id, room, member_id, connection_id, process_id, info)
  select app_id, room, member_id, connection_id, $1::uuid, info_after from connections where present
  on conflict (app_id, room, member_id, connection_id)
  do update set process_id = excluded.process_id, info = excluded.info
)
select app_id as "appId", room, member_id as "memberId", pg_current_xact_id()::text as version,
       bool_or(stored) as "wasTold",
       bool_or(stored and live) as "wasThere",
       bool_or(coalesce(present, stored and live)) as "isThere",
       (array_agg(info_before order by joined_at desc nulls last) filter (where stored))[1] as "infoBefore",
       (array_agg(info_after) filter (where present))[1] as "infoAfter"
  from connections
 group by app_id, room, member_id`

interface Applied {
  appId: string
  room: string
  memberId: string
  version: string
  wasTold: boolean
  wasThere: boolean
  isThere: boolean
  infoBefore: string | null
  infoAfter: string | null
}

/** The processes that have rows. Goes from process to process, not from row to row. */
const HOLDERS = `
with recursive holders as (
  (select process_id from presence order by process_id limit 1)
  union all
  select (select p.process_id from presence p where p.process_id > h.process_id order by p.process_id limit 1)
    from holders h where h.process_id is not null
)`

/** Which of them are others without a live lease. */
const IS_DEAD = `
       h.process_id <> $1::uuid
   and not exists (select from process_leases l
                    where l.process_id = h.process_id and l.lease_until > clock_timestamp())`

const FIND_DEAD = `${HOLDERS}
select p.app_id as "appId", p.room, p.member_id as "memberId"
  from holders h join presence p using (process_id)
 where ${IS_DEAD}
 limit ${REAP_SIZE}`

const LOOK = `${HOLDERS}
select (select count(*) from presence where process_id = $1::uuid)::int4 as recorded,
       exists (select from process_leases where lease_until <= clock_timestamp())
       or exists (select from holders h where ${IS_DEAD}) as "hasDead"`

export function createPresenceStore(db: Database): PresenceStore {
  /**
   * Runs the statement once nobody else writes presence of the same members. Its snapshot is taken when it has
   * the locks, so of two processes the second sees what the first did.
   */
  async function apply(
    transaction: Database,
    processId: string,
    wanted: readonly Wanted[],
  ): Promise<StoredChange[]> {
    const executor = executorIn(transaction)
    const buckets = [...new Set(wanted.map(bucketOf))].toSorted((a, b) => a - b)
    await executor.query({
      name: 'presence-lock',
      text: `select pg_advisory_xact_lock(${MEMBER_LOCKS}, bucket) from unnest($1::int4[]) as bucket`,
      values: [pgArray.int4(buckets)],
    })
    const { rows } = await executor.query({
      name: 'presence-apply',
      text: APPLY,
      values: [
        processId,
        pgArray.uuid(wanted.map(({ appId }) => appId)),
        pgArray.text(wanted.map(({ room }) => room)),
        pgArray.text(wanted.map(({ memberId }) => memberId)),
        pgArray.uuid(wanted.map(({ connectionId }) => connectionId)),
        pgArray.json(wanted.map(({ info }) => info)),
        pgArray.bool(wanted.map(({ present }) => present)),
      ],
    })
    return (rows as Applied[]).flatMap(changesOf)
  }

  const inTransaction = <T>(run: (transaction: Database) => Promise<T>): Promise<T> =>
    db.transaction().execute(async (transaction) => {
      await sql`select set_config('idle_in_transaction_session_timeout', ${String(IDLE_TIMEOUT_MS)}, true)`.execute(
        transaction,
      )
      return run(transaction)
    })

  return {
    write: (processId, writes) => inTransaction((transaction) => apply(transaction, processId, writes)),

    async look(processId) {
      const { rows } = await executorIn(db).query({ name: 'presence-look', text: LOOK, values: [processId] })
      return rows[0] as { recorded: number; hasDead: boolean }
    },

    async reap(processId) {
      // The lease goes first: a process that comes back finds it gone, and tells its members again.
      await sql`delete from process_leases where lease_until <= clock_timestamp()`.execute(db)
      return inTransaction(async (transaction) => {
        const lock = sql<{
          mine: boolean
        }>`select pg_try_advisory_xact_lock(${sql.lit(REAPER_LOCK)}, 0) as mine`
        const [{ mine } = { mine: false }] = (await lock.execute(transaction)).rows
        if (!mine) return { changes: [], more: false }
        const { rows } = await executorIn(transaction).query({
          name: 'presence-find-dead',
          text: FIND_DEAD,
          values: [processId],
        })
        if (rows.length === 0) return { changes: [], more: false }
        const wanted = (rows as Pick<PresenceRow, 'appId' | 'room' | 'memberId'>[]).map(
          ({ appId, room, memberId }) => ({
            appId,
            room,
            memberId,
            connectionId: null,
            info: null,
            present: null,
          }),
        )
        return {
          changes: await apply(transaction, processId, wanted),
          more: rows.length === REAP_SIZE,
        }
      })
    },

    rowsOf: (processId) =>
      db
        .selectFrom('presence')
        .select(['app_id as appId', 'room', 'member_id as memberId', 'connection_id as connectionId'])
        .where('process_id', '=', processId)
        .execute(),

    list: (appId, room, limit) =>
      db
        .selectFrom('presence as p')
        .select(['p.member_id as id', 'p.info'])
        .distinctOn('p.member_id')
        .where('p.app_id', '=', appId)
        .where('p.room', '=', room)
        .where((where) =>
          where.exists(
            where
              .selectFrom('process_leases as l')
              .select(sql.lit(1).as('one'))
              .whereRef('l.process_id', '=', 'p.process_id')
              .where('l.lease_until', '>', sql<Date>`clock_timestamp()`),
          ),
        )
        .orderBy('p.member_id')
        .orderBy('p.joined_at', 'desc')
        .limit(limit)
        .execute(),
  }
}

/** The members of a bucket have one lock, so that a transaction needs few of them. */
const bucketOf = ({ appId, room, memberId }: Wanted): number =>
  crc32(`${appId} ${room} ${memberId}`) % BUCKETS

function changesOf(applied: Applied): StoredChange[] {
  const { appId, room, memberId, wasTold, wasThere, isThere } = applied
  const changes: StoredChange[] = []
  const add = (change: PresenceChange['change'], info: string | null): void => {
    changes.push({ appId, room, change, member: { id: memberId, info }, version: Number(applied.version) })
  }
  if (wasTold && !(wasThere && isThere)) add('leave', applied.infoBefore)
  if (isThere && !wasThere) add('join', applied.infoAfter)
  return changes
}
