import type { Feature } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import type { Apps } from '../apps/index.ts'
import type { Events } from '../events/index.ts'
import { clientRoutes } from './client-routes.ts'
import { createConnectionLimits } from './access/connection-limits.ts'
import type { Emitter, Presence } from './contracts.ts'
import { createEmitter } from './publishing/emitter.ts'
import { countConnections } from './access/count-connections.ts'
import { createGrantWatch } from './access/grant-watch.ts'
import { createHub } from './live/hub.ts'
import { sseRoutes } from './live/sse-routes.ts'
import { websocketRoutes } from './live/websocket-routes.ts'
import { createPresence } from './presence/presence.ts'
import { publishRoutes } from './publishing/publish-routes.ts'
import { tokenRoutes } from './access/token-routes.ts'
import { createObserverTokens, type ObserverTokens } from './access/tokens.ts'

export { asyncApi } from './asyncapi/document.ts'
export { createObserverAuthentication } from './access/authenticate.ts'

export interface Observation extends Feature {
  emitter: Emitter
  presence: Presence
  observerTokens: ObserverTokens
}

/** Rooms: what is said in them, and who is there, live (SPEC section 4). */
export function createObservation(
  platform: Platform,
  { apps: { keys }, events: { logTail } }: { apps: Apps; events: Events },
): Observation {
  const { bus, clock, config, db, log, processLease, secrets } = platform
  const emitter = createEmitter({ bus, log })
  const presence = createPresence({ db, bus, lease: processLease, leaseMs: config.PROCESS_LEASE_MS, log })
  const observerTokens = createObserverTokens({ secrets, keys, clock })
  return {
    emitter,
    presence,
    observerTokens,
    async routes(app) {
      const hub = createHub({ logTail, emitter, presence, bufferBytes: config.OBSERVER_BUFFER_BYTES })
      const grantWatch = createGrantWatch({ keys, bus, clock, log })
      app.addHook('onClose', async () => {
        hub.close()
        await grantWatch.close()
      })
      const counting = countConnections(
        createConnectionLimits({
          maxPerApp: config.MAX_OBSERVERS_PER_APP,
          maxPerAddress: config.MAX_OBSERVERS_PER_ADDRESS,
        }),
      )
      const times = { heartbeatMs: config.OBSERVER_HEARTBEAT_MS, stallMs: config.OBSERVER_STALL_MS }
      const verifyToken = (token: string) => observerTokens.verify(token)
      await app.register(clientRoutes)
      await app.register(tokenRoutes(observerTokens, clock))
      await app.register(publishRoutes(emitter, presence))
      await app.register(
        websocketRoutes({ hub, presence, emitter, grantWatch, log, verifyToken, ...times }, counting),
      )
      await app.register(sseRoutes({ hub, presence, grantWatch, log, ...times }, counting))
    },
    close: () => presence.close(),
  }
}
