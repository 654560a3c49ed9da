import { sql } from 'kysely'
import type { Database } from '../../platform/postgres/pool.ts'

/**
 * Makes one user of two: the target gets the source's platform users, and whoever was merged into the source
 * before. Nothing of the log changes; queries by the target find what is about the source.
 */
export async function mergeUsers(
  transaction: Database,
  appId: string,
  { source, target }: { source: string; target: string },
): Promise<void> {
  // First, so that a platform user which is being added to the source waits, and then goes to the target.
  await transaction
    .updateTable('users')
    .set({ merged_into: target, updated_at: sql`now()` })
    .where('app_id', '=', appId)
    .where((eb) => eb.or([eb('id', '=', source), eb('merged_into', '=', source)]))
    .execute()
  await transaction
    .updateTable('platform_users')
    .set({ user_id: target, updated_at: sql`now()` })
    .where('app_id', '=', appId)
    .where('user_id', 'in', (eb) =>
      eb.selectFrom('users').select('id').where('app_id', '=', appId).where('merged_into', '=', target),
    )
    .execute()
}
