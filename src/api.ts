import type { Socket } from 'node:net'
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifySchemaCompiler,
} from 'fastify'
import accepts from '@fastify/accepts'
import websocket from '@fastify/websocket'
import { Ajv, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import packageJson from '../package.json' with { type: 'json' }
import type { Deps } from './deps.ts'
import { features } from './features.ts'
import { webhooks } from './features/deliveries/index.ts'
import { createObserverAuthentication } from './features/observation/index.ts'
import { registerAuth } from './platform/http/auth.ts'
import { registerCors } from './platform/http/cors.ts'
import { registerErrorHandler, sendProblem, toProblem } from './platform/http/error-handler.ts'
import { registerOpenApi } from './platform/http/openapi.ts'
import { createOriginCheck } from './platform/http/origins.ts'
import { registerJsonParser } from './platform/http/raw-json.ts'

const BODY_LIMIT = 1_048_576
/** Of one frame, or of one message in several fragments. */
const FRAME_LIMIT = 65_536
/** Every error is listed of a body with at most so many values; of a larger one the first. */
const MAX_VALUES_LISTED = 100_000
/** How long a client may take to send a request. */
const REQUEST_TIMEOUT_MS = 60_000
/** Longer than the idle limits of usual load balancers, so that they close first. */
const KEEP_ALIVE_MS = 72_000

/** The HTTP API with every feature's routes, not yet listening. */
export async function buildApi(deps: Deps): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = deps.log
  const app = Fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => crypto.randomUUID(),
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    // Other upgrades, such as h2c, are not taken, and the request is answered as it is.
    http: { shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket' },
    trustProxy: deps.config.trustedProxies.length > 0 && [...deps.config.trustedProxies],
    frameworkErrors(error, request, reply) {
      void sendProblem(reply, toProblem(error, request))
    },
    // The option's type describes Fastify's own factory only.
    schemaController: { compilersFactory: { buildValidator: buildValidator as never } },
    routerOptions: { maxParamLength: 200 },
  })
  registerJsonParser(app)
  registerErrorHandler(app)
  await app.register(accepts)
  await registerCors(app, deps.config.allowedOrigins)
  await app.register(websocket, {
    // Without extensions the same bytes can be written to every socket.
    options: { maxPayload: FRAME_LIMIT, perMessageDeflate: false },
    // Each feature takes leave of its own sockets.
    preClose: (done: () => void) => done(),
    errorHandler: (_error, socket) => socket.terminate(),
  })
  logRequests(app)
  closeUnusedConnections(app)
  await registerOpenApi(app, { version: packageJson.version, webhooks })
  await app.register(async (scope) => {
    const authenticateObserver = createObserverAuthentication({
      keys: deps.keys,
      tokens: deps.observerTokens,
      isAllowedOrigin: createOriginCheck(deps.config.allowedOrigins),
    })
    registerAuth(scope, {
      adminApiKey: deps.adminApiKey,
      findAppKey: (token) => deps.keys.find(token),
      async authenticateObserver(request) {
        request.grant = await authenticateObserver(request)
      },
    })
    for (const feature of features) if (feature.routes) await scope.register(feature.routes(deps))
  })
  return app
}

/**
 * Bodies must have the right types; what stands in a URL or a header is text and is converted.
 *
 * A factory rather than `setValidatorCompiler`: a scope that adds schemas of its own would go back to
 * Fastify's default validator, which converts bodies too and drops what it does not know.
 */
function buildValidator(sharedSchemas: Record<string, object>): FastifySchemaCompiler<object> {
  const options = {
    strict: false,
    removeAdditional: false,
    useDefaults: false,
    discriminator: true,
    validateSchema: false, // compiling the meta-schema for each scope would take most of the start
  } as const
  const exact = new Ajv(options)
  const complete = new Ajv({ ...options, allErrors: true, verbose: true })
  const converting = new Ajv({ ...options, allErrors: true, coerceTypes: 'array' })
  for (const ajv of [exact, complete, converting]) {
    addFormats.default(ajv)
    ajv.addSchema(Object.values(sharedSchemas))
  }
  return ({ schema, httpPart }) => {
    if (httpPart !== 'body') return converting.compile(schema)
    const fits = exact.compile(schema)
    const listErrors = complete.compile(schema)
    // Errors are listed only for what is not large: there may be as many as there are values.
    const check: ValidateFunction = Object.assign(
      (body: unknown) => {
        if (fits(body)) return true
        check.errors = fits.errors
        if (hasFewerValues(body, MAX_VALUES_LISTED)) {
          listErrors(body)
          check.errors = listErrors.errors
        }
        return false
      },
      { schema, schemaEnv: fits.schemaEnv },
    ) as ValidateFunction
    return check
  }
}

/** Whether a JSON value consists of fewer than so many values. */
function hasFewerValues(value: unknown, limit: number): boolean {
  const open = [value]
  for (let count = 0; open.length > 0; count++) {
    if (count + open.length > limit) return false
    const next = open.pop()
    if (typeof next === 'object' && next !== null) for (const member of Object.values(next)) open.push(member)
  }
  return true
}

/** To a server that stops, a connection over which no request came yet is busy, and would hold up the stop. */
function closeUnusedConnections(app: FastifyInstance): void {
  const open = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  app.addHook('preClose', async () => {
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy()
  })
}

/** One line per request, with all there is to say about it. */
function logRequests(app: FastifyInstance): void {
  app.addHook('onResponse', async (request, reply) => {
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
  })
}
