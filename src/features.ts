import type { Feature } from './feature.ts'
import { createApps } from './features/apps/index.ts'
import { createDeliveries } from './features/deliveries/index.ts'
import { createDestinationKinds, KINDS } from './features/destinations/index.ts'
import { createEntities } from './features/entities/index.ts'
import { createEvents } from './features/events/index.ts'
import { createGraphql } from './features/graphql/index.ts'
import { createIdentities } from './features/identities/index.ts'
import { createInquiries } from './features/inquiries/index.ts'
import { createDrivers, createMessages, DRIVERS } from './features/messages/index.ts'
import { createObservation } from './features/observation/index.ts'
import { createOperations } from './features/operations/index.ts'
import { createSubscriptions } from './features/subscriptions/index.ts'
import type { Platform } from './platform.ts'

/** All features by their names. */
export type Features = Awaited<ReturnType<typeof composeFeatures>>

/**
 * Puts the features together, each after those that it needs: another order does not compile.
 *
 * @param keep told of each feature as soon as it is there, for it to be closed even when a later one cannot be made
 * @throws Error saying what to do when a setting names what is not there
 */
export async function composeFeatures(platform: Platform, keep: <F extends Feature>(feature: F) => F) {
  const apps = keep(createApps(platform))
  const events = keep(createEvents(platform))
  const drivers = createDrivers(DRIVERS)
  const destinations = createDestinationKinds(KINDS)
  const entities = keep(createEntities(platform))
  const subscriptions = keep(createSubscriptions(platform, { events, destinations }))
  const identities = keep(createIdentities(platform, { events, entities }))
  const messages = keep(createMessages(platform, { events, entities, identities, drivers }))
  const deliveries = keep(createDeliveries(platform, { apps, events, subscriptions, messages, destinations }))
  const observation = keep(createObservation(platform, { apps, events }))
  const inquiries = keep(await createInquiries(platform, { apps, events }))
  const graphql = keep(
    createGraphql(platform, { apps, events, entities, subscriptions, identities, messages }),
  )
  const operations = keep(createOperations(platform, { deliveries }))
  return {
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
  } satisfies Record<string, Feature>
}
