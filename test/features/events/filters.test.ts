import t from 'tap'
import { positionsOf, readPages } from '../../helpers/pages.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { createImporter, startService } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const asText = (value: unknown): string => encodeURIComponent(JSON.stringify(value))
const sentBy = (targetId: string, targetType = 'file') => ({ type: 'sent_by', targetType, targetId })

/** At the positions 1, 2, 3 … */
const EVENTS = [
  { type: 'order.placed', payload: { order: { id: 'A-1', total: 42.5 }, tags: ['new', 'vip'], paid: false } },
  {
    type: 'order.shipped',
    payload: { order: { id: 'A-1' }, parcels: 2 },
    edges: [sentBy('f1'), sentBy('f2')],
  },
  { type: 'order', payload: { note: null, 'with "quotes"': 'ünïcode 😀' } },
  { type: 'message.inbound', payload: {}, edges: [sentBy('f1'), { ...sentBy('f1'), type: 'seen_by' }] },
  { type: 'users.signed', payload: { order: { id: 'A-2', total: 42.5 }, list: [{ a: 1, b: 2 }, [3]] } },
  {
    type: 'a_b',
    payload: { big: 1e300, parcels: 2.0 },
    edges: [sentBy('with:colon and / ü'), sentBy('f1', 'user')],
  },
]

/** Each parameter with the positions that it gives, oldest first. */
const SINGLE: Record<string, number[]> = {
  'type=order': [3],
  'type=order.placed&type=a_b': [1, 6],
  'type=order.placed&type=never.seen': [1],
  'types=order.*': [1, 2],
  'types=order.**,message.inbound': [1, 2, 4],
  'typePrefix=order': [1, 2, 3],
  'typePrefix=order.': [1, 2],
  'typePrefix=%25': [],
  'typeContains=ed': [1, 2, 5],
  'typeContains=_': [6],
  'typePrefix=order&typeContains=s&types=*.shipped,order': [2],
  'type=order&typePrefix=message': [],
  'status=completed': [1, 2, 3, 4, 5, 6],
  'status=pending': [],
  'status=processing': [],
  'status=failed': [],
  'edge=sent_by:file:f1': [2, 4],
  'edge=seen_by:file:f1': [4],
  'edge=*:file:f1': [2, 4],
  'edge=*:file:f2': [2],
  'edge=*:file:f': [],
  'edge=sent_by:user:f1': [6],
  'edge=*:user:f1': [6],
  [`edge=sent_by:file:${encodeURIComponent('with:colon and / ü')}`]: [6],
  [`edge=sent_by:user:${UNKNOWN_ID}`]: [],
  [`originEventId=${UNKNOWN_ID}`]: [],
  [`payload=${asText({})}`]: [1, 2, 3, 4, 5, 6],
  [`payload=${asText({ order: { id: 'A-1' } })}`]: [1, 2],
  [`payload=${asText({ order: { total: 42.5 } })}`]: [1, 5],
  [`payload=${encodeURIComponent('{"order":{"total":42.50e0}}')}`]: [1, 5],
  [`payload=${asText({ parcels: 2 })}`]: [2, 6],
  [`payload=${encodeURIComponent('{"big":1E+300}')}`]: [6],
  [`payload=${asText({ tags: ['vip'] })}`]: [1],
  [`payload=${asText({ tags: ['vip', 'new'] })}`]: [1],
  [`payload=${asText({ tags: 'vip' })}`]: [],
  [`payload=${asText({ tags: [] })}`]: [1],
  [`payload=${asText({ list: [{ b: 2 }] })}`]: [5],
  [`payload=${asText({ list: [[3]] })}`]: [5],
  [`payload=${asText({ note: null })}`]: [3],
  [`payload=${asText({ paid: false })}`]: [1],
  [`payload=${asText({ paid: 'false' })}`]: [],
  [`payload=${asText({ 'with "quotes"': 'ünïcode 😀' })}`]: [3],
  [`payload=${encodeURIComponent('{"with \\"quotes\\"":"\\u00fcn\\u00efcode \\ud83d\\ude00"}')}`]: [3],
  [`type=order.placed&payload=${asText({ order: {} })}`]: [1],
  [`edge=sent_by:file:f1&payload=${asText({ parcels: 2 })}&type=order.shipped&status=completed`]: [2],
  [`edge=sent_by:file:f1&type=order`]: [],
}

