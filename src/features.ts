import type { Feature } from './feature.ts'
import { apps } from './features/apps/index.ts'
import { deliveries } from './features/deliveries/index.ts'
import { entities } from './features/entities/index.ts'
import { events } from './features/events/index.ts'
import { graphql } from './features/graphql/index.ts'
import { identities } from './features/identities/index.ts'
import { inquiries } from './features/inquiries/index.ts'
import { messages } from './features/messages/index.ts'
import { observation } from './features/observation/index.ts'
import { operations } from './features/operations/index.ts'
import { subscriptions } from './features/subscriptions/index.ts'

/** All there is: the only registry. */
export const features: readonly Feature[] = [
  operations,
  apps,
  events,
  entities,
  messages,
  identities,
  inquiries,
  subscriptions,
  deliveries,
  observation,
  graphql,
]
