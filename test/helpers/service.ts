import type { Test } from 'tap'
import { request, type Dispatcher } from 'undici'
import { buildApi } from '../../src/api.ts'
import { loadConfig } from '../../src/config.ts'
import { declared } from './declared.ts'
import { createLog } from '../../src/platform/log/log.ts'
import { buildService } from '../../src/service.ts'
import type { Features } from '../../src/features.ts'
import type { Platform } from '../../src/platform.ts'
import { startWorker } from '../../src/worker.ts'
import { createTestDatabase, createTestRedis } from './environment.ts'
import { startRedisCluster } from './redis-cluster.ts'

export const ADMIN_KEY = 'admin-key-of-the-tests'
const ENCRYPTION_KEY = Buffer.alloc(32, 7).toString('base64')

export type Backend = 'postgres' | 'redis' | 'cluster'
/** For tests of what is built on queues and buses. */
export const BACKENDS: readonly Backend[] = ['postgres', 'redis']
/** For tests of queues and buses themselves: a cluster takes seconds to start. */
export const ALL_BACKENDS: readonly Backend[] = [...BACKENDS, 'cluster']

/** Settings that make retries and recoveries quick enough to wait for, and let tests do what they want. */
const QUICK = {
  DELIVERY_RETRY_SCHEDULE: '50ms,50ms,50ms',
  DELIVERY_TIMEOUT_MS: '1000',
  DELIVERY_LEASE_MS: '2000',
  DELIVERY_GRACE_MS: '500',
  SWEEP_INTERVAL_MS: '100',
  SUBSCRIPTION_HOLD_MS: '100',
  SHUTDOWN_TIMEOUT_MS: '5000',
  // All tests come from one address.
  INQUIRIES_PER_MINUTE: '100000',
}

/** Environment for a service on a database, and on Redis where a URL is given, or a cluster where it is several. */
export const serviceEnvironment = (
  databaseUrl: string,
  redisUrl: string | undefined,
  settings: Record<string, string> = {},
): Record<string, string> => ({
  ...QUICK,
  PORT: '0',
  DATABASE_URL: databaseUrl,
  ...(redisUrl && { REDIS_URL: redisUrl }),
  ...(redisUrl?.includes(',') && { APP_ENV_WEBSOCKET_REDIS_MODE: 'cluster' }),
  ADMIN_API_KEY: ADMIN_KEY,
  ENCRYPTION_KEY,
  OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8',
  LOG_LEVEL: 'silent',
  DATABASE_POOL_SIZE: '8',
  ...settings,
})

export interface Answer {
  status: number
  headers: Dispatcher.ResponseData['headers']
  text: string
  // oxlint-disable-next-line typescript/no-explicit-any -- answers are looked into freely
  body: any
}

/** Sends one request to an API, with a key where one is given. */
export async function call(
  baseUrl: string,
  method: Dispatcher.HttpMethod,
  path: string,
  options: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { key, body, headers } = options
  const response = await request(baseUrl + path, {
    method,
    headers: {
      ...(key && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    body:
      body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
        ? (body as string)
        : JSON.stringify(body),
  })
  const text = await response.body.text()
  const isJson = /json/.test(String(response.headers['content-type']))
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    body: isJson ? JSON.parse(text) : undefined,
  }
}

/** An app and its first key, for talking to an API. */
export interface Client {
  appId: string
  key: string
  get(path: string): Promise<Answer>
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  patch(path: string, body: unknown): Promise<Answer>
  delete(path: string): Promise<Answer>
  /** Has every event, or those of some patterns, posted to a URL. @returns the subscription */
  subscribe(url: string, eventPatterns?: string[]): Promise<Answer['body']>
}

export async function createClient(baseUrl: string, name = 'test'): Promise<Client> {
  const { body } = await call(baseUrl, 'POST', '/apps', { key: ADMIN_KEY, body: { name } })
  return clientOf(baseUrl, body.id, body.apiKey)
}

/** An app with a key that may also import, for events that only the service itself appends otherwise. */
export async function createImporter(baseUrl: string): Promise<Client> {
  const { appId } = await createClient(baseUrl)
  const { body } = await call(baseUrl, 'POST', `/apps/${appId}/api-keys`, {
    key: ADMIN_KEY,
    body: { name: 'import', scopes: declared.scopes },
  })
  return clientOf(baseUrl, appId, body.apiKey)
}

function clientOf(baseUrl: string, appId: string, key: string): Client {
  const client: Client = {
    appId,
    key,
    get: (path) => call(baseUrl, 'GET', path, { key }),
    post: (path, content, headers) =>
      call(baseUrl, 'POST', path, { key, body: content, ...(headers && { headers }) }),
    patch: (path, content) => call(baseUrl, 'PATCH', path, { key, body: content }),
    delete: (path) => call(baseUrl, 'DELETE', path, { key }),
    async subscribe(url, eventPatterns = ['*']) {
      const destination = { type: 'webhook', url }
      const answer = await client.post('/subscriptions', { name: 'test', eventPatterns, destination })
      if (answer.status !== 201) throw new Error(answer.text)
      return answer.body
    },
  }
  return client
}

export interface Service {
  url: string
  platform: Platform
  features: Features
  databaseUrl: string
  redisUrl: string | undefined
  /** A new app on it. */
  client(): Promise<Client>
  close(): Promise<void>
}

export interface ServiceOptions {
  backend?: Backend
  settings?: Record<string, string>
  /** Whether this process also runs the worker; it does unless told. */
  worker?: boolean
  /** Whether the worker takes what this process owes past the queue, as `npm start` has it; else by the queue. */
  hasLocalWorker?: boolean
  /** To share a database or a Redis with another service. */
  databaseUrl?: string
  redisUrl?: string
}

/** A cluster is the test's own: its nodes have no logical databases to give out. */
async function createRedisFor(t: Test, backend: Backend | undefined): Promise<string | undefined> {
  if (backend === 'redis') return createTestRedis()
  if (backend !== 'cluster') return undefined
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  return cluster.url
}

/** A service in this process, on a database of its own, closed when the test ends. */
export async function startService(t: Test, options: ServiceOptions = {}): Promise<Service> {
  const databaseUrl = options.databaseUrl ?? (await createTestDatabase())
  const redisUrl = options.redisUrl ?? (await createRedisFor(t, options.backend))
  const environment = serviceEnvironment(databaseUrl, redisUrl, options.settings)
  const config = loadConfig(environment)
  const service = await buildService({
    config,
    environment,
    log: createLog(config.LOG_LEVEL, 'test'),
    migrate: false,
    hasLocalWorker: options.hasLocalWorker ?? false,
    say: () => {},
  })
  const { platform, features } = service
  const api = await buildApi(platform, features)
  const worker = options.worker === false ? undefined : startWorker(features)
  const url = await api.listen({ host: '127.0.0.1', port: 0 })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> =>
    (closing ??= Promise.all([api.close(), worker?.close(config.SHUTDOWN_TIMEOUT_MS)]).then(() =>
      service.close(),
    ))
  t.teardown(close)
  return { url, platform, features, databaseUrl, redisUrl, client: () => createClient(url), close }
}
