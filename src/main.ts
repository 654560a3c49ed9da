import type { FastifyInstance } from 'fastify'
import { buildApi } from './api.ts'
import { ConfigError, loadConfig, readEnvironment, type Config } from './config.ts'
import { buildDeps, type Deps } from './deps.ts'
import { createLog } from './platform/log.ts'
import { onStopSignal } from './platform/stop-signal.ts'
import { startWorker } from './worker.ts'
import { welcome } from './welcome.ts'

const ROLES = ['all', 'api', 'worker'] as const
type Role = (typeof ROLES)[number]

/** Extra time for closing connections and the embedded Postgres after what was under way is done. */
const CLOSE_MARGIN_MS = 15_000

async function main(role: Role): Promise<void> {
  const config = loadConfig(readEnvironment())
  if (config.embedded && role !== 'all') {
    throw new ConfigError(
      `\`npm run ${role}\` needs DATABASE_URL: the embedded Postgres is for \`npm start\`, which runs everything in one process.`,
    )
  }
  const log = createLog(config.LOG_LEVEL, role)
  const say = (text: string): void => void process.stdout.write(`${text}\n`)
  let stop: (reason: string, code?: number) => void = () => process.exit(1)
  // Asked to stop during the start, stop as soon as there is something that can be closed.
  let asked: string | undefined
  onStopSignal((signal) => {
    asked = signal
    stop(signal)
  })
  stop = () => {}

  const { deps, close } = await buildDeps({
    config,
    log,
    say,
    migrate: role === 'all',
    onLost() {
      log.fatal('the embedded Postgres went away')
      stop('postgres lost', 1)
    },
  })
  const app = role === 'worker' ? undefined : await buildApi(deps)
  const worker = role === 'api' ? undefined : startWorker(deps)

  let stopping = false
  stop = (reason, code = 0) => {
    if (stopping) return
    stopping = true
    log.info({ reason }, 'stopping')
    setTimeout(() => {
      log.fatal('not stopped in time')
      process.exit(1)
    }, config.SHUTDOWN_TIMEOUT_MS + CLOSE_MARGIN_MS).unref()
    void Promise.all([app?.close(), worker?.close(config.SHUTDOWN_TIMEOUT_MS)])
      .then(close)
      .then(
        () => log.info('stopped'),
        (error: Error) => log.error({ err: error }, 'not stopped cleanly'),
      )
      .finally(() => process.exit(code))
  }
  if (asked !== undefined) return stop(asked)
  if (app) await listen(app, config, deps, say)
  log.info({ pid: process.pid }, 'started')
}

async function listen(
  app: FastifyInstance,
  config: Config,
  deps: Deps,
  say: (text: string) => void,
): Promise<void> {
  const address = await app.listen({ host: config.HOST, port: config.PORT })
  say(
    config.embedded
      ? await welcome(deps, address)
      : `Heliograph listens on ${address} (see ${address}/docs).`,
  )
}

const role = process.argv[2] ?? 'all'
if (!(ROLES as readonly string[]).includes(role)) {
  process.stderr.write(`Heliograph has the roles ${ROLES.join(', ')}; "${role}" is none of them.\n`)
  process.exit(2)
}
main(role as Role).catch((error: Error) => {
  process.stderr.write(`Heliograph did not start. ${error.message}\n`)
  process.exit(1)
})
