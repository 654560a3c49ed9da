import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import pg from 'pg'
import { startEmbeddedPostgres } from '../../src/platform/postgres/embedded.ts'
import { createTestDatabase, createTestRedis } from '../helpers/environment.ts'
import { startRole, untilSays } from '../helpers/processes.ts'
import { freePort, startRedis } from '../helpers/redis-server.ts'
import { serviceEnvironment } from '../helpers/service.ts'

const PASSWORD = 'a-password-that-nobody-is-told'

async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-start-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** The URL of a Postgres that wants a password. */
async function guardedPostgres(t: Test): Promise<URL> {
  const dataDir = await temporaryFolder(t)
  const server = await startEmbeddedPostgres({ dataDir, say: () => {}, onLost: () => {} })
  t.teardown(() => server.stop())
  const admin = new pg.Client(server.address)
  await admin.connect()
  await admin.query(`create role guarded login password '${PASSWORD}'`)
  const rules = join(dataDir, 'postgres/pg_hba.conf')
  await writeFile(rules, `local all guarded scram-sha-256\n${await readFile(rules, 'utf8')}`)
  await admin.query('select pg_reload_conf()')
  await admin.end()
  return new URL(
    `postgres://guarded:wrong@localhost/heliograph?host=${encodeURIComponent(server.address.host)}`,
  )
}

/** Starts a role that cannot start. @returns what it said, once it has ended with code 1 */
async function failToStart(
  t: Test,
  role: 'api' | 'worker' | 'migrate' | 'rotate-encryption-key',
  environment: Record<string, string>,
): Promise<string> {
  const process = startRole(t, role, environment)
  t.equal(await process.exited, 1)
  await untilSays(process, 'Heliograph did not start. ')
  return process.output.join('\n')
}

t.test('a process gives up after START_TIMEOUT_MS, and says what to do', async (t) => {
  const port = await freePort()
  const away = `postgres://heliograph:${PASSWORD}@127.0.0.1:${port}/heliograph`
  const settings = { START_TIMEOUT_MS: '300' }
  for (const role of ['worker', 'migrate', 'rotate-encryption-key'] as const) {
    const said = await failToStart(t, role, serviceEnvironment(away, undefined, settings))
    t.match(said, `Waiting for Postgres at 127.0.0.1:${port}: nothing listens there. Giving up in `)
    t.match(
      said,
      `Postgres at 127.0.0.1:${port} could not be reached within 0.3 s: nothing listens there. Start it, or correct DATABASE_URL.`,
      role,
    )
    t.match(said, 'START_TIMEOUT_MS says how long to wait.')
    t.notMatch(said, PASSWORD)
  }

  const redis = `redis://:${PASSWORD}@127.0.0.1:${port}`
  const said = await failToStart(t, 'api', serviceEnvironment(await createTestDatabase(), redis, settings))
  t.match(
    said,
    `Redis at 127.0.0.1:${port} could not be reached within 0.3 s: nothing listens there. Start it, or correct REDIS_URL.`,
  )
  t.notMatch(said, /Waiting for Postgres/)
  t.notMatch(said, PASSWORD)
})

t.test('with START_TIMEOUT_MS=0 it does not wait', async (t) => {
  const away = `postgres://heliograph@127.0.0.1:${await freePort()}/heliograph`
  const said = await failToStart(t, 'worker', serviceEnvironment(away, undefined, { START_TIMEOUT_MS: '0' }))
  t.match(said, /Postgres at \S+ could not be reached: nothing listens there\./)
  t.notMatch(said, /Waiting/)
})

