import { spawn, spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { request } from 'undici'
import { createLog } from '../../src/platform/log/log.ts'
import { startEmbeddedPostgres } from '../../src/platform/postgres/embedded.ts'
import { migrate } from '../../src/platform/postgres/migrate.ts'
import { createDatabase, createPool } from '../../src/platform/postgres/pool.ts'
import { freePort, startRedis } from '../../test/helpers/redis-server.ts'
import { ADMIN_KEY } from '../../test/helpers/service.ts'
import { until } from '../../test/helpers/until.ts'
import { supervise, type Process } from './processes.ts'
import type { Scope } from './scope.ts'

const MAIN = join(import.meta.dirname, '../../bin/heliograph.js')

/** Where a service keeps its data. */
export interface Stores {
  databaseUrl: string
  /** Undefined: Postgres carries the queue and the wake-ups. */
  redisUrl: string | undefined
}

export type Backend = 'redis' | 'postgres'

export interface Environment {
  /** Redis first, when it is installed. */
  backends: readonly Backend[]
  /** A migrated database of its own, and an empty Redis. */
  createStores(backend: Backend): Promise<Stores>
  /** @param nodeOptions for Node itself */
  startApi(stores: Stores, nodeOptions?: readonly string[]): Promise<Process & { url: string }>
  startWorker(stores: Stores): Promise<Process>
  /** API and worker in one process, as `npm start` has them. */
  startWhole(stores: Stores): Promise<Process & { url: string }>
}

/** Starts a Postgres and a Redis under a temporary folder, for the time of the scope. */
export async function openEnvironment(scope: Scope, say: (text: string) => void): Promise<Environment> {
  say('starting Postgres and Redis')
  const folder = await scope.open(
    () => mkdtemp(join(tmpdir(), 'heliograph-bench-')),
    (made) => rm(made, { recursive: true, force: true }),
  )
  await chmod(folder, 0o755) // the server's account must be able to enter it
  const postgres = await scope.open(
    () =>
      startEmbeddedPostgres({
        dataDir: join(folder, 'data'),
        say: () => {},
        onLost: () => scope.fail(new Error('Postgres went away.')),
      }),
    (server) => server.stop(),
  )
  const hasRedis = spawnSync('redis-server', ['--version']).status === 0
  const redis = hasRedis ? await scope.open(startRedis, (server) => server.stop()) : undefined
  if (!redis) say('redis-server is not installed: only the Postgres backend is measured')
  let stores = 0

  function service(
    role: 'all' | 'api' | 'worker',
    { databaseUrl, redisUrl }: Stores,
    port: number,
    nodeOptions: readonly string[] = [],
  ) {
    const environment = {
      DATABASE_URL: databaseUrl,
      ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
      PORT: String(port),
      ADMIN_API_KEY: ADMIN_KEY,
      ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
      OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8',
    }
    return supervise(scope, `The ${role}`, () =>
      // Its log goes to /dev/null. The folder has no .env, and its own process group gets no Ctrl-C.
      spawn(process.execPath, [...nodeOptions, MAIN, role], {
        cwd: folder,
        env: environment,
        detached: true,
        stdio: ['ignore', 'ignore', 'inherit'],
      }),
    )
  }

  async function serving(role: 'all' | 'api', of: Stores, nodeOptions?: readonly string[]) {
    const port = await freePort()
    const started = await service(role, of, port, nodeOptions)
    const url = `http://127.0.0.1:${port}`
    await until(() => isReady(url), 'the API is ready')
    return { ...started, url }
  }

  return {
    backends: redis ? ['redis', 'postgres'] : ['postgres'],
    async createStores(backend) {
      stores += 1
      const databaseUrl = await createMigrated(postgres.address.host, `bench_${stores}`)
      return { databaseUrl, redisUrl: backend === 'redis' ? `${redis?.url}/${stores}` : undefined }
    },
    startApi: (of, nodeOptions) => serving('api', of, nodeOptions),
    startWhole: (of) => serving('all', of),
    startWorker: (of) => service('worker', of, 0),
  }
}

async function createMigrated(host: string, database: string): Promise<string> {
  const admin = new pg.Client({ host, user: 'heliograph', database: 'postgres' })
  await admin.connect()
  await admin.query(`create database ${database}`)
  await admin.end()
  const log = createLog('error', 'bench')
  const pool = createPool({ host, user: 'heliograph', database }, { size: 4, name: 'bench', log })
  await migrate(pool, createDatabase(pool), log)
  await pool.end()
  return `postgres://heliograph@localhost/${database}?host=${encodeURIComponent(host)}`
}

async function isReady(url: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`${url}/health/ready`)
    await body.dump()
    return statusCode === 200
  } catch {
    return false
  }
}
