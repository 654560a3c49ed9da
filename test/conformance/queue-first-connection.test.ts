import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t from 'tap'
import { createLog } from '../../src/platform/log.ts'
import { QUEUE_SCHEMA } from '../../src/platform/postgres/migrate.ts'
import { createPool } from '../../src/platform/postgres/pool.ts'
import { createPostgresQueues } from '../../src/platform/queue/bullmq.ts'
import { createTestDatabase } from '../helpers/environment.ts'
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
