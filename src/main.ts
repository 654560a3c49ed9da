import type { FastifyInstance } from 'fastify'
import { buildApi } from './api.ts'
import { runMigrate } from './commands/migrate.ts'
import { runRotateEncryptionKey } from './commands/rotate-encryption-key.ts'
import { ConfigError, loadConfig, readEnvironment, type Config } from './config.ts'
import { buildDeps, type Deps } from './deps.ts'
import { createLog, type Log } from './platform/log.ts'
import { onStopSignal } from './platform/stop-signal.ts'
import { within } from './platform/within.ts'
import { startWorker } from './worker.ts'
import { welcome } from './welcome.ts'

const ROLES = ['all', 'api', 'worker', 'migrate', 'rotate-encryption-key'] as const
type Role = (typeof ROLES)[number]

/** Extra time for closing connections and the embedded Postgres after what was under way is done. */
const CLOSE_MARGIN_MS = 15_000

const say = (text: string): void => void process.stdout.write(`${text}\n`)

async function main(role: string): Promise<void> {
  if (!isRole(role)) throw new ConfigError(`The roles are ${ROLES.join(', ')}; "${role}" is none of them.`)
  const config = loadConfig(readEnvironment())
  const log = createLog(config.LOG_LEVEL, role)
  if (role === 'migrate') return runMigrate(config, log, say)
  if (role === 'rotate-encryption-key') return runRotateEncryptionKey(config, log, say)
  if (config.embedded && role !== 'all') {
    throw new ConfigError(
      `\`npm run ${role}\` needs DATABASE_URL: the embedded Postgres is for \`npm start\`, which runs everything in one process.`,
    )
  }
  await run(role, config, log)
}

/** Starts the parts of a role and stops them in order when the process is asked to. */
async function run(role: 'all' | 'api' | 'worker', config: Config, log: Log): Promise<void> {
  const stopper = createStopper(config, log)
  onStopSignal((signal) => stopper.stop(signal, 0))
  const { deps, close } = await buildDeps({
    config,
    log,
    say,
    migrate: role === 'all',
    isWhole: role === 'all',
    onLost() {
      log.fatal('the embedded Postgres went away')
      stopper.stop('postgres lost', 1)
    },
  })
  const app = role === 'worker' ? undefined : await buildApi(deps)
  const worker = role === 'api' ? undefined : startWorker(deps)
  stopper.ready(async () => {
    const timeoutMs = config.SHUTDOWN_TIMEOUT_MS
    await Promise.all([app && closeApi(app, timeoutMs), worker?.close(timeoutMs)])
    await close()
  })
  if (app) await listen(app, config, deps)
  log.info({ pid: process.pid }, 'started')
}

/** Ends the streams and waits for the requests under way; after the time is over their connections are cut. */
const closeApi = (app: FastifyInstance, timeoutMs: number): Promise<void> =>
  within(timeoutMs, app.close()).catch(() => app.server.closeAllConnections())

async function listen(app: FastifyInstance, config: Config, deps: Deps): Promise<void> {
  const address = await app.listen({ host: config.HOST, port: config.PORT })
  say(
    config.embedded
      ? await welcome(deps, address)
      : `Heliograph listens on ${address} (see ${address}/docs).`,
  )
}

/** Stops once, and only when there is something that can be stopped: asked earlier, it waits for the start. */
function createStopper(config: Config, log: Log) {
  let asked: { reason: string; code: number } | undefined
  let closeAll: (() => Promise<void>) | undefined
  let stopping = false

  function stopNow(): void {
    if (!asked || !closeAll || stopping) return
    stopping = true
    const { reason, code } = asked
    log.info({ reason }, 'stopping')
    setTimeout(() => {
      log.fatal('not stopped in time')
      process.exit(1)
    }, config.SHUTDOWN_TIMEOUT_MS + CLOSE_MARGIN_MS).unref()
    closeAll()
      .then(() => log.info('stopped'))
      .catch((error: Error) => log.error({ err: error }, 'not stopped cleanly'))
      .finally(() => process.exit(code))
  }

  return {
    stop(reason: string, code: number): void {
      asked ??= { reason, code }
      stopNow()
    },
    ready(close: () => Promise<void>): void {
      closeAll = close
      stopNow()
    },
  }
}

const isRole = (text: string): text is Role => (ROLES as readonly string[]).includes(text)

main(process.argv[2] ?? 'all').catch((error: Error) => {
  process.stderr.write(`Heliograph did not start. ${error.message}\n`)
  process.exit(1)
})
