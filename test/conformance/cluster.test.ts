import t from 'tap'
import { REDIS_PREFIX } from '../../src/platform/redis/redis.ts'
import { createTestDatabase } from '../helpers/environment.ts'
import { observe } from '../helpers/observer.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { call, startService } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

t.test('two API processes and a worker on a Redis Cluster', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  const shared = { databaseUrl: await createTestDatabase(), redisUrl: cluster.url }
  const first = await startService(t, { ...shared, worker: false })
  const second = await startService(t, { ...shared, worker: false })
  await startService(t, shared)
  const client = await first.client()
  const receiver = await startReceiver(t)
  await client.subscribe(receiver.url)
  const idsReceived = () => new Set(receiver.received.map(({ headers }) => headers['webhook-id']))
  const readiness = async () => (await call(first.url, 'GET', '/health/ready')).body

  await t.test('what one takes is delivered, and told to the observers of the other', async (t) => {
    const told: string[] = []
    const end = second.platform.bus.subscribe('log.grew', (message) =>
      told.push(...(message as { apps: string[] }).apps),
    )
    const observer = await observe(t, second.url, client.key, '?after=0')
    await until(async () => {
      const { status } = await client.post('/events', { type: 'cluster.test', payload: {} })
      if (status !== 201) throw new Error(`answered ${status}`)
      return told.includes(client.appId)
    }, 'the other process was told over the bus that the log grew')
    end()
    const { body } = await client.get('/events?limit=100')
    const ids = new Set(body.data.map(({ id }: { id: string }) => id))
    await observer.waitFor(ids.size)
    t.strictSame(new Set(observer.messages.map(({ data }) => JSON.parse(data).id)), ids)
    await receiver.waitFor(ids.size)
    t.strictSame(idsReceived(), ids)
    await until(async () => (await readiness()).queue === 'ok', 'the queue is ok')
  })

  await t.test(
    'with the node of the queue away events are taken, and delivered when it is back',
    async (t) => {
      const owner = await cluster.ownerOf(REDIS_PREFIX)
      const waitingForJobs = async (): Promise<number> =>
        (await cluster.connectionNames(owner)).filter((name) => name.startsWith(`${REDIS_PREFIX}:`)).length
      const before = await waitingForJobs()
      await cluster.kill(owner)
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, number) =>
          client.post('/events', { type: 'cluster.outage', payload: { number } }),
        ),
      )
      t.ok(
        answers.every(({ status }) => status === 201),
        'every append was answered 201',
      )
      t.match(await readiness(), { status: 'ok', queue: 'unreachable' })

      await cluster.restart(owner)
      await until(() => answers.every(({ body }) => idsReceived().has(body.id)), 'all were delivered')
      await until(async () => (await readiness()).queue === 'ok', 'the queue is ok again')
      await until(async () => (await waitingForJobs()) === before, 'the worker waits for jobs again')
    },
  )
})
