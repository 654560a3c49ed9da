import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { createLog } from '../src/platform/log/log.ts'
import { startEmbeddedPostgres } from '../src/platform/postgres/embedded.ts'
import { migrate } from '../src/platform/postgres/migrate.ts'
import { createDatabase, createPool } from '../src/platform/postgres/pool.ts'
import { run } from '../src/platform/postgres/server-account.ts'
import { startRedis } from '../test/helpers/redis-server.ts'
import { ensureInstalled } from './ensure-installed.ts'

/** Says for which settings the test class was built; `npm ci` removes it with the class. */
const BUILT = 'node_modules/.tap-built'

/**
 * Safe for what the tests lose with the server anyway: it need not outlive a crash of the machine, and its
 * write-ahead log need not be kept short. Tests of crashes start servers of their own.
 */
const FORGETFUL = {
  fsync: 'off',
  full_page_writes: 'off',
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
  // It would go around hundreds of databases that live for seconds.
  autovacuum: 'off',
}

/**
 * tap generates its test class for our choice of plugins. Files that run while it does so fail, so it is done
 * once, rather than under another run of the tests.
 */
async function buildTestClass(): Promise<void> {
  const settings =
    (await readFile('.taprc', 'utf8')) + (await readFile('node_modules/tap/package.json', 'utf8'))
  if ((await readFile(BUILT, 'utf8').catch(() => '')) === settings) return
  await run('tap', ['build'])
  await writeFile(BUILT, settings)
}

/**
 * `npm test [-- FILES …]`: every test, or some files, on a real Postgres and a real Redis that it starts and
 * stops. The Postgres holds a migrated template, from which each test file gets a database of its own.
 */
async function main(): Promise<boolean> {
  const { chromium } = ensureInstalled(['redis-server', 'chromium'])
  await buildTestClass()
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-test-'))
  await chmod(folder, 0o755)
  const say = (text: string): void => void process.stdout.write(`${text}\n`)
  const postgres = await startEmbeddedPostgres({
    dataDir: join(folder, 'data'),
    say: () => {},
    onLost: () => {},
  })
  const redis = await startRedis()
  try {
    await createTemplate(postgres.address.host)
    const report = join(folder, 'report.tap')
    say('Running the tests; a failure is shown when its file has ended.')
    const code = await runTap(process.argv.slice(2), report, {
      TEST_POSTGRES_DIR: postgres.address.host,
      TEST_REDIS_PORT: String(redis.port),
      TEST_CHROMIUM: chromium,
      // Every file is a process that compiles the same sources.
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
    })
    const { pass = 0, fail = 0, skip = 0, todo = 0 } = await readCounts(report)
    const left = skip + todo > 0 ? `, ${skip + todo} skipped` : ''
    // On a line of its own: the reporter ends without a line break.
    say(`\n${pass} passed, ${fail || (code === 0 ? 0 : 1)} failed${left}`)
    return code === 0 && pass > 0
  } finally {
    await redis.stop()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function createTemplate(host: string): Promise<void> {
  const admin = new pg.Client({ host, user: 'heliograph', database: 'postgres' })
  await admin.connect()
  try {
    for (const [name, value] of Object.entries(FORGETFUL))
      await admin.query(`alter system set ${name} = '${value}'`)
    await admin.query('select pg_reload_conf()')
    await admin.query('create database heliograph_template')
  } finally {
    await admin.end()
  }
  const log = createLog('error', 'test')
  const pool = createPool(
    { host, user: 'heliograph', database: 'heliograph_template' },
    { size: 4, name: 'template', log },
  )
  await migrate(pool, createDatabase(pool), log)
  await pool.end()
}

function runTap(args: string[], report: string, environment: Record<string, string>): Promise<number> {
  const reporter = process.stdout.isTTY ? 'base' : 'min'
  const first = join(import.meta.dirname, 'unrecorded.ts')
  const options = [`--reporter=${reporter}`, `--output-file=${report}`, `--node-arg=--require=${first}`]
  const tap = spawn('tap', ['run', ...options, ...args], {
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void tap.kill(signal))
  return new Promise((resolve, reject) => {
    tap.once('error', reject)
    tap.once('exit', (code) => resolve(code ?? 1))
  })
}

/** Counts of assertions, from the closing comment of a TAP report. */
async function readCounts(report: string): Promise<Record<string, number>> {
  const text = await readFile(report, 'utf8').catch(() => '')
  const [summary = ''] = text.match(/^# \{ total: .*\}$/gm)?.slice(-1) ?? []
  return Object.fromEntries(
    [...summary.matchAll(/(\w+): (\d+)/g)].map(([, name, count]) => [name, Number(count)]),
  )
}

main().then(
  (passed) => process.exit(passed ? 0 : 1),
  (error: Error) => {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  },
)
