/** What a recovery works on, as it is stored. */
export interface Criteria {
  /** Positions of a replay, both included. */
  fromPosition?: number
  toPosition?: number
  /** When the deliveries of the others were created: then or later, and before then. */
  from?: string | undefined
  to?: string | undefined
  /** Of the deliveries. */
  status?: 'dead' | 'cancelled'
  eventPatterns?: readonly string[] | undefined
}

export type RecalledStatus = 'dead' | 'cancelled'

/** @returns what a delivery that a recovery took on, and that is not to be tried after all, was before */
export const statusBefore = (kind: string, { status = 'dead' }: Criteria): RecalledStatus =>
  kind === 'retry' ? status : 'cancelled'
