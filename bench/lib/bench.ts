import type { Case } from './compare.ts'
import type { Environment } from './environment.ts'
import type { Scope } from './scope.ts'

export interface BenchOptions {
  scope: Scope
  environment: Environment
  /** Length of one phase. */
  seconds: number
  /** How long the log is in benches of long logs. */
  events: number
  /** Told what is being done, in words for a person. */
  say: (text: string) => void
}

export type Bench = (options: BenchOptions) => Promise<Case[]>
