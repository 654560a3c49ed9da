/**
 * `heliograph/extension`: all that packs and other people's extensions build on. See docs/extensions.md.
 */
export { Type, type Static } from '@sinclair/typebox'
export type { Declaration, EventTypeDeclaration } from '../declaration.ts'
export type { Feature, Running } from '../feature.ts'
export {
  defineExtension,
  type AnyExtension,
  type EventInput,
  type Extension,
  type ExtensionContext,
} from './extension.ts'

// Events
export type { ExtensionEvent, ListenerOptions, OnEvent } from '../features/events/index.ts'

// Routes
export { appIdOf } from '../platform/http/auth.ts'
export { createOriginCheck } from '../platform/http/origins.ts'
export { pageOf, pageQuery, pageSize, readCursor, toPage, type Page } from '../platform/http/pagination.ts'
export { notFound, Problem } from '../platform/http/problems.ts'
export type { RateLimits } from '../platform/http/rate-limits.ts'
export {
  BODY_PROBLEMS,
  EXAMPLE_TIME,
  Nullable,
  ref,
  responses,
  SigningSecret,
  Text,
  Timestamp,
} from '../platform/http/schemas.ts'
export { readTime } from '../platform/http/times.ts'
export { readUrl, Url } from '../platform/http/urls.ts'
export { compileWhenUsed } from '../platform/json-schema/json-schema.ts'

// Records
export type { Database } from '../platform/postgres/pool.ts'
export type { DB as Tables } from '../platform/postgres/tables.ts'
export {
  firstSnowflakeAt,
  SNOWFLAKE_CURSOR,
  SNOWFLAKE_FORM,
  timeOfSnowflake,
  type SnowflakeIds,
} from '../platform/identifiers/snowflake-ids.ts'

// Secrets and signatures
export { redacted } from '../platform/secrets/redacted.ts'
export { sameDigest, sha256 } from '../platform/secrets/secret-box.ts'
export { signedHeaders, verifySigned } from '../platform/secrets/signing.ts'

// Requests to other places
export { drop, textOf, type Download } from '../platform/outbound/download.ts'
export { isWorthRetrying, retryAfterMs, type OutboundResponse } from '../platform/outbound/http.ts'

// Destinations
export {
  badResult,
  destinationKind,
  destinationUrl,
  failure,
  fitted,
  indented,
  later,
  LONE_BACKTICK,
  postJson,
  titledBlock,
  transformed,
  type AttemptResult,
  type OwedEvent,
  type Target,
} from '../features/destinations/index.ts'
export type { Transform } from '../platform/transformation/transformation.ts'

// Messaging platforms
export { isNumber } from '../platform/json/exact-numbers.ts'
export {
  ApiUrl,
  asDouble,
  headerOf,
  HeaderToken,
  isHmac,
  isObject,
  jsonOf,
  mediaKind,
  MESSAGE_KINDS,
  NoContentError,
  nothing,
  readBody,
  readEach,
  timeAt,
  UnreadableError,
  type Fetching,
  type Incoming,
  type IncomingAttachment,
  type IncomingMessage,
  type IncomingReport,
  type IncomingRequest,
  type MessageContent,
  type MessageKind,
  type MessageParts,
  type PlatformDriver,
  type SendAnswer,
  type WantedAttachment,
} from '../features/messages/index.ts'
