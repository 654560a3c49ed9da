import type { Feature } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import type { GraphServices } from './context.ts'
import { graphqlRoutes } from './routes.ts'

export { publishedSchema } from './routes.ts'

interface Needs {
  apps: Pick<GraphServices, 'apps'>
  events: Pick<GraphServices, 'appender' | 'eventReader' | 'eventTypes'>
  entities: Pick<GraphServices, 'users' | 'platformUsers'>
  subscriptions: Pick<GraphServices, 'subscriptions'>
  identities: Pick<GraphServices, 'linkCodes'>
  messages: Pick<GraphServices, 'connections' | 'messageSender'>
}

/** The same services as REST, by GraphQL (SPEC section 2). */
export const createGraphql = ({ db, config }: Platform, needs: Needs): Feature => ({
  routes: graphqlRoutes({
    db,
    config,
    apps: needs.apps.apps,
    appender: needs.events.appender,
    eventReader: needs.events.eventReader,
    eventTypes: needs.events.eventTypes,
    users: needs.entities.users,
    platformUsers: needs.entities.platformUsers,
    subscriptions: needs.subscriptions.subscriptions,
    linkCodes: needs.identities.linkCodes,
    connections: needs.messages.connections,
    messageSender: needs.messages.messageSender,
  }),
})
