import t from 'tap'
import { dropEvents } from '../../helpers/partitions.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const ends = (client: Client, id: string) =>
  until(async () => {
    const { body } = await client.get(`/deliveries/${id}`)
    return body.status !== 'pending' && body
  }, 'the delivery has ended')

const only = async (client: Client) => {
  const { body } = await client.get('/deliveries')
  return body.data[0]
}

t.test('a delivery whose event is no longer kept ends', async (t) => {
  const service = await startService(t, { settings: { DELIVERY_RETRY_SCHEDULE: '300ms,1h' } })
  const { pool } = service.platform

  await t.test('at its next attempt', async (t) => {
    const client = await service.client()
    const receiver = await startReceiver(t)
    receiver.answer = (response) => void response.writeHead(500).end()
    await client.subscribe(receiver.url)
    await client.post('/events', { type: 'a.b', payload: {} })
    await receiver.waitFor(1)
    await dropEvents(pool)
    t.match(await ends(client, (await only(client)).id), { status: 'cancelled', attempts: 1 })
    t.equal(receiver.received.length, 1)

    await client.post('/events', { type: 'a.b', payload: {} })
    await receiver.waitFor(2)
    t.pass('and those after it are delivered')
  })

  await t.test('when it is released', async (t) => {
    const client = await service.client()
    const receiver = await startReceiver(t)
    const { id } = await client.subscribe(receiver.url)
    await client.post(`/subscriptions/${id}/disable`, undefined)
    await client.post('/events', { type: 'a.b', payload: {} })
    await dropEvents(pool)
    await client.post('/events', { type: 'a.b', payload: {} })
    const [newer, older] = (await client.get('/deliveries')).body.data
    await client.post(`/subscriptions/${id}/enable`, undefined)
    t.match(await ends(client, older.id), { status: 'cancelled', attempts: 0 })
    t.match(await ends(client, newer.id), { status: 'succeeded' })
    t.equal(receiver.received.length, 1)
  })
})

t.test('a key stays used when its event is no longer kept', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const event = { type: 'a.b', payload: { n: 1 }, externalId: 'A-1' }
  const headers = { 'idempotency-key': 'once' }
  t.equal((await client.post('/events', event)).status, 201)
  t.equal((await client.post('/events', { ...event, externalId: undefined }, headers)).status, 201)
  await dropEvents(service.platform.pool)
  const again = await client.post('/events', event)
  t.match(again.body, {
    status: 409,
    type: /idempotency-conflict$/,
    detail: 'The externalId "A-1" was used before, for an event that is no longer kept.',
  })
  const keyed = await client.post('/events', { ...event, externalId: undefined }, headers)
  t.match(keyed.body, {
    status: 409,
    detail: /^The Idempotency-Key was used before, for an event that is no longer kept/,
  })
  const batch = await client.post('/events/batch', { events: [{ ...event, externalId: 'A-2' }, event] })
  t.equal(batch.status, 409)
  t.equal(
    (await client.post('/events', { ...event, externalId: 'A-2' })).status,
    201,
    'nothing of the batch was stored',
  )
})
