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

/**
 * Takes the lock that orders an app's appends, in a transaction that will append and that locks other rows
 * which somebody who holds this lock may want: always this one first.
 */
export async function lockLog(transaction: Database, appId: string): Promise<void> {
  await transaction.selectFrom('app_logs').select('app_id').where('app_id', '=', appId).forUpdate().execute()
}
