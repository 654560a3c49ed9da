import { sql, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { notFound } from '../../../platform/http/problems.ts'
import { toPage, type Page } from '../../../platform/http/pagination.ts'
import { readTime } from '../../../platform/http/times.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { Deliveries, DeliveryAttempts } from '../../../platform/postgres/tables.ts'
import type { Attempt, AttemptQuery, Delivery, DeliveryQuery } from '../schemas.ts'

/** A delivery has few attempts; this bounds what replays and manual retries may add. */
const MAX_ATTEMPTS_LISTED = 1_000
const DAY_MS = 86_400_000

/** What became of deliveries, for the API. */
export function createDeliveryReader(db: Database) {
  async function get(appId: string, id: string): Promise<Static<typeof Delivery>> {
    const row = await db
      .selectFrom('deliveries')
      .selectAll()
      .where('app_id', '=', appId)
      .where('id', '=', id)
      .executeTakeFirst()
    if (!row) throw notFound('delivery')
    return toDelivery(row)
  }

  return {
    get,

    /** Newest first. @param after an id: only older ones */
    async list(
      appId: string,
      { status, eventId, subscriptionId }: Static<typeof DeliveryQuery>,
      size: number,
      after?: string,
    ): Promise<Page<Static<typeof Delivery>>> {
      let query = db.selectFrom('deliveries').selectAll().where('app_id', '=', appId)
      if (status !== undefined) query = query.where('status', '=', status)
      if (eventId !== undefined) query = query.where('event_id', '=', eventId)
      if (subscriptionId !== undefined) query = query.where('subscription_id', '=', subscriptionId)
      if (after !== undefined) query = query.where('id', '<', after)
      const rows = await query
        .orderBy('id', 'desc')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toDelivery), size, (delivery) => delivery.id)
    },

    /** Attempts of the app, newest first. @param after an id: only older ones */
    async attemptLog(
      appId: string,
      query: Static<typeof AttemptQuery>,
      size: number,
      after?: string,
    ): Promise<Page<Static<typeof Attempt>>> {
      const { subscriptionId, outcome, trigger, responseStatus } = query
      const { 'startedAt[gte]': from, 'startedAt[lte]': to } = query
      let list = db.selectFrom('delivery_attempts').selectAll().where('app_id', '=', appId)
      if (subscriptionId !== undefined) list = list.where('subscription_id', '=', subscriptionId)
      if (outcome !== undefined) list = list.where('outcome', '=', outcome)
      if (trigger !== undefined) list = list.where('trigger', '=', trigger)
      if (responseStatus !== undefined) list = list.where('response_status', '=', responseStatus)
      if (after !== undefined) list = list.where('id', '<', after)
      // An attempt has its id when it is recorded, which is after it started, and soon after.
      if (from !== undefined) {
        const time = readTime('startedAt[gte]', from)
        list = list.where('started_at', '>=', time).where('id', '>=', idAt(time))
      }
      if (to !== undefined) {
        const time = readTime('startedAt[lte]', to)
        list = list.where('started_at', '<=', time).where('id', '<', idAt(new Date(time.getTime() + DAY_MS)))
      }
      const rows = await list
        .orderBy('id', 'desc')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toAttempt), size, ({ id }) => id)
    },

    /** Oldest first. */
    async attempts(appId: string, deliveryId: string): Promise<Static<typeof Attempt>[]> {
      await get(appId, deliveryId)
      const rows = await db
        .selectFrom('delivery_attempts')
        .selectAll()
        .where('app_id', '=', appId)
        .where('delivery_id', '=', deliveryId)
        .orderBy('id')
        .limit(MAX_ATTEMPTS_LISTED)
        .execute()
      return rows.map(toAttempt)
    },
  }
}

/** The smallest id of a moment; there are none from before 1970. */
const idAt = (time: Date) => sql<string>`first_id_at(${new Date(Math.max(0, time.getTime()))})`

export type DeliveryReader = ReturnType<typeof createDeliveryReader>

const toDelivery = (row: Selectable<Deliveries>): Static<typeof Delivery> => ({
  id: row.id,
  eventId: row.event_id,
  subscriptionId: row.subscription_id,
  status: row.status as Static<typeof Delivery>['status'],
  attempts: row.attempts,
  orderingKey: row.ordering_key,
  recoveryId: row.recovery_id,
  nextAttemptAt: row.status === 'pending' ? row.next_attempt_at.toISOString() : null,
  createdAt: row.created_at.toISOString(),
  completedAt: row.completed_at?.toISOString() ?? null,
})

const toAttempt = (row: Selectable<DeliveryAttempts>): Static<typeof Attempt> => ({
  id: row.id,
  deliveryId: row.delivery_id,
  eventId: row.event_id,
  subscriptionId: row.subscription_id,
  number: row.number,
  trigger: row.trigger as Static<typeof Attempt>['trigger'],
  outcome: row.outcome as Static<typeof Attempt>['outcome'],
  startedAt: row.started_at.toISOString(),
  durationMs: row.duration_ms,
  responseStatus: row.response_status,
  responseHeaders:
    row.response_headers === null ? null : (JSON.parse(row.response_headers) as Record<string, string>),
  responseBody: row.response_body,
  error: row.error,
})
