import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { startRedis, type RedisServer } from './redis-server.ts'
import { until } from './until.ts'

const NODES = 3
const SLOTS = 16_384
/** A node talks to the others on a port so much above its own. */
const BUS_PORT_OFFSET = 10_000
/** Both ports lie below those that systems give out by themselves. */
const [FIRST_PORT, LAST_PORT] = [10_000, 22_000]

/** A real Redis Cluster of a test's own: three nodes without replicas, which keep nothing on disk but who they are. */
export interface RedisCluster {
  /** All nodes, with commas between them, as REDIS_URL has them. */
  readonly url: string
  /** Which node holds a key's slot. */
  ownerOf(key: string): Promise<number>
  /** Ends a node with SIGKILL, as a crash would; its keys are lost. */
  kill(node: number): Promise<void>
  /** Starts a node that was killed, and waits until the cluster takes commands for all slots. */
  restart(node: number): Promise<void>
  stop(): Promise<void>
  /** The names that a node's connections gave themselves. */
  connectionNames(node: number): Promise<string[]>
}

export async function startRedisCluster(): Promise<RedisCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-cluster-'))
  const servers: RedisServer[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    while (servers.length < NODES) {
      const port = await freePortPair()
      servers.push(
        await startRedis(port, {
          dir: folder,
          'cluster-enabled': 'yes',
          'cluster-config-file': `${port}.conf`,
          'cluster-announce-ip': '127.0.0.1',
          // Long, so that a busy machine does not part the nodes.
          'cluster-node-timeout': '5000',
        }),
      )
    }
    await Promise.all(servers.map((server, index) => introduce(server, index, servers)))
    await untilOk(servers)
  } catch (error) {
    await stop()
    throw error
  }
  const server = (node: number): RedisServer => {
    const found = servers[node]
    if (!found) throw new RangeError(`There is no node ${node}.`)
    return found
  }
  return {
    url: servers.map(({ url }) => url).join(','),
    ownerOf: async (key) => nodeOf(Number(await ask(server(0), 'KEYSLOT', key))),
    kill: (node) => server(node).kill(),
    async restart(node) {
      await server(node).start()
      await untilOk(servers)
    },
    stop,
    connectionNames: (node) => server(node).connectionNames(),
  }
}

const nodeOf = (slot: number): number => Math.floor((slot * NODES) / SLOTS)

/** Gives a node its slots and has it meet every other one, rather than hear of them sooner or later. */
async function introduce(server: RedisServer, node: number, servers: readonly RedisServer[]): Promise<void> {
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => nodeOf(slot) === node)
  await ask(server, 'SET-CONFIG-EPOCH', node + 1)
  await ask(server, 'ADDSLOTS', ...slots)
  for (const { port } of servers) if (port !== server.port) await ask(server, 'MEET', '127.0.0.1', port)
}

/** Waits until all nodes know all slots and take commands; a master does so two seconds after its start. */
async function untilOk(servers: readonly RedisServer[]): Promise<void> {
  await until(async () => {
    const states = await Promise.all(servers.map((server) => ask(server, 'INFO').catch(() => 'away')))
    return states.every((state) => {
      const text = String(state)
      return text.includes('cluster_state:ok') && text.includes(`cluster_known_nodes:${NODES}`)
    })
  }, 'the cluster is ok')
}

async function ask({ port }: RedisServer, command: string, ...args: (string | number)[]): Promise<unknown> {
  const redis = new Redis(port, '127.0.0.1', { retryStrategy: () => null })
  redis.on('error', () => {})
  try {
    return await redis.call('CLUSTER', command, ...args)
  } finally {
    redis.disconnect()
  }
}

async function freePortPair(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT))
    if ((await isFree(port)) && (await isFree(port + BUS_PORT_OFFSET))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  if (free) {
    server.close()
    await once(server, 'close')
  }
  return free
}
