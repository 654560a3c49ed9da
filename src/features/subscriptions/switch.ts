import { sql } from 'kysely'
import { lockLog } from '../apps/index.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { Appender, NewEvent } from '../events/index.ts'
import { isVisible } from './rows.ts'

export type DisabledReason = 'manual' | 'failing' | 'gone'

/** Turns subscriptions off and on. Each change is told in the app's log, in the transaction that makes it. */
export function createSubscriptionSwitch(db: Database, appender: Appender) {
  return {
    /** Nothing is sent any more; what is owed is kept. One that is disabled already stays as it is. */
    async disable(appId: string, id: string, reason: DisabledReason): Promise<void> {
      if (!(await isEnabled(db, appId, id))) return
      await appender.appendWith(appId, async (transaction) => {
        await lockLog(transaction, appId)
        const row = await transaction
          .updateTable('subscriptions as s')
          .set({ disabled_at: sql`now()`, disabled_reason: reason, updated_at: sql`clock_timestamp()` })
          .from('subscription_states as t')
          .where('s.app_id', '=', appId)
          .where('s.id', '=', id)
          .where('s.disabled_at', 'is', null)
          .where('s.deleted_at', 'is', null)
          .whereRef('t.app_id', '=', 's.app_id')
          .whereRef('t.subscription_id', '=', 's.id')
          .returning(['s.name', 't.consecutive_failures', 't.failing_since'])
          .executeTakeFirst()
        if (!row) return { events: [], result: undefined }
        const event = subscriptionEvent('disabled', id, {
          name: row.name,
          reason,
          consecutiveFailures: row.consecutive_failures,
          failingSince: row.failing_since?.toISOString() ?? null,
        })
        return { events: [event], result: undefined }
      })
    },

    /**
     * What was kept is delivered at once, and the time until it is disabled again begins anew. It also ends a
     * hold, of one that is enabled.
     */
    async enable(appId: string, id: string): Promise<void> {
      await db.transaction().execute(async (transaction) => {
        const { numUpdatedRows } = await transaction
          .updateTable('subscriptions')
          .set({ disabled_at: null, disabled_reason: null, updated_at: sql`clock_timestamp()` })
          .where(isVisible(appId, id))
          .executeTakeFirst()
        if (numUpdatedRows === 0n) return
        await transaction
          .updateTable('subscription_states')
          .set({
            consecutive_failures: 0,
            failing_since: null,
            holds: 0,
            held_until: null,
            feed_at: sql`now()`,
          })
          .where('app_id', '=', appId)
          .where('subscription_id', '=', id)
          .execute()
      })
    },
  }
}

export type SubscriptionSwitch = ReturnType<typeof createSubscriptionSwitch>

/** False also for one that does not exist, or was deleted meanwhile. */
async function isEnabled(db: Database, appId: string, id: string): Promise<boolean> {
  const row = await db
    .selectFrom('subscriptions')
    .select('disabled_at')
    .where(isVisible(appId, id))
    .executeTakeFirst()
  return row?.disabled_at === null
}

/** An event that tells what became of a subscription (SPEC section 3). */
export function subscriptionEvent(
  what: 'failing' | 'disabled' | 'recovered',
  subscriptionId: string,
  more: Record<string, unknown>,
): NewEvent {
  const payload = { subscriptionId, ...more }
  return { type: `system.subscription.${what}`, payload: JSON.stringify(payload), payloadValue: payload }
}
