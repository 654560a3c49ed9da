import t, { type Test } from 'tap'
import { startReceiver } from '../../helpers/receiver.ts'
import { BACKENDS, startService, type Service } from '../../helpers/service.ts'

/** Counts the jobs that go to the queue from now on, which still takes them. */
function countJobs({ features }: Service): () => number {
  const { queue } = features.deliveries.deliveryQueue
  const add = queue.add.bind(queue)
  let jobs = 0
  queue.add = (added) => {
    jobs += added.length
    return add(added)
  }
  return () => jobs
}

const idsOf = (received: readonly { headers: Record<string, unknown> }[]): Set<unknown> =>
  new Set(received.map(({ headers }) => headers['webhook-id']))

/** Appends so many events of a type, one by one. */
async function append(service: Service, t: Test, count: number) {
  const client = await service.client()
  const receiver = await startReceiver(t)
  await client.subscribe(receiver.url)
  const sent = await Promise.all(
    Array.from({ length: count }, (_, number) =>
      client.post('/events', { type: 'order.placed', payload: { number } }),
    ),
  )
  t.ok(sent.every(({ status }) => status === 201))
  return receiver
}

for (const backend of BACKENDS) {
  t.test(`what a process owes goes to its own worker, past the queue (${backend})`, async (t) => {
    const service = await startService(t, { backend, hasLocalWorker: true })
    const jobs = countJobs(service)
    const receiver = await append(service, t, 10)
    const received = await receiver.waitFor(10)
    t.equal(idsOf(received).size, 10, 'each once')
    t.equal(jobs(), 0)
  })

  t.test(`what the worker has no room for goes to the queue (${backend})`, async (t) => {
    const service = await startService(t, {
      backend,
      hasLocalWorker: true,
      settings: { WORKER_CONCURRENCY: '1' },
    })
    const jobs = countJobs(service)
    const client = await service.client()
    const slow = await startReceiver(t)
    const quick = await startReceiver(t)
    let release = (): void => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    slow.answer = (response) => void released.then(() => response.end())
    await client.subscribe(slow.url, ['slow.one'])
    await client.subscribe(quick.url, ['quick.one'])
    await client.post('/events', { type: 'slow.one', payload: {} })
    await slow.waitFor(1)
    t.equal(jobs(), 0)
    await client.post('/events', { type: 'quick.one', payload: {} })
    await quick.waitFor(1)
    t.equal(jobs(), 1, 'the queue has brought it')
    release()
    await client.post('/events', { type: 'slow.one', payload: {} })
    t.equal((await slow.waitFor(2)).length, 2)
  })
}

t.test('a process without an API of its own takes what others owe from the queue', async (t) => {
  const api = await startService(t, { worker: false, hasLocalWorker: true })
  const jobs = countJobs(api)
  const { databaseUrl } = api
  await startService(t, { databaseUrl })
  const receiver = await append(api, t, 3)
  await receiver.waitFor(3)
  t.ok(jobs() > 0)
})

t.test('what is owed while the worker stops is left to another', async (t) => {
  const first = await startService(t, { hasLocalWorker: true })
  const client = await first.client()
  const receiver = await startReceiver(t)
  await client.subscribe(receiver.url)
  await startService(t, { databaseUrl: first.databaseUrl })
  const sending = Array.from({ length: 20 }, (_, number) =>
    client.post('/events', { type: 'order.placed', payload: { number } }).then(
      ({ status }) => status === 201,
      () => false,
    ),
  )
  t.ok(await sending[0], 'the first is stored before it stops')
  const closing = first.close()
  const stored = (await Promise.all(sending)).filter(Boolean).length
  await closing
  await receiver.waitFor(stored)
  t.ok(idsOf(receiver.received).size >= stored, `each of the ${stored} that were stored`)
})
