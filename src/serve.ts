import type { FastifyInstance } from 'fastify'
import { buildApi } from './api.ts'
import type { Config } from './config.ts'
import type { Log } from './platform/log/log.ts'
import type { EmbeddedPostgres } from './platform/postgres/embedded.ts'
import { within } from './platform/time/within.ts'
import { buildService, type Service } from './service.ts'
import type { Stopper } from './stopper.ts'
import { welcome } from './welcome.ts'
import { startWorker } from './worker.ts'

export type ServingRole = 'all' | 'api' | 'worker'

export interface ServeOptions {
  role: ServingRole
  config: Config
  /** Where settings of extensions are looked for. */
  environment: NodeJS.ProcessEnv
  log: Log
  /** The embedded Postgres, on its way; needed where no DATABASE_URL is set. */
  postgres?: Promise<EmbeddedPostgres>
  stopper: Stopper
  /** Told what is happening, in words for a person. */
  say: (text: string) => void
}

/** Starts the parts of a role, and stops them in order when the process is asked to. */
export async function serve({
  role,
  config,
  environment,
  log,
  postgres,
  stopper,
  say,
}: ServeOptions): Promise<void> {
  const service = await buildService({
    config,
    environment,
    log,
    say,
    migrate: role === 'all',
    hasLocalWorker: role === 'all',
    signal: stopper.signal,
    ...(postgres && { postgres }),
  }).catch((error: unknown) => {
    if (error === stopper.signal.reason) return undefined
    throw error
  })
  if (!service) {
    log.info('stopped before it had started')
    process.exit(0)
  }
  const { platform, features } = service
  const app = role === 'worker' ? undefined : await buildApi(platform, features)
  const worker = role === 'api' ? undefined : startWorker(features)
  stopper.ready(async () => {
    const timeoutMs = config.SHUTDOWN_TIMEOUT_MS
    await Promise.all([app && closeApi(app, timeoutMs), worker?.close(timeoutMs)])
    await service.close()
  })
  if (app) say(await listen(app, service))
  log.info({ pid: process.pid }, 'started')
}

/** Ends the streams and waits for the requests under way; after the time is over their connections are cut. */
const closeApi = (app: FastifyInstance, timeoutMs: number): Promise<void> =>
  within(timeoutMs, app.close()).catch(() => app.server.closeAllConnections())

/** @returns where it listens, in words for a person */
async function listen(app: FastifyInstance, { platform, features }: Service): Promise<string> {
  const { config } = platform
  const { HOST: host, PORT: port, embedded } = config
  const address = await app.listen({ host, port })
  return embedded
    ? welcome(config.DATA_DIR, features.apps.apps, address)
    : `Heliograph listens on ${address} (see ${address}/docs).`
}
