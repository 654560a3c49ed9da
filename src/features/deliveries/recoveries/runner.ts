import { sql, type Selectable } from 'kysely'
import type { Running } from '../../../feature.ts'
import { newId } from '../../../platform/identifiers/ids.ts'
import { parseExactly } from '../../../platform/json/exact-numbers.ts'
import type { Log } from '../../../platform/log/log.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { Recoveries } from '../../../platform/postgres/tables.ts'
import { repeat } from '../../../platform/time/repeat.ts'
import { compilePatterns, compileRoute, type Flow, type Route } from '../../matching/index.ts'
import type { DeliveryQueue, QueuedDelivery } from '../dispatch/delivery-queue.ts'
import type { Criteria } from './criteria.ts'

/** Events or deliveries that are looked at in one transaction. */
const STEP = 200
/** A recovery goes on while it has fewer deliveries open than this, so that it does not flood a subscription. */
const MAX_OPEN = 1_000
const OPEN_AGAIN_MS = 500

type Row = Selectable<Recoveries>

/** What one step of a recovery did. */
interface Step {
  examined: number
  /** Deliveries that are to be made now. */
  owed: QueuedDelivery[]
  affected: number
  /** Where the next step begins; undefined when there is none. */
  cursor: string | undefined
}

/**
 * Carries recoveries out, step by step: each step and how far it got are one transaction, so that whoever dies
 * in between is followed by another, without doing anything twice.
 */
export function startRecoveryRunner(options: {
  db: Database
  queue: DeliveryQueue
  log: Log
  intervalMs: number
  graceMs: number
}): Running {
  const { db, queue, log, graceMs } = options

  /** @returns whether there was something to do */
  async function runStep(): Promise<boolean> {
    const owed = await db.transaction().execute(async (transaction) => {
      const row = await transaction
        .selectFrom('recoveries')
        .selectAll()
        .where('status', '=', 'running')
        .where('run_at', '<=', sql<Date>`now()`)
        .orderBy('run_at')
        .limit(1)
        .forUpdate()
        .skipLocked()
        .executeTakeFirst()
      if (!row) return undefined
      if (row.kind !== 'discard' && (await hasManyOpen(transaction, row))) {
        await update(transaction, row, {
          run_at: sql`now() + ${OPEN_AGAIN_MS}::int4 * interval '1 millisecond'`,
        })
        return []
      }
      const step =
        row.kind === 'replay'
          ? await replay(transaction, row, graceMs)
          : await revisit(transaction, row, graceMs)
      await update(transaction, row, {
        examined: row.examined + step.examined,
        affected: row.affected + step.affected,
        run_at: sql`clock_timestamp()`,
        ...(step.cursor === undefined
          ? { status: 'completed', completed_at: sql`now()` }
          : { cursor: step.cursor }),
      })
      return step.owed
    })
    if (owed === undefined) return false
    queue.enqueue(owed)
    return true
  }

  return repeat(runStep, {
    intervalMs: options.intervalMs,
    onError: ({ message }) =>
      log.warn({ error: message }, 'a recovery made no progress; the next look tries again'),
  })
}

async function update(transaction: Database, { app_id: appId, id }: Row, values: object): Promise<void> {
  await transaction
    .updateTable('recoveries')
    .set({ updated_at: sql`now()`, ...values })
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .execute()
}

async function hasManyOpen(transaction: Database, { app_id: appId, id }: Row): Promise<boolean> {
  const rows = await transaction
    .selectFrom('deliveries')
    .select('id')
    .where('app_id', '=', appId)
    .where('recovery_id', '=', id)
    .where('status', '=', 'pending')
    .limit(MAX_OPEN)
    .execute()
  return rows.length === MAX_OPEN
}

