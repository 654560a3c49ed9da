import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createImporter, startService, type Client } from '../../helpers/service.ts'

interface Listed {
  id: string
  position: number
  type: string
}

/** Built-in ones among them, one in another's beginning, and some with empty segments. */
const TYPES =
  'order order.placed order.shipped order.item.added order.item.removed orders.x a a.b a.b.c b.a x_y.z_1 . a. .a a..b message.inbound user.merged'.split(
    ' ',
  )

/** Goes through all pages. @returns the events, and the size of each page */
async function readPages(
  client: Client,
  query: URLSearchParams,
  betweenPages?: () => Promise<unknown>,
): Promise<{ events: Listed[]; sizes: number[] }> {
  const events: Listed[] = []
  const sizes: number[] = []
  for (;;) {
    const { status, text, body } = await client.get(`/events?${query.toString()}`)
    assert.equal(status, 200, text)
    events.push(...body.data)
    sizes.push(body.data.length)
    const { hasNextPage, endCursor } = body.pageInfo
    if (body.data.length === 0) assert.equal(endCursor, null)
    if (!hasNextPage) return { events, sizes }
    query.set('after', endCursor)
    await betweenPages?.()
  }
}

/** What patterns mean, said another way than in the service. */
const patternForm = (pattern: string): RegExp =>
  pattern === '*'
    ? /^/
    : new RegExp(
        `^${pattern
          .split('.')
          .map((segment) => (segment === '**' ? '.*' : segment === '*' ? '[^.]*' : segment))
          .join('\\.')}$`,
      )

t.test('a list of events', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await createImporter(service.url)
  const random = fc.sample(fc.constantFrom(...TYPES), { numRuns: 150, seed: 1 })
  const { body } = await client.post('/events/batch', {
    events: [...random, ...TYPES].map((type, number) => ({ type, payload: { number } })),
  })
  const log: Listed[] = body.data

  await t.test('filters, orders and pages are what they would be in memory', async () => {
    const part = fc.constantFrom(
      '',
      'a',
      'order',
      'order.',
      'r.i',
      '.',
      'message',
      '_',
      'x_y.z_1',
      'ORDER',
      '%',
      '*',
    )
    const segment = fc.constantFrom('*', '**', 'a', 'b', '', 'order', 'item', 'placed', 'x_y', 'inbound')
    const pattern = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('.'))
    const filter = fc.record(
      {
        order: fc.constantFrom('asc', 'desc'),
        limit: fc.integer({ min: 1, max: 100 }),
        type: fc.uniqueArray(fc.constantFrom(...TYPES, 'never.seen'), { minLength: 1, maxLength: 5 }),
        types: fc.array(pattern, { minLength: 1, maxLength: 3 }),
        typePrefix: part,
        typeContains: part,
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(filter, async ({ order, limit, type, types, typePrefix, typeContains }) => {
        const query = new URLSearchParams()
        for (const name of type ?? []) query.append('type', name)
        if (types !== undefined) query.set('types', types.join(','))
        for (const [name, value] of Object.entries({ order, limit, typePrefix, typeContains }))
          if (value !== undefined) query.set(name, String(value))

        const wanted = log.filter(
          (event) =>
            (type === undefined || type.includes(event.type)) &&
            (types === undefined || types.some((one) => patternForm(one).test(event.type))) &&
            (typePrefix === undefined || event.type.startsWith(typePrefix)) &&
            (typeContains === undefined || event.type.includes(typeContains)),
        )
        if (order !== 'asc') wanted.reverse()
        const { events, sizes } = await readPages(client, query)
        assert.deepEqual(events, wanted)
        const size = limit ?? 50
        assert.equal(sizes.length, Math.max(1, Math.ceil(wanted.length / size)), 'no page too many')
        assert.ok(
          sizes.slice(0, -1).every((count) => count === size),
          'every page but the last is full',
        )
      }),
      { numRuns: 120 },
    )
  })

  t.test('newest first unless told, 50 at a time', async (t) => {
    const { body: page } = await client.get('/events')
    t.strictSame(page.data, log.toReversed().slice(0, 50))
    t.equal(page.pageInfo.hasNextPage, true)
    t.strictSame((await client.get('/events?first=3')).body.data, log.toReversed().slice(0, 3), '`first`')
  })

  t.test('events of a deleted type are found under its name', async (t) => {
    const own = await createImporter(service.url)
    await own.post('/events', { type: 'gone.type', payload: {} })
    const { body: types } = await own.get('/event-types?limit=100')
    const { id } = types.data.find(({ name }: { name: string }) => name === 'gone.type')
    t.equal((await own.delete(`/event-types/${id}`)).status, 204)
    for (const query of [
      '',
      'type=gone.type',
      'types=gone.*',
      'typePrefix=gone',
      'typeContains=ne.t',
      'types=*',
    ])
      t.equal((await own.get(`/events?${query}`)).body.data.length, 1, query)
  })

  t.test('an empty log', async (t) => {
    const own = await createImporter(service.url)
    for (const query of ['', '?order=asc', '?type=order', '?types=**&limit=1']) {
      const { body: page } = await own.get(`/events${query}`)
      t.strictSame(page, { data: [], pageInfo: { hasNextPage: false, endCursor: null } }, query)
    }
  })
})

t.test('cursors stay right while events are appended in between', async (t) => {
  const service = await startService(t, { worker: false })

  for (const order of ['asc', 'desc'] as const) {
    for (const filter of ['', 'type=kept', 'types=kept,other.*']) {
      t.test(`${order} ${filter}`, async (t) => {
        const client = await createImporter(service.url)
        let number = 0
        const append = async (count: number): Promise<void> => {
          const types = ['kept', 'other', 'other.one']
          const events = Array.from({ length: count }, () => ({
            type: types[number % 3],
            payload: { number: number++ },
          }))
          await client.post('/events/batch', { events })
        }
        await append(60)
        let pages = 0
        const query = new URLSearchParams(`${filter}&order=${order}&limit=7`)
        const { events } = await readPages(client, query, async () => {
          // Fewer and fewer of them, so that the reader catches up.
          if (++pages <= 10) await append(6)
        })

        const taken = (position: number): boolean => {
          const kind = (position - 1) % 3
          return filter === '' || kind === 0 || (filter.includes('other') && kind === 2)
        }
        const last = order === 'asc' ? number : 60
        const wanted = Array.from({ length: last }, (_, place) => place + 1).filter(taken)
        t.strictSame(
          events.map(({ position }) => position),
          order === 'asc' ? wanted : wanted.toReversed(),
          order === 'asc' ? 'the new ones follow' : 'what was there at first, and nothing twice',
        )
      })
    }
  }

  t.test('while many writers append at once', async (t) => {
    const client = await createImporter(service.url)
    const writing = Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let number = 0; number < 60; number++)
          await client.post('/events', { type: 'kept', payload: {} })
      }),
    )
    let written = false
    const done = writing.then(() => (written = true))
    // Whoever goes on from the last cursor must never miss an event that was committed later.
    const seen: number[] = []
    let after = ''
    for (let more = true; more;) {
      const last = written
      const { body } = await client.get(`/events?order=asc&limit=5${after}`)
      seen.push(...body.data.map(({ position }: Listed) => position))
      if (body.pageInfo.endCursor !== null) after = `&after=${body.pageInfo.endCursor}`
      more = !last || body.pageInfo.hasNextPage
    }
    await done
    t.strictSame(
      seen,
      Array.from({ length: 240 }, (_, place) => place + 1),
    )
  })
})
