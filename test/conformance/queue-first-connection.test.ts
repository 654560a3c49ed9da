import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t from 'tap'
import { createRedisBus } from '../../src/platform/bus/relay.ts'
import { createLog } from '../../src/platform/log/log.ts'
import { QUEUE_SCHEMA } from '../../src/platform/postgres/migrate.ts'
import { createPool } from '../../src/platform/postgres/pool.ts'
import { createPostgresQueues, createRedisQueues } from '../../src/platform/queue/bullmq.ts'
import { parseRedisAddress } from '../../src/platform/redis/address.ts'
import { createTestDatabase } from '../helpers/environment.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { until } from '../helpers/until.ts'

t.test('a queue whose first connections fail works once Postgres can be reached', async (t) => {
  const url = new URL(await createTestDatabase())
  const path = `${url.searchParams.get('host') ?? ''}/.s.PGSQL.5432`
  let refusing = true
  let refused = 0
  const door = createServer((socket) => {
    socket.on('error', () => {})
    if (refusing) {
      refused += 1
      socket.destroy()
      return
    }
    const server = connect(path)
    server.on('error', () => socket.destroy())
    socket.on('close', () => server.destroy())
    socket.pipe(server).pipe(socket)
  })
  door.listen(0, '127.0.0.1')
  await once(door, 'listening')
  url.searchParams.delete('host')
  url.hostname = '127.0.0.1'
  url.port = String((door.address() as { port: number }).port)

  const log = createLog('silent', 'test')
  const pool = createPool(url.href, { size: 8, name: 'test', schema: QUEUE_SCHEMA, log })
  const queues = createPostgresQueues(pool, log)
  const queue = queues.queue<{ number: number }>('first-connection')
  const handled: number[] = []
  const consumer = queue.consume(
    async ({ number }) => {
      handled.push(number)
    },
    { concurrency: 1 },
  )
  t.teardown(async () => {
    await consumer.close(1_000)
    await queues.close()
    await pool.end()
    door.close()
  })
  const added = queue.add([{ data: { number: 1 } }]).catch(() => {})
  await until(() => refused >= 2, 'producer and consumer were refused')
  refusing = false
  await added
  await until(
    () =>
      queue.add([{ data: { number: 2 } }]).then(
        () => true,
        () => false,
      ),
    'a job is added',
  )
  await until(() => handled.includes(2), 'it is handled')
  t.pass('both ends came up')
})

t.test('a queue and a bus that are opened while a whole cluster is away work once it is there', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  const nodes = [0, 1, 2]
  await Promise.all(nodes.map((node) => cluster.kill(node)))

  const log = createLog('silent', 'test')
  const address = parseRedisAddress(cluster.url, 'cluster')
  const queues = createRedisQueues(address, log)
  const bus = createRedisBus(address, log)
  const queue = queues.queue<{ number: number }>('first-connection')
  const handled: number[] = []
  const seen: unknown[] = []
  const consumer = queue.consume(async ({ number }) => void handled.push(number), { concurrency: 1 })
  bus.subscribe('key.revoked', (data) => seen.push(data))
  t.teardown(async () => {
    await consumer.close(1_000)
    await Promise.all([queues.close(), bus.close()])
  })
  await t.rejects(queue.add([{ data: { number: 1 } }]), 'a job is refused, rather than kept waiting')

  await Promise.all(nodes.map((node) => cluster.restart(node)))
  await until(async () => {
    await queue.add([{ data: { number: 2 } }]).catch(() => {})
    bus.publish('key.revoked', 'a')
    return handled.includes(2) && seen.includes('a')
  }, 'a job is handled and a message seen')
  t.notOk(handled.includes(1))
})
