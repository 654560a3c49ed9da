import type { Feature } from '../../feature.ts'
import { clientRoutes } from './client-routes.ts'
import { createConnectionLimits } from './connection-limits.ts'
import { enterWithin } from './enter.ts'
import { createGrantWatch } from './grant-watch.ts'
import { createHub } from './live/hub.ts'
import { sseRoutes } from './live/sse-routes.ts'
import { websocketRoutes } from './live/websocket-routes.ts'
import { publishRoutes } from './publish-routes.ts'
import { tokenRoutes } from './token-routes.ts'

export { asyncApi } from './asyncapi/document.ts'
export { createObserverAuthentication } from './authenticate.ts'
export type { Emitter, Presence } from './contracts.ts'
export { createEmitter } from './emitter.ts'
export { createPresence } from './presence.ts'
export { createObserverTokens, type ObserverTokens } from './tokens.ts'

export const observation: Feature = {
  name: 'observation',
  routes: (deps) => async (app) => {
    const { bus, clock, config, emitter, keys, log, logTail, presence } = deps
    const hub = createHub({ logTail, emitter, presence, bufferBytes: config.OBSERVER_BUFFER_BYTES })
    const grantWatch = createGrantWatch({ keys, bus, clock, log })
    app.addHook('onClose', async () => {
      hub.close()
      await grantWatch.close()
    })
    const enter = enterWithin(
      createConnectionLimits({
        maxPerApp: config.MAX_OBSERVERS_PER_APP,
        maxPerAddress: config.MAX_OBSERVERS_PER_ADDRESS,
      }),
    )
    const times = { heartbeatMs: config.OBSERVER_HEARTBEAT_MS, stallMs: config.OBSERVER_STALL_MS }
    const verifyToken = (token: string) => deps.observerTokens.verify(token)
    await app.register(clientRoutes)
    await app.register(tokenRoutes(deps.observerTokens, clock))
    await app.register(publishRoutes(emitter, presence))
    await app.register(
      websocketRoutes({ hub, presence, emitter, grantWatch, log, verifyToken, ...times }, enter),
    )
    await app.register(sseRoutes({ hub, presence, grantWatch, log, ...times }, enter))
  },
}
