import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createLog } from '../../src/platform/log/log.ts'
import { startEmbeddedPostgres } from '../../src/platform/postgres/embedded.ts'
import { migrate } from '../../src/platform/postgres/migrate.ts'
import { createDatabase, createPool } from '../../src/platform/postgres/pool.ts'
import { createTestDatabase } from '../helpers/environment.ts'
import { startRole, untilSays, untilStarted, type StartedProcess } from '../helpers/processes.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { createClient, serviceEnvironment } from '../helpers/service.ts'

const PASSWORD = 'a-password-that-nobody-is-told'
/** So many keys that Redis is reading them until it is told to hurry. */
const KEYS = 10_000

const hasStarted = ({ output }: StartedProcess): boolean =>
  output.some((line) => line.includes('"msg":"started"'))

const environmentOf = (databaseUrl: string, redisUrl: string | undefined): Record<string, string> =>
  // Patient beyond what a busy machine takes.
  serviceEnvironment(databaseUrl, redisUrl, { LOG_LEVEL: 'info', START_TIMEOUT_MS: '300000' })

/** A Postgres of the test's own that is migrated, and stopped. */
async function stoppedPostgres(t: Test) {
  const dataDir = await mkdtemp(join(tmpdir(), 'heliograph-start-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const start = () => startEmbeddedPostgres({ dataDir, say: () => {}, onLost: () => {} })
  const postgres = await start()
  const { host } = postgres.address
  const log = createLog('silent', 'test')
  const pool = createPool(postgres.address, { size: 2, name: 'test', log })
  await migrate(pool, createDatabase(pool), log)
  await pool.end()
  await postgres.stop()
  return {
    clusterDir: join(dataDir, 'postgres'),
    host,
    url: `postgres://heliograph:${PASSWORD}@localhost/heliograph?host=${encodeURIComponent(host)}`,
    start,
  }
}

t.test('processes that start before their Postgres and Redis wait for both', async (t) => {
  const postgres = await stoppedPostgres(t)
  const redis = await startRedis(undefined, { requirepass: PASSWORD })
  t.teardown(() => redis.stop())
  await redis.kill()
  const environment = environmentOf(postgres.url, redis.url)
  const api = startRole(t, 'api', environment)
  const worker = startRole(t, 'worker', environment)
  const migrating = startRole(t, 'migrate', environment)
  for (const waiting of [api, worker, migrating])
    await untilSays(
      waiting,
      `Waiting for Postgres at ${postgres.host}/.s.PGSQL.5432: there is no such socket`,
    )
  for (const waiting of [api, worker])
    await untilSays(waiting, `Waiting for Redis at 127.0.0.1:${redis.port}: nothing listens there.`)

  await redis.start()
  for (const waiting of [api, worker]) await untilSays(waiting, `Redis at 127.0.0.1:${redis.port} is there`)
  t.notOk([api, worker].some(hasStarted), 'Redis alone is not enough')

  const server = await postgres.start()
  t.teardown(() => server.stop())
  t.equal(await migrating.exited, 0)
  await untilSays(migrating, 'The database is up to date.')
  const { url } = await untilStarted(api, 'the API')
  await untilStarted(worker, 'the worker')

  const [client, receiver] = await Promise.all([createClient(url), startReceiver(t)])
  await client.subscribe(receiver.url)
  await client.post('/events', { type: 'start.test', payload: {} })
  await receiver.waitFor(1)
  t.same([await api.end('SIGTERM'), await worker.end('SIGTERM')], [0, 0])
  const said = [api, worker, migrating].flatMap(({ output }) => output).join('\n')
  t.notMatch(said, PASSWORD, 'no password is shown')
})

t.test('processes that start before their Redis alone wait for it', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  await redis.kill()
  const environment = environmentOf(await createTestDatabase(), redis.url)
  const starting = [startRole(t, 'api', environment), startRole(t, 'worker', environment)]
  for (const waiting of starting) await untilSays(waiting, 'Waiting for Redis')
  t.notOk(starting.some(hasStarted))
  await redis.start()
  for (const waiting of starting) await untilStarted(waiting, 'a process')
  t.notMatch(starting.flatMap(({ output }) => output).join('\n'), /Postgres at/)
})

t.test('a Postgres that is still starting up is waited for', async (t) => {
  const postgres = await stoppedPostgres(t)
  // A standby refuses everybody, as a server does that is starting up, until it is promoted.
  await writeFile(join(postgres.clusterDir, 'standby.signal'), '')
  await writeFile(join(postgres.clusterDir, 'postgresql.auto.conf'), 'hot_standby = off\n')
  const starting = postgres.start()
  const worker = startRole(t, 'worker', environmentOf(postgres.url, undefined))
  await untilSays(worker, /Waiting for Postgres at .*: the database system is /)
  t.notOk(hasStarted(worker))

  await writeFile(join(postgres.clusterDir, 'promote'), '')
  const postmaster = Number.parseInt(await readFile(join(postgres.clusterDir, 'postmaster.pid'), 'utf8'), 10)
  process.kill(postmaster, 'SIGUSR1')
  const server = await starting
  t.teardown(() => server.stop())
  await untilStarted(worker, 'the worker')
  t.equal(await worker.end('SIGTERM'), 0)
})

t.test('a Redis that reads its data from the disk is waited for', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'heliograph-start-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const redis = await startRedis(undefined, {
    dir,
    'key-load-delay': '10000',
    'loading-process-events-interval-bytes': '1024',
  })
  t.teardown(() => redis.stop())
  const filling = new Redis(redis.url)
  await filling.mset(
    Object.fromEntries(Array.from({ length: KEYS }, (_, key) => [`key ${key}`, 'x'.repeat(100)])),
  )
  await filling.save()
  filling.disconnect()
  await redis.kill()

  const starting = redis.start()
  const api = startRole(t, 'api', environmentOf(await createTestDatabase(), redis.url))
  await untilSays(api, /Waiting for Redis at .*: LOADING/)
  t.notOk(hasStarted(api))

  const hurrying = new Redis(redis.url, { enableReadyCheck: false })
  await hurrying.config('SET', 'key-load-delay', '0')
  hurrying.disconnect()
  await starting
  await untilStarted(api, 'the API')
  t.equal(await api.end('SIGTERM'), 0)
})

t.test('a Redis Cluster is waited for', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  const nodes = [0, 1, 2]
  await Promise.all(nodes.map((node) => cluster.kill(node)))
  const worker = startRole(t, 'worker', environmentOf(await createTestDatabase(), cluster.url))
  const places = cluster.url.replaceAll('redis://', '').replaceAll(',', ', ')
  await untilSays(worker, `Waiting for Redis at ${places}: no connection can be made.`)
  await Promise.all(nodes.map((node) => cluster.restart(node)))
  await untilStarted(worker, 'the worker')
  t.equal(await worker.end('SIGTERM'), 0)
})
