/**
 * Short messages between the processes of one installation. At most once: a lost one costs time, never
 * events, since whoever listens also looks for itself now and then.
 */
export interface Bus {
  /**
   * Whether what is published now goes out at once, as far as this process knows: it is connected, and not
   * much is waiting. What can do without being sent late is better not published meanwhile.
   */
  readonly isReady: boolean
  /** Sends to every process that subscribed, this one included. Never throws and never waits. */
  publish(topic: Topic, data: unknown): void
  /** @returns a function that ends the subscription */
  subscribe(topic: Topic, listener: (data: unknown) => void): () => void
  close(): Promise<void>
}

/** Every topic there is, with what its messages say. */
export type Topic =
  /** `string[]`: the apps whose log grew */
  | 'log.grew'
  /** `string`: the id of an API key that was revoked */
  | 'key.revoked'
  /** `Packet` of a broadcast: ephemeral messages to the observers of rooms; in order */
  | 'room.message'
  /** `Packet` of a broadcast: who entered and left rooms; in order */
  | 'presence.changed'

/**
 * Of these a process sends one message after the other, so that they arrive in the order in which it published
 * them. The others go side by side: a slow one does not hold up those behind it.
 */
export const ORDERED: ReadonlySet<Topic> = new Set<Topic>(['room.message', 'presence.changed'])
