/**
 * Short messages between the processes of one installation. At most once: a lost one costs time, never
 * events, since whoever listens also looks for itself now and then.
 */
export interface Bus {
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
