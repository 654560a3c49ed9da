import t from 'tap'
import { createLogTail } from '../../../src/features/events/live/log-tail.ts'
import { createLocalBus } from '../../../src/platform/bus/local.ts'
import { startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

t.test('a log that grew without a word is looked at', async (t) => {
  const service = await startService(t, { worker: false })
  const { eventReader } = service.features.events
  const { log } = service.platform
  const looks: (readonly string[])[] = []
  let isFailing = true
  const reader = {
    ...eventReader,
    heads(appIds: readonly string[]) {
      looks.push(appIds)
      return isFailing ? Promise.reject(new Error('no database')) : eventReader.heads(appIds)
    },
  }
  // What the service says of its appends does not come here.
  const tail = createLogTail(reader, createLocalBus(), log)
  t.teardown(() => tail.close())
  const clients = await Promise.all([service.client(), service.client()])
  const seen = new Map<string, number[]>()
  const observers = await Promise.all(
    clients.map(({ appId }) => {
      const positions: number[] = []
      seen.set(appId, positions)
      return tail.observe(appId, undefined, {
        write({ events }) {
          positions.push(...events.map(({ position }) => position))
          return true
        },
        fail: () => t.fail('it is not lost'),
      })
    }),
  )
  const append = (client: (typeof clients)[number]) =>
    client.post('/events', { type: 'order.placed', payload: {} })
  for (const client of clients) await append(client)
  await until(() => looks.length > 0, 'it was looked at')
  t.strictSame([...seen.values()], [[], []], 'nothing was told')
  isFailing = false
  await until(() => [...seen.values()].every(({ length }) => length === 1), 'it was looked at again')
  t.ok(
    looks.some((appIds) => clients.every(({ appId }) => appIds.includes(appId))),
    'all logs in one query',
  )

  const [gone, there] = clients
  observers[0]?.end()
  await append(gone)
  await append(there)
  await until(() => seen.get(there.appId)?.length === 2, 'the other is still looked at')
  t.strictSame(
    clients.map(({ appId }) => seen.get(appId)),
    [[1], [1, 2]],
    'each event once, and none to who has left',
  )
})

t.test(
  'what this process stored is given without being read again, unless something is missing before it',
  async (t) => {
    const service = await startService(t, { worker: false })
    const { eventReader } = service.features.events
    const { log } = service.platform
    let reads = 0
    const reader = {
      ...eventReader,
      readAfter(...args: Parameters<typeof eventReader.readAfter>) {
        reads += 1
        return eventReader.readAfter(...args)
      },
    }
    const tail = createLogTail(reader, createLocalBus(), log)
    t.teardown(() => tail.close())
    const client = await service.client()
    const { appId } = client
    const given: unknown[] = []
    await tail.observe(appId, undefined, {
      write({ events }) {
        given.push(...events)
        return true
      },
      fail: () => t.fail('it is not lost'),
    })
    const readAtFirst = reads
    for (let number = 1; number <= 6; number++) {
      await client.post('/events', { type: 'order.placed', payload: { number }, edges: [] })
    }
    const stored = await eventReader.readAfter(appId, 0, 10)
    t.equal(stored.length, 6)

    tail.stored([{ appId, events: stored.slice(0, 1) }])
    tail.stored([{ appId, events: stored.slice(1, 3) }])
    await until(() => given.length >= 3, 'they are given')
    t.equal(reads, readAtFirst, 'the table was not read')

    tail.stored([{ appId, events: stored.slice(4, 5) }])
    await until(() => given.length >= 6, 'the missing one is found')
    t.ok(reads > readAtFirst, 'in the table')

    tail.stored([{ appId, events: stored.slice(3, 6) }])
    tail.stored([{ appId, events: stored.slice(0, 2) }])
    await client.post('/events', { type: 'order.placed', payload: { number: 7 } })
    const [last] = await eventReader.readAfter(appId, 6, 1)
    tail.stored([{ appId, events: [last as (typeof stored)[number]] }])
    await until(() => given.length >= 7, 'the next one is given')
    t.strictSame(given, [...stored, last], 'each once and in order')
  },
)

t.test('a position that the log loses meanwhile, as by a restore, is not waited for', async (t) => {
  const service = await startService(t, { worker: false })
  const { eventReader } = service.features.events
  const { log } = service.platform
  const { appId } = await service.client()
  const heads = [0, 100]
  const reader = { ...eventReader, head: async () => heads.shift() ?? 0 }
  const tail = createLogTail(reader, createLocalBus(), log)
  t.teardown(() => tail.close())
  const observer = await tail.observe(appId, 50, { write: () => true, fail: () => t.fail('it is not lost') })
  t.equal(observer.position(), 0)
  t.strictSame(heads, [], 'the log was said to be longer')
})
