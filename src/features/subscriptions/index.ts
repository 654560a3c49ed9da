import type { Feature } from '../../feature.ts'
import { subscriptionRoutes } from './routes.ts'

export { endAddressed, insertAddressed, updateAddressed, type AddressedSubscription } from './addressed.ts'
export { cancelOwed } from './cancel.ts'
export { compilePatterns, PATTERN_FORM, type Matches } from './patterns.ts'
export { CreatedSubscription, NewSubscription } from './schemas.ts'
export { createSubscriptionService, secretContext, type SubscriptionService } from './service.ts'

export const subscriptions: Feature = {
  name: 'subscriptions',
  routes: (deps) => subscriptionRoutes(deps.subscriptions),
}
