import type { Feature } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import { declared } from './declared.ts'
import { createKeyFinder, type KeyFinder } from './keys.ts'
import { appRoutes } from './routes.ts'
import { createAppService, type AppService } from './service.ts'
import { signingKeyRoutes } from './signing-key-routes.ts'
import { createSigningKeyService, type SigningKeyService } from './signing-keys.ts'

export { defaultApp, DEFAULT_APP_FILE, keptDefaultKey } from './default-app.ts'
export type { KeyFinder } from './keys.ts'
/** The topic of the bus that tells the id of a key that was revoked. */
export const KEY_REVOKED = declared.topics.revoked

export { lockLog, raiseVersion } from './log-versions.ts'
export type { AppService } from './service.ts'
export type { SigningKeyService } from './signing-keys.ts'

export interface Apps extends Feature {
  apps: AppService
  keys: KeyFinder
  signingKeys: SigningKeyService
}

/** Who uses the service: apps, their API keys and the keys that their webhooks are signed with. */
export function createApps({
  db,
  bus,
  secrets,
  clock,
  declared: { scopes, scopesOnRequest },
}: Platform): Apps {
  const keys = createKeyFinder(db, bus)
  const usualScopes = scopes.filter((scope) => !scopesOnRequest.includes(scope))
  const apps = createAppService(db, keys, usualScopes)
  const signingKeys = createSigningKeyService(db, secrets, clock)
  return {
    apps,
    keys,
    signingKeys,
    async routes(app) {
      await app.register(appRoutes(apps, scopes))
      await app.register(signingKeyRoutes(signingKeys))
    },
  }
}
