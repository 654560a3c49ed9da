import { sql } from 'kysely'
import { Problem } from '../../../platform/http/problems.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import { toStoredEvent, type EventRow, type StoredEvent } from '../event.ts'
import type { AppendedEvent, Outcome } from './appended.ts'
import { keyName, type EventKey, type PreparedEvent } from './prepare.ts'

/** Events that are in the log already, by the name of the key they are found under. */
export type Repeats = ReadonlyMap<string, { event: StoredEvent; contentHash: Buffer }>

/**
 * The events that some requests repeat, by the name of the key they are found under; one query for all, and
 * none when no request has a key.
 */
export async function findRepeats(
  db: Database,
  requests: readonly { appId: string; events: readonly { keys: readonly EventKey[] }[] }[],
): Promise<Repeats> {
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

/**
 * What becomes of a request whose keys are known: a conflict, a replay, or another round when an earlier
 * request of the same batch is about to take one of them. Undefined: it is to be stored.
 */
export function settleRepeats(
  { appId, events }: { appId: string; events: readonly PreparedEvent[] },
  repeats: Repeats,
  taken: Set<string>,
): Outcome | undefined {
  const keys = events.flatMap((event) => event.keys)
  if (keys.length === 0) return undefined
  const conflict = conflictIn(appId, keys, repeats)
  if (conflict) return conflict
  if (events.every((event) => event.keys.some((key) => repeats.has(keyName(appId, key))))) {
    return { events: events.map((event) => repeatOf(appId, event, repeats)), replayed: true }
  }
  const names = keys.map((key) => keyName(appId, key))
  if (names.some((name) => taken.has(name))) return 'again'
  for (const name of names) taken.add(name)
  return undefined
}

export function repeatOf(appId: string, event: PreparedEvent, repeats: Repeats): AppendedEvent {
  for (const key of event.keys) {
    const repeat = repeats.get(keyName(appId, key))
    if (repeat) return { event: repeat.event, state: undefined }
  }
  throw new Error('The event was neither stored nor found.')
}

/** @throws Problem `idempotency-conflict` when a key stands for other content already */
export function refuseConflicts(appId: string, keys: readonly EventKey[], repeats: Repeats): void {
  const conflict = conflictIn(appId, keys, repeats)
  if (conflict) throw conflict
}

function conflictIn(appId: string, keys: readonly EventKey[], repeats: Repeats): Problem | undefined {
  for (const key of keys) {
    const repeat = repeats.get(keyName(appId, key))
    if (!repeat || repeat.contentHash.equals(key.contentHash)) continue
    return new Problem(
      'idempotency-conflict',
      `The ${wordsFor(key)} was used before, for an event with other content.`,
    )
  }
  return undefined
}

function wordsFor({ kind, value }: EventKey): string {
  if (kind === 'external') return `externalId "${value}"`
  return kind === 'cloudevent' ? 'source and id' : 'Idempotency-Key'
}
