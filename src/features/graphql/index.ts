import type { Feature } from '../../feature.ts'
import { graphqlRoutes } from './routes.ts'

export { publishedSchema } from './routes.ts'

export const graphql: Feature = { name: 'graphql', routes: graphqlRoutes }
