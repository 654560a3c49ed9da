import t from 'tap'
import { allEnded, appendMany, ended, recovered } from '../../helpers/owed.ts'
import { readPages } from '../../helpers/pages.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService } from '../../helpers/service.ts'

interface Row {
  id: string
  subscriptionId: string
  outcome: string
  trigger: string
  responseStatus: number | null
  startedAt: string
}

t.test('the log of attempts', async (t) => {
  const service = await startService(t, { settings: { DELIVERY_RETRY_SCHEDULE: '20ms' } })
  const client = await service.client()
  const [good, bad] = [await startReceiver(t), await startReceiver(t)]
  bad.answer = (response) => response.writeHead(bad.received.length % 2 ? 400 : 422).end()
  const one = await client.subscribe(good.url, ['many.*'])
  const other = await client.subscribe(bad.url, ['other.*'])
  await appendMany(client, 20)
  await appendMany(client, 4, 'other.test')
  await allEnded(service)
  const { body: dead } = await client.get('/deliveries?status=dead&limit=1')
  await client.post(`/deliveries/${dead.data[0].id}/retry`, undefined)
  await ended(client, dead.data[0].id)
  const replay = { fromPosition: 1, toPosition: 3 }
  const { body: recovery } = await client.post(`/subscriptions/${one.id}/replay`, replay)
  await recovered(client, recovery.id)
  await allEnded(service)

  const { rows: all } = await readPages<Row>(client, '/attempts?limit=100')
  t.equal(all.length, 20 + 4 * 2 + 1 + 3)
  t.strictSame(
    all.map(({ id }) => id),
    all
      .map(({ id }) => id)
      .toSorted()
      .toReversed(),
    'newest first',
  )

  t.test('is read in pages without gaps or repeats', async (t) => {
    for (const limit of [1, 7, 100]) {
      const { rows, sizes } = await readPages<Row>(client, `/attempts?limit=${limit}`)
      t.strictSame(rows, all)
      t.ok(sizes.slice(0, -1).every((size) => size === limit))
    }
    const { rows: deliveries } = await readPages<{ id: string }>(client, '/deliveries?limit=100')
    t.equal(new Set(deliveries.map(({ id }) => id)).size, 24 + 3)
    for (const limit of [1, 7])
      t.strictSame((await readPages(client, `/deliveries?limit=${limit}`)).rows, deliveries)
    const ofOne = await readPages<Row>(client, `/deliveries?subscriptionId=${one.id}&limit=4`)
    t.equal(ofOne.rows.length, 23)
  })

  t.test('is narrowed by every filter', async (t) => {
    const [middle] = all.slice(10)
    const time = middle?.startedAt ?? ''
    const cases: [query: string, wanted: (row: Row) => boolean][] = [
      [`subscriptionId=${other.id}`, (row) => row.subscriptionId === other.id],
      ['outcome=failed', (row) => row.outcome === 'failed'],
      ['outcome=succeeded', (row) => row.outcome === 'succeeded'],
      ['trigger=automatic', (row) => row.trigger === 'automatic'],
      ['trigger=manual', (row) => row.trigger === 'manual'],
      ['trigger=replay', (row) => row.trigger === 'replay'],
      ['responseStatus=200', (row) => row.responseStatus === 200],
      ['responseStatus=422', (row) => row.responseStatus === 422],
      ['responseStatus=500', () => false],
      [`startedAt[gte]=${time}`, (row) => row.startedAt >= time],
      [`startedAt[lte]=${time}`, (row) => row.startedAt <= time],
      [`startedAt[gte]=${time}&startedAt[lte]=${time}`, (row) => row.startedAt === time],
      ['startedAt[gte]=0000-01-01T00:00:00Z', () => true],
      ['startedAt[gte]=1960-01-01T00:00:00Z', () => true],
      ['startedAt[lte]=9999-12-31T23:59:59Z', () => true],
      ['startedAt[gte]=9999-12-31T23:59:59Z', () => false],
      ['startedAt[lte]=1960-01-01T00:00:00Z', () => false],
      [`subscriptionId=${other.id}&outcome=failed&trigger=manual`, (row) => row.trigger === 'manual'],
    ]
    for (const [query, wanted] of cases) {
      const { rows } = await readPages<Row>(client, `/attempts?limit=3&${query}`)
      t.strictSame(rows, all.filter(wanted), query)
    }
    t.equal((await client.get('/attempts?startedAt[gte]=2016-12-31T23:59:60Z')).status, 400)
  })
})

t.test('what endpoints answer is kept in part', async (t) => {
  const service = await startService(t, { settings: { DELIVERY_RETRY_SCHEDULE: '1ms' } })
  const client = await service.client()
  const receiver = await startReceiver(t)
  await client.subscribe(receiver.url)
  const answered = async (headers: Record<string, string>, content: Buffer) => {
    receiver.answer = (response) => response.writeHead(200, headers).end(content)
    const { body: event } = await client.post('/events', { type: 'answer.test', payload: {} })
    const { body: list } = await client.get(`/events/${event.id}/deliveries`)
    await ended(client, list.data[0].id)
    const { body } = await client.get(`/deliveries/${list.data[0].id}/attempts`)
    return body.data[0]
  }
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`x-number-${n}`, 'v'.repeat(200)]))
  const large = await answered(many, Buffer.alloc(1_000_000, 'x'))
  t.equal(large.outcome, 'succeeded')
  t.ok(large.responseBody.length <= 16_384 && large.responseBody.length > 1_000)
  t.ok(JSON.stringify(large.responseHeaders).length <= 20_000)

  const binary = await answered(
    { 'x-latin': 'caf\u00e9' },
    Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
  )
  t.equal(binary.outcome, 'succeeded')
  t.equal(binary.responseBody, '[256 bytes that are no text]')
  t.ok(binary.responseHeaders['x-latin'])
  const cut = await answered({}, Buffer.from('\u20ac'.repeat(10_000)))
  t.match(cut.responseBody, /^\u20ac{5461}$/, 'a character that is cut in two is left out')
  const empty = await answered({}, Buffer.alloc(0))
  t.match(empty, { outcome: 'succeeded', responseStatus: 200, error: null })
})
