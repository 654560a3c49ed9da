import { sql } from 'kysely'
import { notFound, Problem } from '../../platform/http/problems.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { DeliveryQueue } from './dispatch/delivery-queue.ts'

/** What a person does to a single delivery. */
export function createDeliveryControl({
  db,
  queue,
  graceMs,
}: {
  db: Database
  queue: DeliveryQueue
  graceMs: number
}) {
  /** @throws Problem `not-found`, `conflict` */
  async function explain(appId: string, id: string): Promise<never> {
    const row = await db
      .selectFrom('deliveries as d')
      .innerJoin('subscriptions as s', (join) =>
        join.onRef('s.app_id', '=', 'd.app_id').onRef('s.id', '=', 'd.subscription_id'),
      )
      .select(['d.status', 's.deleted_at', 's.disabled_at'])
      .where('d.app_id', '=', appId)
      .where('d.id', '=', id)
      .executeTakeFirst()
    if (!row) throw notFound('delivery')
    if (row.deleted_at) throw new Problem('conflict', 'Its subscription was deleted.')
    if (row.disabled_at) throw new Problem('conflict', 'Its subscription is disabled; enable it first.')
    if (row.status === 'pending') throw new Problem('conflict', 'An attempt is under way.')
    throw new Problem('conflict', `It is ${row.status}.`)
  }

  /** What waited for a delivery of its key may go on. */
  async function feedNow(appId: string, subscriptionId: string): Promise<void> {
    await sql`
      update subscription_states set feed_at = now()
       where app_id = ${appId} and subscription_id = ${subscriptionId} and feed_at is not null`.execute(db)
  }

  return {
    /**
     * Has one more attempt made now, whatever became of the delivery: also where sending is held, unless its flow
     * is limited. After the last attempt of its schedule it is the only one. In an order one that is parked
     * stays so until it is taken, since those after it are not to see a gap.
     */
    async retry(appId: string, id: string): Promise<void> {
      const { rows } = await sql<{ subscription_id: string }>`
        update deliveries d
           set status = 'pending', completed_at = null, trigger = 'manual', recovery_id = null, next_attempt_at = now(),
               due_at = case when d.status = 'pending' and d.ordering_key is not null and d.due_at = 'infinity' then d.due_at
                             else now() + ${graceMs}::int4 * interval '1 millisecond' end, lease_until = null
          from subscriptions s
         where d.app_id = ${appId} and d.id = ${id} and (d.lease_until is null or d.lease_until < now())
           and s.app_id = d.app_id and s.id = d.subscription_id and s.deleted_at is null and s.disabled_at is null
        returning d.subscription_id`.execute(db)
      const [row] = rows
      if (!row) return explain(appId, id)
      queue.enqueue([{ appId, id, subscriptionId: row.subscription_id }])
    },

    /** Ends a delivery that is dead, or still to be made, for good. */
    async discard(appId: string, id: string): Promise<void> {
      const { rows } = await sql<{ subscription_id: string; ordering_key: string | null }>`
        update deliveries set status = 'cancelled', completed_at = now()
         where app_id = ${appId} and id = ${id} and status in ('pending', 'dead')
           and (lease_until is null or lease_until < now())
        returning subscription_id, ordering_key`.execute(db)
      const [row] = rows
      if (!row) return explain(appId, id)
      // Not in one statement with it: a feed takes these locks the other way round.
      if (row.ordering_key !== null) await feedNow(appId, row.subscription_id)
    },
  }
}

export type DeliveryControl = ReturnType<typeof createDeliveryControl>
