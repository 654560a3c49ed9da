import { sql } from 'kysely'
import type { Database } from '../../platform/postgres/pool.ts'

/** Deliveries cancelled in one statement. */
const BATCH = 5_000

/**
 * Cancels what a deleted subscription is still owed, except for what is under way; nothing is added any more.
 * Should the process end in between, workers cancel the rest as they come to them.
 */
export async function cancelOwed(db: Database, appId: string, subscriptionId: string): Promise<void> {
  for (;;) {
    const { numAffectedRows } = await sql`
      update deliveries set status = 'cancelled', completed_at = now()
       where app_id = ${appId} and id in (
         select id from deliveries
          where app_id = ${appId} and subscription_id = ${subscriptionId} and status = 'pending'
            and (lease_until is null or lease_until < now())
          limit ${BATCH} for update skip locked)`.execute(db)
    if (!numAffectedRows) return
  }
}
