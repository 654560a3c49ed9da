import { loadConfig, readEnvironment, type Config } from './config.ts'
import { createLog, type Log } from './platform/log/log.ts'
import { startEmbeddedPostgres } from './platform/postgres/embedded.ts'
import { ConfigError } from './platform/settings.ts'
import { onStopSignal } from './platform/process/stop-signal.ts'
import type { ServingRole } from './serve.ts'
import { createStopper } from './stopper.ts'

const ROLES = ['all', 'api', 'worker', 'migrate', 'rotate-encryption-key', 'listen'] as const
type Role = (typeof ROLES)[number]

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const complain = (text: string): void => void process.stderr.write(`${text}\n`)

/** Runs a role. Each loads what it needs when it is chosen: that is most of what a start takes. */
async function main(role: string, args: string[]): Promise<void> {
  if (!isRole(role)) throw new ConfigError(`The roles are ${ROLES.join(', ')}; "${role}" is none of them.`)
  const environment = readEnvironment()
  if (role === 'listen') return listen(args, environment)
  const config = loadConfig(environment)
  const log = createLog(config.LOG_LEVEL, role)
  if (role === 'migrate') {
    const { runMigrate } = await import('./commands/migrate.ts')
    return runMigrate(config, log, say)
  }
  if (role === 'rotate-encryption-key') {
    const { runRotateEncryptionKey } = await import('./commands/rotate-encryption-key.ts')
    return runRotateEncryptionKey(config, log, say)
  }
  if (config.embedded && role !== 'all') {
    throw new ConfigError(
      `\`npm run ${role}\` needs DATABASE_URL: the embedded Postgres is for \`npm start\`, which runs everything in one process.`,
    )
  }
  await startServing(role, config, environment, log)
}

/** The embedded Postgres comes up, in processes of its own, while this one loads the rest of the program. */
async function startServing(
  role: ServingRole,
  config: Config,
  environment: NodeJS.ProcessEnv,
  log: Log,
): Promise<void> {
  const stopper = createStopper(config, log)
  onStopSignal((signal) => stopper.stop(signal, 0))
  const launched = Promise.withResolvers<void>()
  const postgres = config.embedded
    ? startEmbeddedPostgres({
        dataDir: config.DATA_DIR,
        say,
        onLaunched: launched.resolve,
        onLost() {
          log.fatal('the embedded Postgres went away')
          stopper.stop('postgres lost', 1)
        },
      })
    : undefined
  // Loading keeps this process from anything else. A failure is told of when it is waited for.
  await Promise.race([launched.promise, postgres?.catch(() => {})])
  const { serve } = await import('./serve.ts')
  await serve({ role, config, environment, log, say, stopper, ...(postgres && { postgres }) })
}

async function listen(args: string[], environment: NodeJS.ProcessEnv): Promise<void> {
  const stop = new AbortController()
  onStopSignal(() => stop.abort())
  const { runListen } = await import('./commands/listen/run.ts')
  process.exit(await runListen(args, environment, { say, complain, signal: stop.signal }))
}

const isRole = (text: string): text is Role => (ROLES as readonly string[]).includes(text)

const [role = 'all', ...args] = process.argv.slice(2)
main(role, args).catch((error: Error) => {
  complain(`Heliograph did not start. ${error.message}`)
  process.exit(1)
})
