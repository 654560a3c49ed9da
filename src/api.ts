import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import accepts from '@fastify/accepts'
import websocket from '@fastify/websocket'
import packageJson from '../package.json' with { type: 'json' }
import type { Feature } from './feature.ts'
import type { Features } from './features.ts'
import { webhooks } from './features/deliveries/index.ts'
import { createObserverAuthentication } from './features/observation/index.ts'
import { registerAuth } from './platform/http/auth.ts'
import { registerBodyEncoding } from './platform/http/body-encoding.ts'
import { registerCors } from './platform/http/cors.ts'
import { buildSerializer, buildValidator } from './platform/http/compilers.ts'
import { registerErrorHandler, sendProblem, toProblem } from './platform/http/error-handler.ts'
import { registerOpenApi } from './platform/http/openapi.ts'
import { createOriginCheck } from './platform/http/origins.ts'
import { protectAnswer } from './platform/http/protect-answer.ts'
import { registerJsonParser } from './platform/http/raw-json.ts'
import { dropUnusedConnections } from './platform/http/unused-connections.ts'
import type { Platform } from './platform.ts'

const BODY_LIMIT = 1_048_576
/** Of one frame, or of one message in several fragments. */
const FRAME_LIMIT = 65_536
/** What clients that must name a subprotocol may ask for. */
const SUBPROTOCOL = 'heliograph'
/** How long a client may take to send a request. */
const REQUEST_TIMEOUT_MS = 60_000
/** Longer than the idle limits of usual load balancers, so that they close first. */
const KEEP_ALIVE_MS = 72_000

/** The HTTP API with every feature's routes, not yet listening. */
export async function buildApi(
  { config, declared, log, adminApiKey }: Platform,
  features: Features,
): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = log
  const app = Fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => crypto.randomUUID(),
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: true,
    // Other upgrades, such as h2c, are not taken, and the request is answered as it is.
    http: { shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket' },
    trustProxy: config.trustedProxies.length > 0 && [...config.trustedProxies],
    frameworkErrors(error, request, reply) {
      protectAnswer(request, reply)
      void sendProblem(reply, toProblem(error, request))
    },
    // The options' types describe Fastify's own factories only.
    schemaController: {
      compilersFactory: {
        buildValidator: buildValidator as never,
        buildSerializer: buildSerializer as never,
      },
    },
    routerOptions: { maxParamLength: 200 },
  })
  dropUnusedConnections(app)
  registerBodyEncoding(app)
  registerJsonParser(app)
  registerErrorHandler(app)
  app.addHook('onRequest', async (request, reply) => protectAnswer(request, reply))
  await app.register(accepts)
  await registerCors(app, config.allowedOrigins)
  await app.register(websocket, {
    // Without extensions the same bytes can be written to every socket.
    options: {
      maxPayload: FRAME_LIMIT,
      perMessageDeflate: false,
      // It would end a connection without a word when sixty pings come at once.
      autoPong: false,
      // None is spoken that has not got this name (RFC 6455, section 4.2.2).
      handleProtocols: (asked: Set<string>) => asked.has(SUBPROTOCOL) && SUBPROTOCOL,
    },
    // Each feature takes leave of its own sockets.
    preClose: (done: () => void) => done(),
    errorHandler: (_error, socket) => socket.terminate(),
  })
  logRequests(app)
  await registerOpenApi(app, { version: packageJson.version, webhooks, tags: declared.tags })
  await app.register(async (scope) => {
    const authenticateObserver = createObserverAuthentication({
      keys: features.apps.keys,
      tokens: features.observation.observerTokens,
      isAllowedOrigin: createOriginCheck(config.allowedOrigins),
    })
    registerAuth(scope, {
      adminApiKey,
      scopes: declared.scopes,
      findAppKey: (token) => features.apps.keys.find(token),
      async authenticateObserver(request) {
        request.grant = await authenticateObserver(request)
      },
    })
    const inOrder: Feature[] = Object.values(features)
    for (const { routes } of inOrder) if (routes) await scope.register(routes)
  })
  return app
}

/** One line per request, with all there is to say about it. */
function logRequests(app: FastifyInstance): void {
  app.addHook('onResponse', (request, reply, done) => {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url ?? null,
        path: request.url.split('?')[0],
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        appId: (request.appKey ?? request.grant)?.appId,
        bytes: request.headers['content-length'],
      },
      'request',
    )
    done()
  })
}
