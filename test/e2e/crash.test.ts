import t from 'tap'
import { createTestDatabase } from '../helpers/environment.ts'
import { startProcess } from '../helpers/processes.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { serviceEnvironment } from '../helpers/service.ts'
import { startAll } from '../helpers/start-all.ts'
import { until } from '../helpers/until.ts'

const EVENTS = 300

t.test('a worker killed in the middle and a lost Redis lose no delivery', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const environment = serviceEnvironment(await createTestDatabase(), `${redis.url}/0`, { LOG_LEVEL: 'info' })
  const { worker, client, receiver } = await startAll(t, environment)
  // Slow enough that the kill comes in the middle of many requests.
  receiver.answer = (response) => setTimeout(() => response.end(), 50)

  const ids: string[] = []
  for (let batch = 0; batch < EVENTS / 50; batch++) {
    const events = Array.from({ length: 50 }, (_, number) => ({
      type: 'crash.test',
      payload: { batch, number },
    }))
    const { body } = await client.post('/events/batch', { events })
    ids.push(...body.data.map(({ id }: { id: string }) => id))
  }
  await receiver.waitFor(40)
  await worker.end('SIGKILL')
  await redis.kill()
  const atKill = new Set(receiver.received.map(({ headers }) => headers['webhook-id']))
  t.ok(atKill.size < EVENTS, `killed after ${atKill.size} of ${EVENTS}`)

  await redis.start()
  await startProcess(t, 'worker', environment)
  await until(async () => {
    const { body } = await client.get('/deliveries?status=pending&limit=1')
    return body.data.length === 0
  }, 'nothing is owed any more')

  const received = new Set(receiver.received.map(({ headers }) => headers['webhook-id'] as string))
  t.strictSame([...received].toSorted(), ids.toSorted(), 'every event arrived, under its own id')
  const bodies = new Map<string, string>()
  for (const { headers, text } of receiver.received) {
    const id = headers['webhook-id'] as string
    t.equal(bodies.get(id) ?? text, text, 'a repeat is the same message')
    bodies.set(id, text)
  }
  t.ok(receiver.received.length >= EVENTS)
})

t.test('with Redis away events are taken, and delivered when it is back', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const environment = serviceEnvironment(await createTestDatabase(), `${redis.url}/0`, { LOG_LEVEL: 'info' })
  const { client, receiver } = await startAll(t, environment)
  await client.post('/events', { type: 'before.outage', payload: {} })
  await receiver.waitFor(1)

  await redis.kill()
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, number) =>
      client.post('/events', { type: 'during.outage', payload: { number } }),
    ),
  )
  t.ok(
    answers.every(({ status }) => status === 201),
    'every append was answered 201',
  )
  const { status, body } = await client.get('/health/ready')
  t.equal(status, 200, 'the API is ready')
  t.equal(body.queue, 'unreachable', 'and says what is not')

  await redis.start()
  await receiver.waitFor(51)
  t.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 51)
})
