import type { KeyObject } from 'node:crypto'
import type { Static, TObject } from '@sinclair/typebox'
import type { OutboundHttp } from '../../platform/outbound/http.ts'
import type { Transform } from '../../platform/transformation/transformation.ts'
import type { SentEdges } from '../entities/index.ts'

/** Where a subscription's events go; `type` names the destination that understands the rest. */
export interface DestinationSettings {
  type: string
  [setting: string]: unknown
}

/** An event that is owed to a subscription. */
export interface OwedEvent {
  app_id: string
  subscription_id: string
  event_id: string
  type: string
  /** JSON text, as it was appended. */
  payload: string
  edges: SentEdges
  position: number
  event_created_at: Date
  orgid: string | null
  origin_event_id: string | null
  external_id: string | null
  /** CloudEvents attributes as JSON text, of an event that came as one. */
  context: string | null
}

/** A subscription's destination with everything that sending needs. */
export interface Target {
  /** With the hidden settings in their places. */
  settings: DestinationSettings
  /** The subscription's secrets that are valid now, the newest first: they sign, or are credentials. */
  secrets: readonly string[]
  /** A JSONata expression. */
  transformation: string | null
}

export interface Attempt {
  /** Its number, from 1. */
  number: number
  /** Milliseconds since the Unix epoch. */
  now: number
  /** Over the whole exchange, in milliseconds. */
  timeoutMs: number
}

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
  /**
   * Neither done nor failed: it is to be sent after so many milliseconds, as when the other side limits the rate, or in
   * a quiet hour. It is no attempt, and says nothing of the endpoint's health.
   */
  laterMs?: number
  /** Whether trying again is no use. */
  final?: boolean
  /** Whether the failure says nothing of the endpoint, so that its health is not judged by it. */
  ownFault?: boolean
  /** The next attempt is not to come before so many milliseconds. */
  retryAfterMs?: number | undefined
  /** Whether the endpoint asked for fewer requests: nothing is sent to it for a while. */
  throttled?: boolean
  /** Whether the endpoint is gone for good: its subscription is disabled. */
  gone?: boolean
}

/** A kind of place that deliveries go to. One attempt more or less than recorded must do no harm. */
export interface Destination {
  /** Makes one attempt. Fails by its result; throws only on a fault of ours. */
  send(event: OwedEvent, target: Target, attempt: Attempt): Promise<AttemptResult>
  /** Makes one attempt with several events of one subscription, in the order of the log. */
  sendBatch?(events: readonly OwedEvent[], target: Target, attempt: Attempt): Promise<AttemptResult>
  /** Told before a delivery is recorded as dead; may be told again. */
  gaveUp?(event: Omit<OwedEvent, 'edges'>, result: AttemptResult): Promise<void>
}

/** Destinations by the `type` of their settings. */
export type Destinations = Readonly<Record<string, Destination>>

/** The ed25519 keys of apps. */
export interface AppSigningKeys {
  /** The private keys that sign an app's webhooks now, the newest first. The first call for an app makes one. */
  of(appId: string): Promise<readonly KeyObject[]>
}

/** What destinations are given to do their work with. */
export interface DestinationServices {
  http: OutboundHttp
  transform: Transform
  signingKeys: AppSigningKeys
}

/** A kind of destination that users may choose: what its settings are, and how it is sent to. */
export interface DestinationKind<Settings extends TObject = TObject> {
  /** Its `type` is a literal, which names the kind. */
  settings: Settings
  /** Settings that may hold secrets: stored encrypted and shown as `***`; of an object, each of its values. */
  hidden: readonly string[]
  /**
   * @returns the settings as they are kept
   * @throws Problem `invalid-destination` for what the schema cannot say
   */
  check(settings: Static<Settings>): Static<Settings>
  /** @param settings those of the environment that its extension declares */
  connect(services: DestinationServices, settings: Readonly<Record<string, unknown>>): Destination
}

/** For kinds to say what they are with types of their own. */
export const destinationKind = <Settings extends TObject>(
  kind: DestinationKind<Settings>,
): DestinationKind<Settings> => kind

/** It is to be sent after so many milliseconds; thirty days at most. See `AttemptResult.laterMs`. */
export const later = (milliseconds: number): AttemptResult =>
  failure('It is put off by the destination.', { laterMs: milliseconds })

/** A failure without a response. */
export const failure = (error: string, more: Partial<AttemptResult> = {}): AttemptResult => ({
  succeeded: false,
  responseStatus: null,
  responseHeaders: null,
  responseBody: null,
  error,
  ...more,
})
