import { Type } from '@sinclair/typebox'
import type {
  DestinationKind,
  Destinations,
  DestinationServices,
  DestinationSettings,
} from './destination.ts'
import { discord } from './discord.ts'
import { email } from './email.ts'
import { slack } from './slack.ts'
import { webhook } from './webhook.ts'

export { eventBody, USER_AGENT, type BodyEvent } from './body.ts'
export { failure } from './destination.ts'
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

/** Every kind of destination that users may choose: a new one is a file and a line here. */
const KINDS: Readonly<Record<string, DestinationKind>> = { webhook, slack, discord, email }

/** The settings of any of them. (Not a union: with the discriminator errors are those of the kind that is named.) */
export const DestinationForm = Type.Unsafe<DestinationSettings>({
  type: 'object',
  required: ['type'],
  discriminator: { propertyName: 'type' },
  oneOf: Object.values(KINDS).map(({ settings }) => settings),
})

/** @throws Error for a type that `DestinationForm` does not take */
export function kindOf(type: string): DestinationKind {
  const kind = KINDS[type]
  if (!kind) throw new Error(`This version has no destination "${type}".`)
  return kind
}

/** The kinds, ready to send. */
export const connectDestinations = (services: DestinationServices): Destinations =>
  Object.fromEntries(Object.entries(KINDS).map(([type, kind]) => [type, kind.connect(services)]))
