import { sql } from 'kysely'
import { Problem } from '../../../platform/http/problems.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import { toStoredEvent, type EventRow, type StoredEvent } from '../event.ts'
import { keyName, type NewEvent, type PreparedEvent } from './prepare.ts'

/**
 * The events that some requests repeat, by the name of the key they are found under; one query for all, and
 * none when no request has a key.
 */
export async function findRepeats(
  db: Database,
  requests: readonly { appId: string; events: readonly PreparedEvent[] }[],
): Promise<Map<string, { event: StoredEvent; contentHash: Buffer }>> {
  const keys = requests.flatMap(({ appId, events }) =>
    events.flatMap((event) => event.keys.map((key) => ({ appId, ...key }))),
  )
  if (keys.length === 0) return new Map()
  const { rows } = await sql<EventRow & { kind: string; value: string; content_hash: Buffer }>`
    select e.*, k.kind, k.value, k.content_hash
      from unnest(${keys.map((key) => key.appId)}::uuid[], ${keys.map((key) => key.kind)}::text[],
                  ${keys.map((key) => key.value)}::text[]) as wanted(app_id, kind, value)
      join event_keys k using (app_id, kind, value)
      join events e on e.app_id = k.app_id and e.id = k.event_id`.execute(db)
  return new Map(
    rows.map((row) => [
      keyName(row.app_id, row),
      { event: toStoredEvent(row), contentHash: row.content_hash },
    ]),
  )
}

/** @throws Problem `unknown-origin` naming every event whose origin is not in the app's log */
export async function refuseUnknownOrigins(
  db: Database,
  appId: string,
  events: readonly NewEvent[],
  isBatch: boolean,
): Promise<void> {
  const origins = events.flatMap(({ originEventId }) => originEventId ?? [])
  if (origins.length === 0) return
  const rows = await db
    .selectFrom('events')
    .select('id')
    .where('app_id', '=', appId)
    .where('id', 'in', [...new Set(origins)])
    .execute()
  const known = new Set(rows.map((row) => row.id))
  const errors = events.flatMap(({ originEventId }, index) =>
    originEventId === undefined || known.has(originEventId)
      ? []
      : [
          {
            pointer: `${isBatch ? `/events/${index}` : ''}/originEventId`,
            detail: 'is no event of this app',
          },
        ],
  )
  if (errors.length > 0)
    throw new Problem('unknown-origin', 'The origin event does not exist. Nothing was stored.', errors)
}
