import t from 'tap'
import { createLogTail } from '../../../src/features/events/index.ts'
import { createLocalBus } from '../../../src/platform/bus/local.ts'
import { startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

t.test('a log that grew without a word is looked at', async (t) => {
  const service = await startService(t, { worker: false })
  const { eventReader, log } = service.deps
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
