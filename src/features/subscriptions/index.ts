import type { Feature } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import type { DestinationKinds } from '../destinations/index.ts'
import type { Events } from '../events/index.ts'
import { subscriptionRoutes } from './routes.ts'
import { subscriptionSchemas } from './schemas.ts'
import { createSubscriptionService, type SubscriptionService } from './service.ts'
import { createSubscriptionSwitch, type SubscriptionSwitch } from './switch.ts'

export { endAddressed, insertAddressed, updateAddressed, type AddressedSubscription } from './addressed.ts'
export { cancelOwed } from './cancel.ts'
export { newSubscriptionFields, type SubscriptionSchemas } from './schemas.ts'
export { oldSecretsContext, secretContext, settingsContext } from './secret-contexts.ts'
export { openSecrets, type OpenSecrets } from './secrets.ts'
export type { SubscriptionService } from './service.ts'
export { subscriptionEvent, type SubscriptionSwitch } from './switch.ts'

export interface Subscriptions extends Feature {
  subscriptions: SubscriptionService
  subscriptionSwitch: SubscriptionSwitch
}

/** Who wants which events, and where they go. */
export function createSubscriptions(
  { db, secrets, clock, transformer, faultOfUrl }: Platform,
  { events, destinations }: { events: Events; destinations: DestinationKinds },
): Subscriptions {
  const subscriptions = createSubscriptionService({
    db,
    secrets,
    clock,
    destinations,
    checkTransformation: (expression) => transformer.check(expression),
    faultOfUrl,
  })
  const subscriptionSwitch = createSubscriptionSwitch(db, events.appender)
  return {
    subscriptions,
    subscriptionSwitch,
    routes: subscriptionRoutes(subscriptions, subscriptionSwitch, subscriptionSchemas(destinations)),
  }
}
