import type { TProperties } from '@sinclair/typebox'
import type { SealedColumn } from './platform/postgres/reseal.ts'

/** An event type that every app has. */
export interface EventTypeDeclaration {
  name: string
  description: string
  /** What it belongs to, such as `message` or `storefront`. */
  domain: string
  /** A JSON Schema of its payloads: those that do not match are flagged, never refused. */
  jsonSchema?: object
  /** A template: what the live messages about its events are about; the type itself where it is left out. */
  topic?: string
  /** Templates of the rooms that its events are shown in. */
  rooms?: readonly string[]
  /** Whether only the service itself appends such events. Those that begin with a reserved prefix are anyway. */
  isReserved?: boolean
}

/** What a part of the product has that others must know before it runs. It is static: nothing runs when it is read. */
export interface Declaration {
  /** Rights of API keys that its routes ask for, such as `events:read`. */
  scopes?: readonly string[]
  /** Those of its scopes that a key has only when they are asked for by name. */
  scopesOnRequest?: readonly string[]
  /** Settings of the environment by their names. */
  settings?: TProperties
  /**
   * Makes other values of the checked settings.
   *
   * @throws ConfigError for those that cannot be used together
   */
  deriveSettings?: (settings: never) => object
  /** @throws Error naming the setting that cannot be used, as in `SMTP_URL: …` */
  checkSettings?: (settings: never) => unknown
  eventTypes?: readonly EventTypeDeclaration[]
  /** What custom event types may not begin with, and clients may not append. */
  reservedPrefixes?: readonly string[]
  /** Columns that are encrypted at rest: a change of the encryption key seals them anew. */
  sealedColumns?: readonly SealedColumn[]
  /** Topics of the bus between processes. */
  topics?: Readonly<Record<string, string>>
  /** Queues that its worker takes jobs from. */
  queues?: Readonly<Record<string, string>>
  /** The parts of the HTTP API, in the order in which one reads about them. */
  tags?: readonly { name: string; description: string }[]
}
