/** What Heliograph needs of a queue. The queue only speeds work up: what it loses, the sweeper queues again. */

export interface NewJob<Data> {
  data: Data
  /** Milliseconds until it may start. */
  delayMs?: number
}

export interface Queue<Data> {
  /**
   * @throws Error when the backend does not take them within seconds; then some may have been added
   */
  add(jobs: readonly NewJob<Data>[]): Promise<void>
  /** Jobs that could start now. @throws Error when the backend is out of reach */
  waiting(): Promise<number>
  /**
   * Starts handling jobs in this process. A job whose handler throws is dropped, not repeated; one whose
   * process dies is handled again by another.
   */
  consume(handler: (data: Data) => Promise<void>, options: { concurrency: number }): Consumer
}

export interface Consumer {
  /**
   * Takes no more jobs and waits for those under way.
   *
   * @param timeoutMs after this it returns all the same; the jobs go on until the process ends, and what they
   *   leave undone another process does
   */
  close(timeoutMs: number): Promise<void>
}

export interface Queues {
  queue<Data>(name: string): Queue<Data>
  close(): Promise<void>
}
