import type { Feature } from '../../feature.ts'
import { appRoutes } from './routes.ts'

export { createKeyFinder, type KeyFinder } from './keys.ts'
export { raiseVersion } from './log-versions.ts'
export { createAppService, type AppService } from './service.ts'

export const apps: Feature = {
  name: 'apps',
  routes: (deps) => appRoutes(deps.apps),
}
