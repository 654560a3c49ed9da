import type { Static, TObject, TProperties } from '@sinclair/typebox'
import type { Declaration } from '../declaration.ts'
import type { Feature } from '../feature.ts'
import type { DestinationKind } from '../features/destinations/index.ts'
import type { Edge, ExtensionEvent, ListenerOptions, OnEvent } from '../features/events/index.ts'
import type { PlatformDriver } from '../features/messages/index.ts'
import type { Clock } from '../platform/time/clock.ts'
import type { RateLimits } from '../platform/http/rate-limits.ts'
import type { Log } from '../platform/log/log.ts'
import type { OutboundHttp } from '../platform/outbound/http.ts'
import type { Database } from '../platform/postgres/pool.ts'
import type { SnowflakeIds } from '../platform/identifiers/snowflake-ids.ts'

/** An event to be appended. */
export interface EventInput {
  type: string
  /** A JSON object. */
  payload: Record<string, unknown>
  edges?: readonly Edge[]
  /** The event that it is about. */
  originEventId?: string
  /** Its own name in the app: what has the same is stored once. */
  externalId?: string
  orgid?: string
}

/** What an extension is given to do its work with. */
export interface ExtensionContext<Settings = Readonly<Record<string, unknown>>> {
  /** Its own settings, checked, with defaults filled in. */
  settings: Settings
  /** Where the service is reached from outside, without a slash at its end; undefined while it was not told. */
  publicUrl: string | undefined
  /** Origins of web pages that may use the service. */
  allowedOrigins: readonly string[]
  /** Names the extension in every line. */
  log: Log
  clock: Clock
  db: Database
  /** Requests to other places: to public addresses, and those of OUTBOUND_ALLOW_CIDRS. */
  http: OutboundHttp
  rateLimits: RateLimits
  snowflakeIds: SnowflakeIds
  /**
   * Stores events of one app, all or none of them, with what they cause.
   *
   * @returns them as they are stored, in the order in which they were given
   * @throws Problem naming what is wrong with them
   */
  append: (appId: string, events: readonly EventInput[]) => Promise<ExtensionEvent[]>
  /**
   * Changes records and stores the events that tell of it, in one transaction.
   *
   * @param change may run more than once; what it did is undone before it runs again
   * @returns what `change` gave as its result
   */
  appendWith: <T>(
    appId: string,
    change: (transaction: Database) => Promise<{ events: readonly EventInput[]; result: T }>,
  ) => Promise<T>
  apps: {
    exists(appId: string): Promise<boolean>
    /** The id of the app that the embedded default comes with; undefined where there is none. */
    default(): Promise<string | undefined>
  }
  /**
   * Has a listener told of the events of this process whose types match a pattern, once they are stored.
   *
   * @throws Error for what is no pattern
   */
  on: (pattern: string, listener: OnEvent, options?: ListenerOptions) => void
}

/**
 * What is added to the core: a domain, a vendor, a platform or a destination. It declares what others must know of
 * it, and its function returns what it adds, as a feature's does.
 */
export interface Extension<Settings extends TProperties = TProperties> extends Omit<
  Declaration,
  'settings' | 'deriveSettings'
> {
  /** Lower-case words with dashes; no two extensions have the same. */
  name: string
  /** Settings of the environment by their names. */
  settings?: Settings
  /** Kinds of destination that users may choose. */
  destinations?: readonly DestinationKind[]
  /** Messaging platforms that connections may be made to. */
  platforms?: readonly PlatformDriver[]
  /**
   * Called once in every process.
   *
   * @throws Error saying what to do, when the process is not to start
   */
  setup?(context: ExtensionContext<Static<TObject<Settings>>>): Feature | void | Promise<Feature | void>
}

/** An extension of whatever settings. */
export type AnyExtension = Omit<Extension, 'setup'> & {
  setup?(context: ExtensionContext<never>): Feature | void | Promise<Feature | void>
}

/** For extensions to say what they are with types of their own. */
export const defineExtension = <const Settings extends TProperties>(
  extension: Extension<Settings>,
): Extension<Settings> => extension