/** Owes the subscription the next events of the log that it would get if they were appended now. */
async function replay(transaction: Database, row: Row, graceMs: number): Promise<Step> {
  const { app_id: appId, id: recoveryId } = row
  const { fromPosition = 1, toPosition = 0, eventPatterns = ['*'] } = row.criteria as Criteria
  const route = await routeOf(transaction, appId, row.subscription_id ?? '')
  const from = row.cursor === null ? fromPosition : Number(row.cursor)
  const events = await transaction
    .selectFrom('events')
    .select(['id', 'position', 'type', 'payload', 'orgid'])
    .where('app_id', '=', appId)
    .where('position', '>=', from)
    .where('position', '<=', toPosition)
    .orderBy('position')
    .limit(STEP)
    .execute()
  const last = events.at(-1)
  if (!route || !last) return { examined: 0, owed: [], affected: 0, cursor: undefined }
  const isAsked = compilePatterns(eventPatterns)
  const deliveries = events
    .filter(({ type }) => isAsked(type) && route.matchesType(type))
    .map(({ id, position, type, payload, orgid }) => {
      const value = parseExactly(payload)
      const routed = { type, payload: () => value, orgid: orgid ?? undefined }
      return { id: newId(), event: { id, position }, routed }
    })
    .filter(({ routed }) => route.accepts(routed))
  if (deliveries.length > 0) {
    await transaction
      .insertInto('deliveries')
      .values(
        deliveries.map(({ id, event, routed }) => ({
          app_id: appId,
          id,
          event_id: event.id,
          position: event.position,
          subscription_id: route.subscriptionId,
          ordering_key: route.orderingKey(routed),
          trigger: 'replay',
          recovery_id: recoveryId,
          created_at: sql<Date>`now()`,
          next_attempt_at: sql<Date>`now()`,
          due_at: sql<Date>`now() + ${graceMs}::int4 * interval '1 millisecond'`,
        })),
      )
      .execute()
  }
  return {
    examined: events.length,
    owed: deliveries.map(({ id }) => ({ appId, id, subscriptionId: route.subscriptionId })),
    affected: deliveries.length,
    cursor: last.position >= toPosition ? undefined : String(last.position + 1),
  }
}

/** Undefined for a subscription that was deleted meanwhile. */
async function routeOf(transaction: Database, appId: string, id: string): Promise<Route | undefined> {
  const row = await transaction
    .selectFrom('subscriptions')
    .select(['id', 'event_patterns', 'filter', 'flow'])
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return (
    row &&
    compileRoute({
      id: row.id,
      patterns: row.event_patterns,
      filter: row.filter === null ? null : (parseExactly(row.filter) as Record<string, unknown>),
      ordering: (row.flow as Flow | null)?.ordering ?? null,
    })
  )
}

/** Tries the next ended deliveries again, or discards them. Each is visited once, whatever becomes of it. */
async function revisit(transaction: Database, row: Row, graceMs: number): Promise<Step> {
  const { app_id: appId, id: recoveryId, kind, subscription_id: subscriptionId } = row
  const { status = 'dead', from, to, eventPatterns = ['*'] } = row.criteria as Criteria
  const found = await transaction
    .selectFrom('deliveries as d')
    .innerJoin('events as e', (join) =>
      join.onRef('e.app_id', '=', 'd.app_id').onRef('e.id', '=', 'd.event_id'),
    )
    .innerJoin('subscriptions as s', (join) =>
      join.onRef('s.app_id', '=', 'd.app_id').onRef('s.id', '=', 'd.subscription_id'),
    )
    .select(['d.id', 'd.subscription_id', 'e.type', 's.deleted_at'])
    .where('d.app_id', '=', appId)
    .where('d.status', '=', status)
    .where('d.created_at', '<=', row.created_at)
    .$if(subscriptionId !== null, (query) => query.where('d.subscription_id', '=', subscriptionId ?? ''))
    .$if(row.cursor !== null, (query) => query.where('d.id', '>', row.cursor ?? ''))
    .$if(from !== undefined, (query) => query.where('d.created_at', '>=', new Date(from ?? '')))
    .$if(to !== undefined, (query) => query.where('d.created_at', '<', new Date(to ?? '')))
    .orderBy('d.id')
    .limit(STEP)
    .execute()
  const isAsked = compilePatterns(eventPatterns)
  const meant = found.filter(
    ({ type, deleted_at: deletedAt }) => isAsked(type) && (kind === 'discard' || !deletedAt),
  )
  const ids = meant.map(({ id }) => id)
  const changed = await transaction
    .updateTable('deliveries')
    .set(
      kind === 'discard'
        ? { status: 'cancelled', completed_at: sql`now()` }
        : {
            status: 'pending',
            completed_at: null,
            trigger: 'manual',
            recovery_id: recoveryId,
            next_attempt_at: sql`now()`,
            due_at: sql`now() + ${graceMs}::int4 * interval '1 millisecond'`,
          },
    )
    .where('app_id', '=', appId)
    .where('id', 'in', ids.length === 0 ? [recoveryId] : ids)
    .where('status', '=', status)
    .returning(['id', 'subscription_id'])
    .execute()
  return {
    examined: found.length,
    owed:
      kind === 'retry'
        ? changed.map(({ id, subscription_id }) => ({ appId, id, subscriptionId: subscription_id }))
        : [],
    affected: changed.length,
    cursor: found.length < STEP ? undefined : found.at(-1)?.id,
  }
}
