import t from 'tap'
import { putDelivery, statusOf, type DeliveryState } from '../../helpers/deliveries.ts'
import { readPages } from '../../helpers/pages.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const STATUSES = ['pending', 'processing', 'completed', 'failed']

/** Every way to ask for an event must give the same status, and of the lists by status only that one the event. */
async function statusEverywhere(
  client: Client,
  id: string,
): Promise<{ status: string; processedAt: string | null }> {
  const { body: event } = await client.get(`/events/${id}`)
  const { rows } = await readPages<{ id: string; status: string }>(client, '/events?limit=2')
  const listed = rows.find((row) => row.id === id)
  const by = []
  for (const status of STATUSES) {
    const { rows: some } = await readPages(client, `/events?limit=2&status=${status}`)
    if (some.some((row) => row.id === id)) by.push(status)
    if (some.some((row) => row.status !== status)) throw new Error(`A list of ${status} has others.`)
  }
  if (listed?.status !== event.status || by.join() !== event.status)
    throw new Error(`${event.status}, but ${listed?.status} in the list and listed by ${by.join()}`)
  return { status: event.status, processedAt: event.processedAt }
}

/** Waits until an event has a status, which it keeps then. */
async function untilStatus(client: Client, id: string, status: string) {
  await until(
    async () => (await client.get(`/events/${id}`)).body.status === status,
    `the event is ${status}`,
  )
  return statusEverywhere(client, id)
}

t.test('the status of an event follows its deliveries', async (t) => {
  const service = await startService(t, { worker: false })
  const { pool } = service.platform
  const states: DeliveryState[] = [
    { status: 'pending', attempts: 0 },
    { status: 'pending', attempts: 2 },
    { status: 'succeeded', attempts: 1 },
    { status: 'dead', attempts: 4 },
    { status: 'cancelled', attempts: 0 },
    { status: 'cancelled', attempts: 1 },
  ]
  const client = await service.client()
  const wanted = new Map<string, string>()
  const combinations = [
    [],
    ...states.map((one) => [one]),
    ...states.flatMap((one, index) => states.slice(index).map((two) => [one, two])),
    [states[3], states[2], states[4]],
    [states[0], states[3], states[2]],
  ] as DeliveryState[][]
  const { body } = await client.post('/events/batch', {
    events: combinations.map(() => ({ type: 'a.b', payload: {} })),
  })
  for (const [index, own] of combinations.entries()) {
    const event = body.data[index]
    for (const state of own) await putDelivery(pool, client.appId, event, state)
    wanted.set(event.id, statusOf(own))
  }
  const found = new Map<string, string>()
  for (const status of STATUSES) {
    const { rows } = await readPages(client, `/events?limit=5&status=${status}`)
    for (const row of rows) {
      t.notOk(found.has(row.id), 'in one list only')
      t.equal(row.status, status)
      found.set(row.id, status)
      const { body: event } = await client.get(`/events/${row.id}`)
      t.equal(event.status, status)
      t.equal(event.processedAt !== null, status === 'completed' || status === 'failed')
    }
  }
  t.strictSame(Object.fromEntries(found), Object.fromEntries(wanted))
})

t.test('an event nobody is owed is completed when it is appended', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: event } = await client.post('/events', { type: 'a.b', payload: {} })
  t.equal(event.status, 'completed')
  t.equal(event.processedAt, event.createdAt)
  t.strictSame(await statusEverywhere(client, event.id), {
    status: 'completed',
    processedAt: event.createdAt,
  })
})

/** Far longer than a receiver here holds a request. */
const PATIENT = { DELIVERY_TIMEOUT_MS: '60000', DELIVERY_LEASE_MS: '120000' }

/** A gate that requests wait at until it is opened. */
function createGate() {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { open, opened }
}

