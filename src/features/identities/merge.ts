import { sql } from 'kysely'
import { Problem } from '../../platform/http/problems.ts'
import { newId } from '../../platform/identifiers/ids.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { NewEvent } from '../events/index.ts'

/** Two users that are one. */
export interface Merging {
  source: string
  target: string
}

/** One merging of an app at a time, until the transaction ends: two that meet must not merge in a circle. */
export const lockMerging = (transaction: Database, appId: string) =>
  sql`select pg_advisory_xact_lock(hashtext(${`activation ${appId}`}))`.execute(transaction)

/**
 * Makes one user of two: the target gets the source's platform users, and whoever was merged into the source
 * before. Nothing of the log changes; queries by the target find what is about the source.
 */
export async function mergeUsers(
  transaction: Database,
  appId: string,
  { source, target }: Merging,
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

/**
 * Whose a platform user is now.
 *
 * @throws Problem `unknown-reference`
 */
export async function requirePlatformUser(transaction: Database, appId: string, id: string) {
  const row = await transaction
    .selectFrom('platform_users as p')
    .innerJoin('users as u', (join) =>
      join.onRef('u.app_id', '=', 'p.app_id').onRef('u.id', '=', 'p.user_id'),
    )
    .select((eb) => eb.fn.coalesce('u.merged_into', 'u.id').as('user_id'))
    .where('p.app_id', '=', appId)
    .where('p.id', '=', id)
    .executeTakeFirst()
  if (!row) throw new Problem('unknown-reference', 'There is no platform user with this id.')
  return row
}

/** The event that tells of a merge. @param originEventId what caused it */
export const mergedOf = ({ source, target }: Merging, originEventId?: string): NewEvent =>
  toEvent(
    'user.merged',
    { source_user_id: source, target_user_id: target },
    {
      id: newId(),
      ...(originEventId !== undefined && { originEventId }),
      edges: [
        { type: 'source', targetType: 'user', targetId: source },
        { type: 'target', targetType: 'user', targetId: target },
      ],
    },
  )

export function toEvent(
  type: string,
  payload: object,
  rest: Pick<NewEvent, 'originEventId' | 'edges'> & { id: string },
): NewEvent & { id: string } {
  return { type, payload: JSON.stringify(payload), payloadValue: payload, ...rest }
}
