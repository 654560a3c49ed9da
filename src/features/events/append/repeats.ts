import { sql } from 'kysely'
import { Problem } from '../../../platform/http/problems.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import { toStoredEvent, type EventRow, type StoredEvent } from '../event.ts'
import type { AppendedEvent, Outcome } from './appended.ts'
import { keyName, type EventKey, type PreparedEvent } from './prepare.ts'

/** What was stored under a key. */
interface Repeat {
  /** undefined for one that is no longer kept: what may happen once is known for longer than what happened. */
  event: StoredEvent | undefined
  contentHash: Buffer
}

/** Events that were stored already, by the name of the key they are found under. */
export type Repeats = ReadonlyMap<string, Repeat>

interface KeyRow {
  key_app_id: string
  is_gone: boolean
  kind: string
  value: string
  content_hash: Buffer
}

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
  const { rows } = await sql<EventRow & KeyRow>`
    select e.*, k.app_id as key_app_id, e.id is null as is_gone, k.kind, k.value, k.content_hash
      from unnest(${keys.map((key) => key.appId)}::uuid[], ${keys.map((key) => key.kind)}::text[],
                  ${keys.map((key) => key.value)}::text[]) as wanted(app_id, kind, value)
      join event_keys k using (app_id, kind, value)
      left join events e on e.app_id = k.app_id and e.id = k.event_id`.execute(db)
  return new Map(
    rows.map((row) => [
      keyName(row.key_app_id, row),
      { event: row.is_gone ? undefined : toStoredEvent(row), contentHash: row.content_hash },
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
  if (events.every((event) => isRepeat(appId, event, repeats))) {
    return { events: events.map((event) => repeatOf(appId, event, repeats)), replayed: true }
  }
  const names = keys.map((key) => keyName(appId, key))
  if (names.some((name) => taken.has(name))) return 'again'
  for (const name of names) taken.add(name)
  return undefined
}

/** Whether an event is in the log already. */
export const isRepeat = (appId: string, { keys }: PreparedEvent, repeats: Repeats): boolean =>
  keys.some((key) => repeats.has(keyName(appId, key)))

export function repeatOf(appId: string, event: PreparedEvent, repeats: Repeats): AppendedEvent {
  for (const key of event.keys) {
    const repeat = repeats.get(keyName(appId, key))
    if (repeat?.event) return { event: repeat.event, state: undefined }
  }
  throw new Error('The event was neither stored nor found.')
}

/** @throws Problem `idempotency-conflict` when a key stands for other content already, or its event is gone */
export function refuseConflicts(appId: string, keys: readonly EventKey[], repeats: Repeats): void {
  const conflict = conflictIn(appId, keys, repeats)
  if (conflict) throw conflict
}

function conflictIn(appId: string, keys: readonly EventKey[], repeats: Repeats): Problem | undefined {
  for (const key of keys) {
    const repeat = repeats.get(keyName(appId, key))
    if (!repeat || (repeat.event && repeat.contentHash.equals(key.contentHash))) continue
    const what = repeat.event ? 'with other content' : 'that is no longer kept'
    return new Problem('idempotency-conflict', `The ${wordsFor(key)} was used before, for an event ${what}.`)
  }
  return undefined
}

function wordsFor({ kind, value }: EventKey): string {
  if (kind === 'external') return `externalId "${value}"`
  return kind === 'cloudevent' ? 'source and id' : 'Idempotency-Key'
}
