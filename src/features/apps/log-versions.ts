import { sql } from 'kysely'
import type { Database } from '../../platform/postgres/pool.ts'

/**
 * Says that an app's types or subscriptions change in this transaction. It takes the lock that orders the
 * app's appends and holds it until the commit; appends prepared with what was before are prepared anew.
 */
export async function raiseVersion(
  transaction: Database,
  appId: string,
  version: 'types_version' | 'subscriptions_version',
): Promise<void> {
  await transaction
    .updateTable('app_logs')
    .set({ [version]: sql`${sql.ref(version)} + 1` })
    .where('app_id', '=', appId)
    .execute()
}
