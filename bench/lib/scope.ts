/**
 * Everything that a run has opened, to be closed in the reverse order however the run ends.
 *
 * A run is raced against `failed`: a stop signal or a process that died ends it at once, wherever it is.
 */
export class Scope {
  readonly failed: Promise<never>
  /** Ends the run with an error; the first one counts. */
  fail!: (error: Error) => void
  #closers: (() => Promise<unknown>)[] = []
  #closed = false

  constructor() {
    this.failed = new Promise((_resolve, reject) => (this.fail = reject))
    this.failed.catch(() => {})
  }

  /**
   * Opens something. What is still starting when the run ends is closed once it has started.
   *
   * @param close must do no harm when it is called again
   */
  async open<T>(start: () => Promise<T>, close: (opened: T) => Promise<unknown>): Promise<T> {
    if (this.#closed) throw new Error('The run has ended.')
    const starting = start()
    this.#closers.push(() => starting.then(close))
    return starting
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const closer of this.#closers.splice(0).toReversed()) await closer().catch(() => {})
  }
}
