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
  /**
   * Sends to every process that subscribed, this one included. Never throws and never waits.
   *
   * @param options.inOrder whether what this process publishes in order on the topic arrives in that order; the rest
   *   goes side by side, so that a slow message does not hold up those behind it
   */
  publish(topic: string, data: unknown, options?: { inOrder: boolean }): void
  /** @returns a function that ends the subscription */
  subscribe(topic: string, listener: (data: unknown) => void): () => void
  close(): Promise<void>
}
