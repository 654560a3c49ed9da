import type { Feature } from '../../feature.ts'
import { subscriptionRoutes } from './routes.ts'

export { endAddressed, insertAddressed, updateAddressed, type AddressedSubscription } from './addressed.ts'
export { cancelOwed } from './cancel.ts'
export { memberOf } from './filter-operators.ts'
export type { Flow } from './flow.ts'
export { compilePatterns, PATTERN_FORM, type Matches } from './patterns.ts'
export { compileRoute, type Route } from './route-of.ts'
export { CreatedSubscription, EventPattern, NewSubscription } from './schemas.ts'
export {
  oldSecretsContext,
  openSecrets,
  SEALED_SUBSCRIPTION_COLUMNS,
  secretContext,
  settingsContext,
  type OpenSecrets,
} from './secrets.ts'
export { createSubscriptionService, type SubscriptionService } from './service.ts'
export { createSubscriptionSwitch, subscriptionEvent, type SubscriptionSwitch } from './switch.ts'

export const subscriptions: Feature = {
  name: 'subscriptions',
  routes: (deps) => subscriptionRoutes(deps.subscriptions, deps.subscriptionSwitch),
}
