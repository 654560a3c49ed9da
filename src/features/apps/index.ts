import type { Feature } from '../../feature.ts'
import { appRoutes } from './routes.ts'
import { signingKeyRoutes } from './signing-key-routes.ts'

export { createKeyFinder, type KeyFinder } from './keys.ts'
export { lockLog, raiseVersion } from './log-versions.ts'
export { createAppService, type AppService } from './service.ts'
export { createSigningKeyService, SEALED_APP_COLUMNS, type SigningKeyService } from './signing-keys.ts'

export const apps: Feature = {
  name: 'apps',
  routes: (deps) => async (app) => {
    await app.register(appRoutes(deps.apps))
    await app.register(signingKeyRoutes(deps.signingKeys))
  },
}
