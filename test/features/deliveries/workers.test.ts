import { sql } from 'kysely'
import t from 'tap'
import { startReceiver } from '../../helpers/receiver.ts'
import { BACKENDS, startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const EVENTS = 400
/** However long a busy machine takes over them, no attempt fails and no lease ends. */
const PATIENT = {
  DELIVERY_GRACE_MS: '60000',
  DELIVERY_LEASE_MS: '60000',
  DELIVERY_TIMEOUT_MS: '30000',
}

for (const backend of BACKENDS) {
  t.test(`two workers share the work and send everything once (${backend})`, async (t) => {
    const service = await startService(t, { backend, settings: PATIENT })
    await startService(t, {
      databaseUrl: service.databaseUrl,
      ...(service.redisUrl && { redisUrl: service.redisUrl }),
      settings: PATIENT,
    })
    const client = await service.client()
    const receiver = await startReceiver(t)
    await client.subscribe(receiver.url)
    const events = Array.from({ length: 100 }, (_, number) => ({ type: 'worker.test', payload: { number } }))
    for (let batch = 0; batch < EVENTS / events.length; batch++) {
      t.equal((await client.post('/events/batch', { events })).status, 201)
    }
    await until(async () => {
      const { rows } = await sql<{
        open: number
      }>`select count(*) as open from deliveries where status = 'pending'`.execute(service.platform.db)
      return rows[0]?.open === 0
    }, 'nothing is owed any more')
    t.equal(receiver.received.length, EVENTS, 'each once')
    t.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, EVENTS)
  })
}

t.test('what was never queued is swept up', async (t) => {
  // This process appends with a queue that goes nowhere: another schema, so to speak another Redis.
  const api = await startService(t, { backend: 'redis', worker: false })
  await startService(t, { databaseUrl: api.databaseUrl })
  const client = await api.client()
  const receiver = await startReceiver(t)
  await client.subscribe(receiver.url)
  await client.post('/events', { type: 'sweep.test', payload: {} })
  await receiver.waitFor(1)
})

t.test('a delivery whose worker died is made again once its lease is over', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const receiver = await startReceiver(t)
  await client.subscribe(receiver.url)
  await client.post('/events', { type: 'lease.test', payload: {} })
  const { rows } = await sql<{ until: Date }>`
    update deliveries set lease_until = now() + interval '1 second' returning lease_until as until`.execute(
    service.platform.db,
  )
  await startService(t, { databaseUrl: service.databaseUrl })
  const [received] = await receiver.waitFor(1)
  t.ok((received?.at ?? 0) >= (rows[0]?.until.getTime() ?? Infinity) - 50, 'not before')
})

t.test('closing a worker in the middle gives back what it did not begin', async (t) => {
  const first = await startService(t, { settings: { SHUTDOWN_TIMEOUT_MS: '5000' } })
  const client = await first.client()
  const receiver = await startReceiver(t)
  receiver.answer = (response) => setTimeout(() => response.end(), 100)
  await client.subscribe(receiver.url)
  const events = Array.from({ length: 300 }, (_, number) => ({ type: 'close.test', payload: { number } }))
  await client.post('/events/batch', { events })
  await receiver.waitFor(1)
  await first.close()
  const atClose = receiver.received.length
  t.ok(atClose < 300, `${atClose} were sent before it closed`)
  await startService(t, { databaseUrl: first.databaseUrl })
  await receiver.waitFor(300)
  t.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 300)
  t.equal(receiver.received.length, 300, 'nothing twice')
})
