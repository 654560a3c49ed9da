import t from 'tap'
import { observe } from '../../helpers/observer.ts'
import { startService } from '../../helpers/service.ts'

t.test('where a stream of the log goes on', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const append = async (): Promise<number> =>
    (await client.post('/events', { type: 'stream.resumed', payload: {} })).body.position
  const open = (query: string, lastEventId?: string) =>
    observe(t, service.url, client.key, query, lastEventId)
  await append()
  const end = await append()

  await t.test('an empty Last-Event-ID is none', async (t) => {
    const stream = await open('?after=1', '')
    t.match(await stream.waitFor(1), [{ id: '2', event: 'stream.resumed' }], '`after` counts')
    const live = await open('', '')
    const position = await append()
    t.match(await live.waitFor(1), [{ id: `${position}` }], 'without one it begins with the next event')
  })

  await t.test('a position from beyond the log is told, and what comes next follows', async (t) => {
    for (const [query, lastEventId] of [
      ['', '999999'],
      ['?after=999999', undefined],
    ] as const) {
      const stream = await open(query, lastEventId)
      const [lost] = await stream.waitFor(1)
      t.match(lost, { event: 'system.stream.lost' })
      const { position, ...said } = JSON.parse(lost?.data ?? '')
      t.strictSame(said, { recovered: false, reason: 'unknown' })
      t.equal(lost?.id, `${position}`, 'a client that reconnects goes on from there')
      t.ok(position >= end)
      const next = await append()
      t.match((await stream.waitFor(2))[1], { id: `${next}`, event: 'stream.resumed' })
      stream.drop()
    }
  })

  await t.test('what can be given is given without a word', async (t) => {
    for (const query of ['?after=0', '?after=1']) {
      const stream = await open(query)
      t.match(await stream.waitFor(1), [{ event: 'stream.resumed' }], query)
    }
    const last = await append()
    const atTheEnd = await open(`?after=${last}`)
    const next = await append()
    t.match(await atTheEnd.waitFor(1), [{ id: `${next}` }])
  })
})
