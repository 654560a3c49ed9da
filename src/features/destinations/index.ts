export { eventBody, USER_AGENT, type BodyEvent } from './body.ts'
export { destinationKind, failure, later } from './destination.ts'
export type {
  AppSigningKeys,
  Attempt,
  AttemptResult,
  Destination,
  DestinationKind,
  Destinations,
  DestinationServices,
  DestinationSettings,
  OwedEvent,
  Target,
} from './destination.ts'
export { fillIn, HIDDEN, hide, reveal, type HiddenSettings } from './hidden.ts'
export { createDestinationKinds, destinationOf, type DestinationKinds } from './kinds.ts'
export { postJson } from './post-json.ts'
export { fitted, indented, LONE_BACKTICK, titledBlock } from './text-of.ts'
export { badResult, transformed } from './transformed.ts'
export { destinationUrl } from './url.ts'
export { webhook } from './webhook.ts'