const BAD: Record<string, string[]> = {
  '/type/0': ['', 'A', 'a b', `x${'y'.repeat(200)}`],
  '/types': ['A.*', 'a-b', 'order.*,B'],
  '/typePrefix': ['x'.repeat(201)],
  '/typeContains': ['x'.repeat(201)],
  '/status': ['', 'done', 'Pending', 'pending&status=failed'],
  '/order': ['', 'up', 'ASC'],
  '/createdAtGte': [
    '',
    'yesterday',
    '2026-01-01',
    '1767225600000',
    '2026-02-30T00:00:00Z',
    '2026-01-01T00:00:00',
  ],
  '/createdAtLte': ['', 'now', '2026-13-01T00:00:00Z', '2026-01-01T25:00:00Z'],
  '/edge': [
    '',
    'sent_by',
    'sent_by:file',
    'sent_by:file:',
    ':file:f1',
    '::',
    'a:b:%00',
    `a:b:${'x'.repeat(500)}`,
  ],
  '/originEventId': ['', 'x', '*', UNKNOWN_ID.replaceAll('-', '')],
  '/include': ['', 'edges', 'entities,edges'],
  '/limit': ['0', '-1', '101', '1.5', 'x'],
  '/first': ['0', '101'],
  '/payload': [`{"x":"${'y'.repeat(4000)}"}`],
}

t.test('filters of events', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await createImporter(service.url)
  const { status, text } = await client.post('/events/batch', { events: EVENTS })
  t.equal(status, 201, text)

  t.test('each alone, and some together', async (t) => {
    for (const [query, wanted] of Object.entries(SINGLE)) {
      t.strictSame(await positionsOf(client, `/events?order=asc&${query}`), wanted, query)
      t.strictSame(
        await positionsOf(client, `/events?limit=1&${query}`),
        wanted.toReversed(),
        `${query}, by ones`,
      )
    }
  })

  t.test('what is no filter is refused', async (t) => {
    for (const [pointer, values] of Object.entries(BAD)) {
      for (const value of values) {
        const answer = await client.get(`/events?${pointer.split('/')[1]}=${value}`)
        expectProblem(
          t,
          answer,
          { status: 400, type: 'validation-failed', pointers: [pointer] },
          `${pointer} ${value}`,
        )
      }
    }
    const notObjects = [
      '',
      'x',
      '[]',
      '1',
      'null',
      '"a"',
      '{',
      "{'a':1}",
      '{"a":1}}',
      '{"a":01}',
      '{"a":NaN}',
      '\0',
    ]
    for (const value of notObjects) {
      const answer = await client.get(`/events?payload=${encodeURIComponent(value)}`)
      expectProblem(t, answer, { status: 400, type: 'validation-failed' }, `the payload ${value}`)
    }
    const answer = await client.get('/events?colour=red')
    expectProblem(t, answer, { status: 400, type: 'validation-failed' }, 'an unknown parameter')
    t.equal(answer.status, 400)
  })

  t.test('cursors that are none are refused', async (t) => {
    for (const after of [
      '',
      'x',
      '%00',
      Buffer.from('-1').toString('base64url'),
      Buffer.from('1e3').toString('base64url'),
    ])
      expectProblem(
        t,
        await client.get(`/events?after=${after}`),
        { status: 400, type: 'invalid-cursor' },
        after,
      )
    const beyond = Buffer.from('999999999999999').toString('base64url')
    t.strictSame((await client.get(`/events?order=asc&after=${beyond}`)).body.data, [], 'one beyond the end')
  })

  t.test('an app sees nothing of another, whatever the filter', async (t) => {
    const other = await createImporter(service.url)
    await other.post('/events', { type: 'order', payload: { mine: true } })
    for (const [query, wanted] of Object.entries(SINGLE)) {
      const { rows } = await readPages(other, `/events?${query}`)
      if (rows.length > 0)
        t.strictSame(
          rows.map(({ payload }) => payload),
          [{ mine: true }],
          query,
        )
      if (wanted.length === 0) t.strictSame(rows, [], query)
    }
  })
})

t.test('children, by their origin', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await createImporter(service.url)
  const { body: origin } = await client.post('/events', { type: 'order', payload: {} })
  const children = Array.from({ length: 5 }, (_, number) => ({
    type: number % 2 === 0 ? 'order.even' : 'order.odd',
    payload: { number },
    originEventId: origin.id,
  }))
  await client.post('/events/batch', { events: children })
  const of = `originEventId=${origin.id}`
  t.strictSame(await positionsOf(client, `/events?order=asc&limit=2&${of}`), [2, 3, 4, 5, 6])
  t.strictSame(
    await positionsOf(
      client,
      `/events?order=asc&${of.toUpperCase().replace('ORIGINEVENTID', 'originEventId')}`,
    ),
    [2, 3, 4, 5, 6],
  )
  t.strictSame(await positionsOf(client, `/events?limit=1&${of}&type=order.odd`), [5, 3])
  t.strictSame(await positionsOf(client, `/events?${of}&payload=${asText({ number: 3 })}`), [5])
  t.strictSame(await positionsOf(client, `/events?${of}&status=failed`), [])
})
