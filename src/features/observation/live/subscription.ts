import type { Observer } from '../../events/index.ts'
import type { PresenceChange } from '../contracts.ts'
import type { Connection } from './connection.ts'
import type { Group } from './group.ts'

/** What one observer sees of some rooms. */
export interface Subscription {
  readonly connection: Connection
  group: Group
  /** Its own place in the log; undefined while it is given what comes with the rest of its group. */
  behind: Observer | undefined
  /** Ends the wait for its connection to take more; undefined while it is given what comes. */
  stopDraining: (() => void) | undefined
  /** Told who comes and goes, where it wants to know. */
  onPresence: ((change: PresenceChange) => void) | undefined
  isEnded: boolean
}
