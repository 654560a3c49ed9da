import type { Feature } from '../../feature.ts'
import { subscriptionRoutes } from './routes.ts'

export { compilePatterns, PATTERN_FORM, type Matches } from './patterns.ts'
export { createSubscriptionService, secretContext, type SubscriptionService } from './service.ts'

export const subscriptions: Feature = {
  name: 'subscriptions',
  routes: (deps) => subscriptionRoutes(deps.subscriptions),
}
