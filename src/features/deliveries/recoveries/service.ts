import { sql, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { notFound, Problem } from '../../../platform/http/problems.ts'
import { toPage, type Page } from '../../../platform/http/pagination.ts'
import { readTime } from '../../../platform/http/times.ts'
import { newId } from '../../../platform/identifiers/ids.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { Recoveries } from '../../../platform/postgres/tables.ts'
import { statusBefore, type Criteria } from './criteria.ts'
import type { DiscardMany, Recovery, RecoveryQuery, Replay, RetryMany } from './schemas.ts'

type RecoveryBody = Static<typeof Recovery>
type Kind = RecoveryBody['kind']

/** Recoveries that an app may have running or paused. */
const MAX_OPEN = 20

/** Replays, retries and discards of many: asked for here, done by a worker (`runner.ts`). */
export function createRecoveryService(db: Database) {
  async function get(appId: string, id: string): Promise<RecoveryBody> {
    const row = await db
      .selectFrom('recoveries')
      .selectAll()
      .where('app_id', '=', appId)
      .where('id', '=', id)
      .executeTakeFirst()
    if (!row) throw notFound('recovery')
    return toRecovery(row)
  }

  async function add(
    appId: string,
    kind: Kind,
    subscriptionId: string | undefined,
    criteria: Criteria,
    total: number,
  ): Promise<RecoveryBody> {
    return db.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(hashtextextended(${`recoveries of ${appId}`}, 0))`.execute(
        transaction,
      )
      const { open } = await transaction
        .selectFrom('recoveries')
        .select((eb) => eb.fn.countAll<number>().as('open'))
        .where('app_id', '=', appId)
        .where('status', 'in', ['running', 'paused'])
        .executeTakeFirstOrThrow()
      if (open >= MAX_OPEN) {
        throw new Problem('conflict', `${MAX_OPEN} recoveries are running or paused; cancel one or wait.`)
      }
      const row = await transaction
        .insertInto('recoveries')
        .values({
          app_id: appId,
          id: newId(),
          kind,
          subscription_id: subscriptionId ?? null,
          criteria: JSON.stringify(criteria),
          total,
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      return toRecovery(row)
    })
  }

  async function checkSubscription(appId: string, id: string): Promise<void> {
    const row = await db
      .selectFrom('subscriptions')
      .select('id')
      .where('app_id', '=', appId)
      .where('id', '=', id)
      .where('addressed', '=', false)
      .where('deleted_at', 'is', null)
      .executeTakeFirst()
    if (!row) throw notFound('subscription')
  }

  async function addOfDeliveries(
    appId: string,
    kind: 'retry' | 'discard',
    status: 'dead' | 'cancelled',
    { subscriptionId, from, to, eventPatterns }: Static<typeof DiscardMany>,
  ): Promise<RecoveryBody> {
    const notBefore = from === undefined ? undefined : readTime('from', from)
    const before = to === undefined ? undefined : readTime('to', to)
    if (subscriptionId !== undefined) await checkSubscription(appId, subscriptionId)
    const { total } = await db
      .selectFrom('deliveries')
      .select((eb) => eb.fn.countAll<number>().as('total'))
      .where('app_id', '=', appId)
      .where('status', '=', status)
      .$if(subscriptionId !== undefined, (query) => query.where('subscription_id', '=', subscriptionId ?? ''))
      .$if(notBefore !== undefined, (query) => query.where('created_at', '>=', notBefore as Date))
      .$if(before !== undefined, (query) => query.where('created_at', '<', before as Date))
      .executeTakeFirstOrThrow()
    return add(appId, kind, subscriptionId, { status, from, to, eventPatterns }, total)
  }

  /** @throws Problem `conflict` where its status does not allow it */
  async function move(
    appId: string,
    id: string,
    from: readonly RecoveryBody['status'][],
    to: RecoveryBody['status'],
  ): Promise<RecoveryBody> {
    const row = await db
      .updateTable('recoveries')
      .set({
        status: to,
        updated_at: sql`now()`,
        run_at: sql`now()`,
        completed_at: to === 'cancelled' ? sql`now()` : null,
      })
      .where('app_id', '=', appId)
      .where('id', '=', id)
      .where('status', 'in', from)
      .returningAll()
      .executeTakeFirst()
    if (row) return toRecovery(row)
    const { status } = await get(appId, id)
    if (status === to) return get(appId, id)
    throw new Problem('conflict', `It is ${status}.`)
  }

  return {
    get,

    async list(
      appId: string,
      { subscriptionId, status }: Static<typeof RecoveryQuery>,
      size: number,
      after: string | undefined,
    ): Promise<Page<RecoveryBody>> {
      const rows = await db
        .selectFrom('recoveries')
        .selectAll()
        .where('app_id', '=', appId)
        .$if(subscriptionId !== undefined, (query) =>
          query.where('subscription_id', '=', subscriptionId ?? null),
        )
        .$if(status !== undefined, (query) => query.where('status', '=', status ?? ''))
        .$if(after !== undefined, (query) => query.where('id', '<', after ?? ''))
        .orderBy('id', 'desc')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toRecovery), size, ({ id }) => id)
    },

    /** Has part of the log delivered again to a subscription, as its patterns and its filter are now. */
    async replay(
      appId: string,
      subscriptionId: string,
      { fromPosition = 1, toPosition, from, to, eventPatterns }: Static<typeof Replay>,
    ): Promise<RecoveryBody> {
      await checkSubscription(appId, subscriptionId)
      const { rows } = await sql<{ first: number; last: number }>`
        select greatest(${fromPosition}::int8, ${positionOf('from', from)}) as first,
               least(head, ${toPosition ?? null}::int8, ${positionOf('to', to)} - 1) as last
          from app_logs where app_id = ${appId}`.execute(db)
      const { first = 1, last = 0 } = rows[0] ?? {}
      const criteria = { fromPosition: first, toPosition: last, eventPatterns }
      return add(appId, 'replay', subscriptionId, criteria, Math.max(0, last - first + 1))
    },

    /** Has one more attempt made of each of many ended deliveries. */
    retry: (appId: string, { status = 'dead', ...range }: Static<typeof RetryMany>) =>
      addOfDeliveries(appId, 'retry', status, range),

    /** Ends many dead deliveries for good. */
    discard: (appId: string, range: Static<typeof DiscardMany>) =>
      addOfDeliveries(appId, 'discard', 'dead', range),

    /** Takes nothing more on. What it took on before, a thousand deliveries at most, is still delivered. */
    pause: (appId: string, id: string) => move(appId, id, ['running'], 'paused'),
    resume: (appId: string, id: string) => move(appId, id, ['paused'], 'running'),

    /** What it took on and was not tried yet is as it was before: not owed, or dead. */
    async cancel(appId: string, id: string): Promise<RecoveryBody> {
      const recovery = await move(appId, id, ['running', 'paused'], 'cancelled')
      const status = statusBefore(recovery.kind, recovery.criteria)
      // What a worker has at this moment it recalls itself.
      await sql`
        update deliveries set status = ${status}, completed_at = now(), trigger = 'automatic'
         where app_id = ${appId} and id in (
           select id from deliveries
            where app_id = ${appId} and recovery_id = ${id} and status = 'pending'
              and trigger <> 'automatic' and (lease_until is null or lease_until < now())
              for update skip locked)`.execute(db)
      return recovery
    },
  }
}

/** Of the first event at a time or later. */
const positionOf = (name: string, time: string | undefined) =>
  time === undefined
    ? sql<number | null>`null::int8`
    : sql<number | null>`position_at(app_id, ${readTime(name, time)}::timestamptz)`

export type RecoveryService = ReturnType<typeof createRecoveryService>

const toRecovery = (row: Selectable<Recoveries>): RecoveryBody => ({
  id: row.id,
  kind: row.kind as Kind,
  subscriptionId: row.subscription_id,
  criteria: row.criteria as Record<string, unknown>,
  status: row.status as RecoveryBody['status'],
  total: row.total,
  examined: row.examined,
  affected: row.affected,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
  completedAt: row.completed_at?.toISOString() ?? null,
})
