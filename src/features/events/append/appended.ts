import type { Problem } from '../../../platform/http/problems.ts'
import type { EventState, StoredEvent } from '../event.ts'

export interface AppendedEvent {
  event: StoredEvent
  /** Where it stands right after the append; undefined for one that was there already. */
  state: EventState | undefined
}

export interface Appended {
  /** In the order in which they were given. */
  events: AppendedEvent[]
  /** Whether all of them were there already, from an earlier request. */
  replayed: boolean
}

/** `again`: nothing was stored, since the app or a key changed meanwhile; prepare it anew. */
export type Outcome = Appended | 'again' | Problem
