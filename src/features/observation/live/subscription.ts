import type { Observer } from '../../events/index.ts'
import type { PresenceChange } from '../contracts.ts'
import type { Connection } from './connection.ts'
import type { Group } from './group.ts'

/** What keeps the subscriptions of an app. */
export interface Subscribers {
  /** The position up to which those have everything that are given what comes. */
  position(): number
  setTypes(subscription: Subscription, types: readonly string[]): void
  leave(subscription: Subscription): void
}

/** What one observer sees of some rooms. One per connection and more: of a class, whose functions are there once. */
export class Subscription {
  readonly connection: Connection
  readonly #subscribers: Subscribers
  group: Group<Subscription>
  /** Its own place in the log; undefined while it is given what comes with the rest of its group. */
  behind: Observer | undefined
  /** Ends the wait for its connection to take more; undefined while it is given what comes. */
  stopDraining: (() => void) | undefined
  /** Told who comes and goes, where it wants to know. */
  readonly onPresence: ((change: PresenceChange) => void) | undefined
  isEnded = false

  constructor(
    subscribers: Subscribers,
    connection: Connection,
    group: Group<Subscription>,
    onPresence: ((change: PresenceChange) => void) | undefined,
  ) {
    this.#subscribers = subscribers
    this.connection = connection
    this.group = group
    this.onPresence = onPresence
  }

  /** The position up to which the observer was given everything. */
  position(): number {
    return (this.behind ?? this.#subscribers).position()
  }

  setTypes(types: readonly string[]): void {
    this.#subscribers.setTypes(this, types)
  }

  /** Again it does nothing. */
  leave(): void {
    if (this.isEnded) return
    this.isEnded = true
    this.#subscribers.leave(this)
  }
}
