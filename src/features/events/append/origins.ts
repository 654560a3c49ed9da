import { Problem } from '../../../platform/http/problems.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { NewEvent } from './prepare.ts'

/** @throws Problem `unknown-origin` naming every event whose origin is neither in the app's log nor stored with it */
export async function refuseUnknownOrigins(
  db: Database,
  appId: string,
  events: readonly NewEvent[],
  isBatch: boolean,
): Promise<void> {
  const own = new Set(events.flatMap(({ id }) => id ?? []))
  const origins = events.flatMap(({ originEventId }) =>
    originEventId === undefined || own.has(originEventId) ? [] : [originEventId],
  )
  if (origins.length === 0) return
  const rows = await db
    .selectFrom('events')
    .select('id')
    .where('app_id', '=', appId)
    .where('id', 'in', [...new Set(origins)])
    .execute()
  const known = new Set(rows.map((row) => row.id))
  const errors = events.flatMap(({ originEventId, pointers }, index) =>
    originEventId === undefined || own.has(originEventId) || known.has(originEventId)
      ? []
      : [
          {
            pointer: pointers?.originEventId ?? `${isBatch ? `/events/${index}` : ''}/originEventId`,
            detail: 'is no event of this app',
          },
        ],
  )
  if (errors.length > 0)
    throw new Problem('unknown-origin', 'The origin event does not exist. Nothing was stored.', errors)
}
