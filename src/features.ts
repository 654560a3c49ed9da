import type { Feature } from './feature.ts'
import { createApps } from './features/apps/index.ts'
import { createDeliveries } from './features/deliveries/index.ts'
import { createDestinationKinds, webhook } from './features/destinations/index.ts'
import { createEntities } from './features/entities/index.ts'
import { createEvents } from './features/events/index.ts'
import { createGraphql } from './features/graphql/index.ts'
import { createIdentities } from './features/identities/index.ts'
import { createDrivers, createMessages } from './features/messages/index.ts'
import { createObservation } from './features/observation/index.ts'
import { createOperations } from './features/operations/index.ts'
import { createSubscriptions } from './features/subscriptions/index.ts'
import { setUp, type ActiveExtension } from './extensions.ts'
import type { Platform } from './platform.ts'

/** All features by their names. */
export type Features = Awaited<ReturnType<typeof composeFeatures>>

/**
 * Puts the features together, each after those that it needs: another order does not compile.
 *
 * @param extensions those that are on
 * @param keep told of each feature as soon as it is there, for it to be closed even when a later one cannot be made
 * @throws Error saying what to do when a setting names what is not there
 */
export async function composeFeatures(
  platform: Platform,
  extensions: readonly ActiveExtension[],
  keep: <F extends Feature>(feature: F) => F,
) {
  const apps = keep(createApps(platform))
  const events = keep(createEvents(platform))
  const drivers = createDrivers(extensions.flatMap(({ extension }) => extension.platforms ?? []))
  const destinations = createDestinationKinds([
    { kind: webhook, settings: {} },
    ...extensions.flatMap(({ extension, settings }) =>
      (extension.destinations ?? []).map((kind) => ({ kind, settings })),
    ),
  ])
  const entities = keep(createEntities(platform))
  const subscriptions = keep(createSubscriptions(platform, { events, destinations }))
  const identities = keep(createIdentities(platform, { events, entities }))
  const messages = keep(createMessages(platform, { events, entities, identities, drivers }))
  const deliveries = keep(createDeliveries(platform, { apps, events, subscriptions, messages, destinations }))
  const observation = keep(createObservation(platform, { apps, events }))
  const graphql = keep(
    createGraphql(platform, { apps, events, entities, subscriptions, identities, messages }),
  )
  const added: Feature[] = []
  for (const active of extensions) added.push(keep(await setUp(active, platform, { apps, events })))
  const operations = keep(createOperations(platform, { deliveries }))
  return {
    operations,
    apps,
    events,
    entities,
    messages,
    identities,
    subscriptions,
    deliveries,
    observation,
    graphql,
    extensions: together(added),
  } satisfies Record<string, Feature>
}

/** The routes and the work of several, as one. They are closed one by one. */
const together = (features: readonly Feature[]): Feature => ({
  async routes(app) {
    for (const { routes } of features) if (routes) await app.register(routes)
  },
  work: () => features.flatMap((feature) => feature.work?.() ?? []),
})
