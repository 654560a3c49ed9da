/** What one transformation may take. */
export interface Limits {
  /** Milliseconds for one evaluation; neither waiting for a turn nor starting a process counts. */
  timeMs: number
  /** Megabytes of memory for values of one evaluation and for the compiled expressions kept with it. */
  memoryMb: number
  /** Bytes of the result as JSON text. */
  outputBytes: number
  /** Bytes of an expression. */
  expressionBytes: number
  /** Evaluations at the same time; each has a process. */
  processes: number
  /** Transformations that may wait for a turn. */
  waiting: number
}

export const DEFAULT_LIMITS: Limits = {
  timeMs: 250,
  memoryMb: 64,
  outputBytes: 1024 * 1024,
  expressionBytes: 16 * 1024,
  processes: 2,
  waiting: 1_000,
}
