import type { DestinationKind } from './destination.ts'
import { discord } from './discord.ts'
import { email } from './email.ts'
import { slack } from './slack.ts'
import { webhook } from './webhook.ts'

export { eventBody, USER_AGENT, type BodyEvent } from './body.ts'
export { failure } from './destination.ts'
export { createDestinationKinds, type DestinationKinds } from './kinds.ts'
export { webhook }
export type {
  AppSigningKeys,
  Attempt,
  AttemptResult,
  Destination,
  Destinations,
  DestinationServices,
  DestinationSettings,
  OwedEvent,
  Target,
} from './destination.ts'
export { fillIn, HIDDEN, hide, reveal, type HiddenSettings } from './hidden.ts'

/** The kinds that there always are: a new one is a file and a place here. */
export const KINDS: readonly DestinationKind[] = [webhook, slack, discord, email]
