import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Redis } from 'ioredis'
import { until } from './until.ts'

/** A real Redis of a test's own. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Ends it with SIGKILL, as a crash would, and starts it again, empty, on the same port. */
  restart(): Promise<void>
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
  /** The names that its connections gave themselves. */
  connectionNames(): Promise<string[]>
}

/**
 * Starts a Redis that keeps nothing on disk.
 *
 * @param options more of its settings, by their names on the command line
 */
export async function startRedis(
  port?: number,
  options: Record<string, string> = { databases: '4096' },
): Promise<RedisServer> {
  const chosen = port ?? (await freePort())
  const settings = {
    port: String(chosen),
    bind: '127.0.0.1',
    save: '',
    appendonly: 'no',
    'maxmemory-policy': 'noeviction',
    ...options,
  }
  const password = options['requirepass']
  let server: ChildProcess | undefined
  const redis: RedisServer = {
    port: chosen,
    url: `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${chosen}`,
    async start() {
      server = spawn(
        'redis-server',
        Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
        { stdio: 'ignore' },
      )
      await until(() => answers(chosen, password), 'redis-server answers')
    },
    async kill() {
      if (!server || server.exitCode !== null || server.signalCode !== null) return
      const gone = once(server, 'exit')
      server.kill('SIGKILL')
      await gone
    },
    async restart() {
      await redis.kill()
      await redis.start()
    },
    stop: () => redis.kill(),
    async connectionNames() {
      const client = new Redis(redis.url)
      const list = String(await client.client('LIST'))
      client.disconnect()
      return [...list.matchAll(/ name=(\S*)/g)].map(([, name = '']) => name)
    },
  }
  await redis.start()
  return redis
}

async function answers(port: number, password: string | undefined): Promise<boolean> {
  const client = new Redis(port, '127.0.0.1', {
    ...(password !== undefined && { password }),
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.ping()) === 'PONG'
  } catch {
    return false
  } finally {
    client.disconnect()
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