t.test('what waiting does not mend is told at once', async (t) => {
  const database = await createTestDatabase()
  const patient = { START_TIMEOUT_MS: '300000' }
  const refused = async (databaseUrl: string, redisUrl?: string): Promise<string> => {
    const said = await failToStart(t, 'worker', serviceEnvironment(databaseUrl, redisUrl, patient))
    t.notMatch(said, /Waiting/)
    return said
  }
  const guarded = await guardedPostgres(t)
  t.match(
    await refused(guarded.href),
    /cannot be used: password authentication failed for user "guarded"\. Correct DATABASE_URL/,
  )
  const nowhere = database.replace(/test_\w+/, 'nowhere')
  t.match(await refused(nowhere), /cannot be used: database "nowhere" does not exist\. Correct DATABASE_URL/)

  const redis = await startRedis(undefined, { requirepass: PASSWORD })
  t.teardown(() => redis.stop())
  t.match(
    await refused(database, redis.url.replace(PASSWORD, 'wrong')),
    /cannot be used: WRONGPASS .* Correct REDIS_URL/,
  )
  t.match(await refused(database, `redis://127.0.0.1:${redis.port}`), /cannot be used: NOAUTH /)
  t.match(
    await refused(database, `${await createTestRedis()}9999`),
    /cannot be used: ERR DB index is out of range/,
  )

  const empty = new URL(guarded)
  empty.username = 'heliograph'
  t.match(await refused(empty.href), /The database is not up to date .* Run `npm run migrate` first\./)
})

t.test('a data folder of another major version of Postgres is named as one', async (t) => {
  const dataDir = await temporaryFolder(t)
  const start = () => startEmbeddedPostgres({ dataDir, say: () => {}, onLost: () => {} })
  await (await start()).stop()
  await writeFile(join(dataDir, 'postgres/PG_VERSION'), '13\n')
  await t.rejects(start(), /was made by Postgres 13; this version of Heliograph brings \d+/)
})

t.test('a database of a later version is not migrated, but refused', async (t) => {
  const databaseUrl = await createTestDatabase()
  const client = new pg.Client(databaseUrl)
  await client.connect()
  await client.query(`insert into kysely_migration values ('9999_to_come', now()::text)`)
  await client.end()
  const said = await failToStart(t, 'migrate', serviceEnvironment(databaseUrl, undefined))
  t.match(said, '9999_to_come')
})

t.test('SIGTERM ends a process that waits, and the Postgres that it started', async (t) => {
  const port = await freePort()
  const redisUrl = `redis://127.0.0.1:${port}`
  const patient = { START_TIMEOUT_MS: '300000', LOG_LEVEL: 'info' }
  const worker = startRole(t, 'worker', serviceEnvironment(await createTestDatabase(), redisUrl, patient))
  await untilSays(worker, 'Waiting for Redis')
  t.equal(await worker.end('SIGTERM'), 0)
  t.notMatch(worker.output.join('\n'), /did not start/)

  const dataDir = join(await temporaryFolder(t), 'data')
  const all = startRole(t, 'all', { ...patient, DATA_DIR: dataDir, PORT: '0', REDIS_URL: redisUrl })
  await untilSays(all, 'Waiting for Redis')
  t.equal(await all.end('SIGTERM'), 0)
  t.notOk(existsSync(join(dataDir, 'postgres/postmaster.pid')))

  const migrating = startRole(
    t,
    'migrate',
    serviceEnvironment(`postgres://127.0.0.1:${port}/none`, undefined, patient),
  )
  await untilSays(migrating, 'Waiting for Postgres')
  t.equal(await migrating.end('SIGTERM'), 'SIGTERM')
})

t.test('an embedded start that what is loaded stops leaves no Postgres behind', async (t) => {
  const dataDir = await temporaryFolder(t)
  const cases: [settings: Record<string, string>, said: string][] = [
    [
      { EXTENSIONS: './not-there.ts' },
      'Heliograph did not start. EXTENSIONS: ./not-there.ts was not loaded.',
    ],
    [{ INQUIRIES_PER_MINUTE: '0' }, 'INQUIRIES_PER_MINUTE: '],
  ]
  for (const [settings, said] of cases) {
    const process = startRole(t, 'all', { DATA_DIR: dataDir, PORT: '0', ...settings })
    t.equal(await process.exited, 1)
    await untilSays(process, said)
    t.ok(existsSync(join(dataDir, 'postgres/PG_VERSION')), 'it had come up')
    t.notOk(existsSync(join(dataDir, 'postgres/postmaster.pid')), 'and was stopped')
  }
})