t.test('the status at every step of deliveries', async (t) => {
  const service = await startService(t, { settings: { ...PATIENT, DELIVERY_RETRY_SCHEDULE: '50ms,1h' } })

  t.test('pending, processing after a failure, completed by a retry', async (t) => {
    const client = await service.client()
    const receiver = await startReceiver(t)
    const [first, second] = [createGate(), createGate()]
    receiver.answer = (response) =>
      void (receiver.received.length === 1
        ? first.opened.then(() => response.writeHead(500).end())
        : second.opened.then(() => response.end()))
    await client.subscribe(receiver.url)
    const { body: event } = await client.post('/events', { type: 'a.b', payload: {} })
    t.equal(event.status, 'pending')
    t.equal(event.processedAt, null)
    await receiver.waitFor(1)
    t.strictSame(
      await statusEverywhere(client, event.id),
      { status: 'pending', processedAt: null },
      'under way',
    )
    first.open()
    await receiver.waitFor(2)
    t.strictSame(
      await statusEverywhere(client, event.id),
      { status: 'processing', processedAt: null },
      'tried again',
    )
    second.open()
    const done = await untilStatus(client, event.id, 'completed')
    const { body: deliveries } = await client.get(`/deliveries?eventId=${event.id}`)
    t.strictSame(done, { status: 'completed', processedAt: deliveries.data[0].completedAt })
  })

  t.test('cancelled with its subscription when what was under way has failed', async (t) => {
    const client = await service.client()
    const receiver = await startReceiver(t)
    const gate = createGate()
    receiver.answer = (response) => {
      const refuse = () => void response.writeHead(500).end()
      if (receiver.received.length === 1) refuse()
      else void gate.opened.then(refuse)
    }
    const subscription = await client.subscribe(receiver.url)
    const { body: event } = await client.post('/events', { type: 'a.b', payload: {} })
    await receiver.waitFor(2)
    t.equal((await client.delete(`/subscriptions/${subscription.id}`)).status, 204)
    t.equal((await client.get(`/events/${event.id}`)).body.status, 'processing', 'it is under way')
    gate.open()
    t.ok((await untilStatus(client, event.id, 'completed')).processedAt)
    const { body: deliveries } = await client.get(`/deliveries?eventId=${event.id}`)
    t.match(deliveries.data, [{ status: 'cancelled', attempts: 2 }])
  })

  t.test('cancelled with its subscription', async (t) => {
    const client = await service.client()
    const receiver = await startReceiver(t)
    receiver.answer = (response) => response.writeHead(500).end()
    const subscription = await client.subscribe(receiver.url)
    const { body: event } = await client.post('/events', { type: 'a.b', payload: {} })
    await untilStatus(client, event.id, 'processing')
    t.equal((await client.delete(`/subscriptions/${subscription.id}`)).status, 204)
    const state = await untilStatus(client, event.id, 'completed')
    t.equal(state.status, 'completed')
    t.ok(state.processedAt)
  })
})

t.test('one subscription is dead and another waits', async (t) => {
  const service = await startService(t, { settings: { ...PATIENT, DELIVERY_RETRY_SCHEDULE: '50ms' } })
  const client = await service.client()
  const [bad, slow] = [await startReceiver(t), await startReceiver(t)]
  bad.answer = (response) => response.writeHead(500).end()
  const gate = createGate()
  slow.answer = (response) => void gate.opened.then(() => response.end())
  await client.subscribe(bad.url)
  await client.subscribe(slow.url, ['a.b'])
  const { body: event } = await client.post('/events', { type: 'a.b', payload: {} })
  await until(
    async () => (await client.get('/deliveries?status=dead')).body.data.length === 1,
    'one delivery is dead',
  )
  t.strictSame(await statusEverywhere(client, event.id), { status: 'processing', processedAt: null })
  gate.open()
  const state = await untilStatus(client, event.id, 'failed')
  t.equal(state.status, 'failed')
  const { body: deliveries } = await client.get(`/deliveries?eventId=${event.id}`)
  const ends = deliveries.data.map(({ completedAt }: { completedAt: string }) => completedAt).toSorted()
  t.equal(state.processedAt, ends.at(-1), 'when the last of them ended')

  const { body: ofOne } = await client.post('/events', { type: 'only.bad', payload: {} })
  t.equal((await untilStatus(client, ofOne.id, 'failed')).status, 'failed')
})
