import type { ClaimedDelivery, DestinationSettings } from '../claim.ts'

/** What came of one attempt. */
export interface AttemptResult {
  succeeded: boolean
  responseStatus: number | null
  responseHeaders: Record<string, string> | null
  responseBody: string | null
  /** Why it failed, for the owner of the endpoint. */
  error: string | null
  /** The destination's own code for the error. */
  code?: string | undefined
  /** Whether trying again is no use. */
  final?: boolean
  /** The next attempt is not to come before so many milliseconds. */
  retryAfterMs?: number | undefined
}

export interface Attempt {
  /** Its number, from 1. */
  number: number
  /** Milliseconds since the Unix epoch. */
  now: number
  /** Over the whole exchange, in milliseconds. */
  timeoutMs: number
}

/** A kind of place that deliveries go to. One attempt more or less than recorded must do no harm. */
export interface Destination {
  /** Deliveries with the same key share a limit of how many are under way at once in a process. */
  limitKey(settings: DestinationSettings): string
  /**
   * Makes one attempt.
   *
   * @param secret the subscription's secret, in the clear
   */
  send(delivery: ClaimedDelivery, secret: string, attempt: Attempt): Promise<AttemptResult>
  /** Told before a delivery is recorded as dead; may be told again. */
  gaveUp?(delivery: ClaimedDelivery, result: AttemptResult): Promise<void>
}

/** Destinations by the `type` of their settings. */
export type Destinations = Readonly<Record<string, Destination>>
