import t, { type Test } from 'tap'
import { startService, type Client } from '../../helpers/service.ts'
import { ask, dataOf, expectGraphProblem, nodesOf } from './graph.ts'

const LIST = `query ($filters: EventFilters, $direction: OrderDirection! = DESC, $first: Int, $after: String) {
  events(filters: $filters, orderBy: { direction: $direction }, first: $first, after: $after) {
    edges { node { id position } cursor }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount
  }
}`

interface Listed {
  id: string
  createdAt: string
}

/** Events of several types, in every state, with edges and children. */
async function startLog(t: Test) {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const append = async (type: string, more: object = {}): Promise<Listed> => {
    const { status, body, text } = await client.post('/events', { type, payload: {}, ...more })
    if (status !== 201) throw new Error(text)
    return body
  }
  const sentBy = (targetId: string, type = 'sent_by') => ({ type, targetType: 'user', targetId })
  const { body: ada } = await client.post('/users', { name: 'Ada' })
  await append('order.placed', { payload: { n: 1, tags: ['a', 'b'] }, edges: [sentBy(ada.id)] })
  const origin = await append('order.placed', { payload: { n: 2 }, edges: [sentBy(ada.id, 'seen_by')] })
  await append('order.paid', { payload: { n: 1, by: { card: true } }, originEventId: origin.id })
  await append('order.paid', { originEventId: origin.id, edges: [sentBy('somebody')] })
  await append('parcel.sent', { edges: [{ type: 'to', targetType: 'warehouse', targetId: 'north:1' }] })
  await client.subscribe('http://127.0.0.1:1/', ['slow.*'])
  const states = [await append('slow.pending'), await append('slow.processing'), await append('slow.failed')]
  const { pool } = service.platform
  await pool.query('update deliveries set attempts = 1 where event_id = $1', [states[1]?.id])
  await pool.query(`update deliveries set status = 'dead', completed_at = now() where event_id = $1`, [
    states[2]?.id,
  ])
  return { service, client, append, ada, origin }
}

const ids = (events: { id: string }[]): string[] => events.map(({ id }) => id)

/** Every event by pages of so many, with what each page says of itself. */
async function walk(client: Client, variables: object, first: number) {
  const found: string[] = []
  let after: string | null = null
  for (let page = 1; ; page++) {
    const { events } = await dataOf(client, LIST, { ...variables, first, after })
    const { edges, pageInfo } = events
    found.push(...ids(nodesOf(events)))
    const shown = {
      ok: edges.length <= first && pageInfo.hasPreviousPage === page > 1,
      start: pageInfo.startCursor,
    }
    if (!shown.ok || shown.start !== (edges[0]?.cursor ?? null)) throw new Error(JSON.stringify(events))
    if (!pageInfo.hasNextPage) return { found, pages: page }
    after = pageInfo.endCursor
  }
}

t.test('filters', async (t) => {
  const { client, append, ada, origin } = await startLog(t)
  const now = origin.createdAt
  const last = await append('zebra')

  // What GraphQL is asked, the same asked of REST, and how many there are; undefined: as many as REST has.
  const cases: [string, object, string, number?][] = [
    ['nothing', {}, '', 9],
    ['equals', { eventType: { equals: 'order.paid' } }, 'type=order.paid', 2],
    ['equals none', { eventType: { equals: 'order.unknown' } }, 'type=order.unknown', 0],
    ['contains', { eventType: { contains: 'p' } }, 'typeContains=p', 7],
    ['contains none', { eventType: { contains: 'ORDER' } }, 'typeContains=ORDER', 0],
    ['prefix', { eventType: { prefix: 'order.p' } }, 'typePrefix=order.p', 4],
    ['in', { eventType: { in: ['order.paid', 'zebra'] } }, 'type=order.paid&type=zebra', 3],
    [
      'prefix and contains',
      { eventType: { prefix: 'order', contains: 'aid' } },
      'typePrefix=order&typeContains=aid',
      2,
    ],
    [
      'in and contains',
      { eventType: { in: ['order.paid', 'zebra'], contains: 'z' } },
      'type=order.paid&type=zebra&typeContains=z',
      1,
    ],
    ['in and equals', { eventType: { in: ['order.paid', 'zebra'], equals: 'zebra' } }, 'type=zebra', 1],
    ['pending', { status: { equals: 'pending' } }, 'status=pending', 1],
    ['processing', { status: { equals: 'processing' } }, 'status=processing', 1],
    ['failed', { status: { equals: 'failed' } }, 'status=failed', 1],
    ['completed', { status: { equals: 'completed' } }, 'status=completed', 6],
    ['from', { createdAt: { gte: now } }, `createdAtGte=${now}`],
    ['until', { createdAt: { lte: now } }, `createdAtLte=${now}`],
    ['at', { createdAt: { gte: now, lte: now } }, `createdAtGte=${now}&createdAtLte=${now}`],
    [
      'in the future',
      { createdAt: { gte: '2999-01-01T00:00:00+01:00' } },
      'createdAtGte=2999-01-01T00:00:00Z',
      0,
    ],
    [
      'edge',
      { edge: { edgeType: 'sent_by', targetNodeType: 'USER', targetNodeId: ada.id } },
      `edge=sent_by:user:${ada.id}`,
      1,
    ],
    ['any edge', { edge: { targetNodeType: 'USER', targetNodeId: ada.id } }, `edge=*:user:${ada.id}`, 2],
    [
      'edge to a kind of one’s own',
      { edge: { edgeType: 'to', targetNodeType: 'warehouse', targetNodeId: 'north:1' } },
      'edge=to:warehouse:north:1',
      1,
    ],
    [
      'edge to nothing',
      { edge: { targetNodeType: 'FILE', targetNodeId: ada.id } },
      `edge=*:file:${ada.id}`,
      0,
    ],
    ['origin', { originEventId: { equals: origin.id.toUpperCase() } }, `originEventId=${origin.id}`, 2],
    ['payload', { payload: { contains: { n: 1 } } }, 'payload={"n":1}', 2],
    ['payload, deeper', { payload: { contains: { by: { card: true } } } }, 'payload={"by":{"card":true}}', 1],
    ['payload, list', { payload: { contains: { tags: ['b'] } } }, 'payload={"tags":["b"]}', 1],
    [
      'all at once',
      {
        eventType: { equals: 'order.paid' },
        status: { equals: 'completed' },
        createdAt: { gte: '2024-01-01T00:00:00Z' },
        originEventId: { equals: origin.id },
        payload: { contains: { n: 1 } },
      },
      `type=order.paid&status=completed&createdAtGte=2024-01-01T00:00:00Z&originEventId=${origin.id}&payload={"n":1}`,
      1,
    ],
  ]
  for (const [what, filters, query, count] of cases) {
    for (const direction of ['ASC', 'DESC'] as const) {
      const search = query
        .split('&')
        .map((part) => part.replace(/=(.*)$/s, (_, value) => `=${encodeURIComponent(value)}`))
      const rest = await client.get(`/events?${search.join('&')}&order=${direction.toLowerCase()}&limit=100`)
      const wanted: string[] = ids(rest.body.data)
      const { events } = await dataOf(client, LIST, { filters, direction, first: 100 })
      t.strictSame(ids(nodesOf(events)), wanted, `${what}, ${direction}`)
      t.equal(events.totalCount, count ?? wanted.length, `${what}: totalCount`)
      const { found } = await walk(client, { filters, direction }, 2)
      t.strictSame(found, wanted, `${what}, ${direction}, page by page`)
    }
  }
  const { events } = await dataOf(client, LIST, { filters: { createdAt: { gte: now } }, direction: 'DESC' })
  t.equal(events.edges[0].node.id, last.id)
})

t.test('pages to the end, both ways', async (t) => {
  const { client } = await startLog(t)
  const { body } = await client.get('/events?limit=100')
  const newestFirst = ids(body.data)
  for (const [direction, wanted] of [
    ['DESC', newestFirst],
    ['ASC', newestFirst.toReversed()],
  ] as const) {
    for (const [first, pages] of [
      [1, 8],
      [3, 3],
      [8, 1],
      [100, 1],
    ] as const)
      t.strictSame(
        await walk(client, { direction }, first),
        { found: wanted, pages },
        `${direction} by ${first}`,
      )
  }
  const unordered = await dataOf(client, '{ events { edges { node { id } } pageInfo { startCursor } } }')
  t.strictSame(ids(nodesOf(unordered.events)), newestFirst, 'newest first unless told')
  const { events } = await dataOf(client, LIST, { first: 100 })
  const behind = await dataOf(client, LIST, { after: events.pageInfo.endCursor })
  t.strictSame(
    { edges: behind.events.edges, ...behind.events.pageInfo },
    { edges: [], hasNextPage: false, hasPreviousPage: true, startCursor: null, endCursor: null },
  )
})

t.test('counting ends at ten thousand', async (t) => {
  const { service, client, append } = await startLog(t)
  const { rows } = await service.platform.pool.query<{ head: number }>(
    'select head from app_logs where app_id = $1',
    [client.appId],
  )
  const head = rows[0]?.head ?? 0
  await append('bulk.made')
  await service.platform.pool.query(
    `insert into events (app_id, id, position, event_type_id, type, payload, edges, created_at)
     select $1, (left(first_id_at(now())::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, $2 + 1 + n,
            (select id from event_types where app_id = $1 and name = 'bulk.made'), 'bulk.made',
            '{"bulk":true}'::json, '[]', now()
       from generate_series(1, 9999) n`,
    [client.appId, head],
  )
  await service.platform.pool.query('update app_logs set head = head + 9999 where app_id = $1', [
    client.appId,
  ])
  const countOf = async (filters: object | undefined): Promise<unknown> =>
    (
      await dataOf(client, 'query ($f: EventFilters) { events(filters: $f, first: 1) { totalCount } }', {
        f: filters,
      })
    ).events.totalCount
  const bulk = { eventType: { equals: 'bulk.made' } }
  t.equal(await countOf(bulk), 10_000)
  await append('bulk.made')
  t.equal(await countOf(bulk), null, 'one too many')
  t.equal(await countOf({ eventType: { prefix: 'order' } }), 4)
  t.equal(await countOf({ eventType: { prefix: 'nothing' } }), 0)
  t.equal(await countOf(undefined), head + 10_001, 'the length of the log is known')
  t.equal(await countOf({ payload: { contains: { n: 2 } } }), null, 'more would have to be looked at')
})

t.test('first: 0 is an empty page', async (t) => {
  const { client, origin } = await startLog(t)
  const page = '{ edges { node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }'
  const isThereMore = { events: true, users: true, platformUsers: false, platformConnections: false }
  for (const [list, hasNextPage] of Object.entries(isThereMore)) {
    const data = await dataOf(client, `{ ${list}(first: 0) ${page} }`)
    const pageInfo = { hasNextPage, hasPreviousPage: false, startCursor: null, endCursor: null }
    t.strictSame(data[list], { edges: [], pageInfo }, list)
  }
  const { events } = await dataOf(client, '{ events(first: 0) { totalCount } }')
  t.equal(events.totalCount, 8, 'everything is counted all the same')
  const { event } = await dataOf(client, `{ event(id: "${origin.id}") { childEvents(first: 0) { id } } }`)
  t.strictSame(event.childEvents, [])
})

t.test('event schemas are a list', async (t) => {
  const { client } = await startLog(t)
  const namesOf = async (given: string): Promise<string[]> =>
    (await dataOf(client, `{ eventSchemas${given} { name } }`)).eventSchemas.map(
      ({ name }: { name: string }) => name,
    )
  const all = await namesOf('')
  const own = ['order.paid', 'parcel.sent', 'slow.failed', 'slow.pending', 'slow.processing']
  t.strictSame(all.slice(-own.length), own, 'the built-in ones, then the own ones')
  t.ok(all.includes('order.placed') && all.includes('message.inbound'))
  const walked: string[] = []
  for (let after = ''; walked.length < all.length; after = walked.at(-1) ?? '') {
    walked.push(...(await namesOf(`(first: 7, after: "${after}")`)))
  }
  t.strictSame(walked, all, 'in parts')
  t.strictSame(await namesOf('(first: 0)'), [])
  t.strictSame(await namesOf('(after: "zzz")'), [])
  for (const first of [-1, 1_001]) {
    const answer = await ask(client, `{ eventSchemas(first: ${first}) { name } }`)
    const expected = { status: 400, type: 'validation-failed', path: ['eventSchemas'] }
    expectGraphProblem(t, answer, expected, String(first))
  }
})

t.test('pages and filters that cannot be', async (t) => {
  const { client, origin } = await startLog(t)
  const invalid = { status: 400, type: 'validation-failed' }
  const lists = ['events', 'users', 'platformUsers', 'platformConnections']
  for (const list of lists) {
    for (const first of [-1, 101, 2_000]) {
      const answer = await ask(client, `{ ${list}(first: ${first}) { pageInfo { endCursor } } }`)
      expectGraphProblem(t, answer, { ...invalid, path: [list] }, `${list}, first: ${first}`)
    }
    for (const after of ['', 'x', '!!', Buffer.from('-1').toString('base64url'), 'a'.repeat(10_000)]) {
      const query = `query ($after: String) { ${list}(after: $after) { pageInfo { endCursor } } }`
      const answer = await ask(client, query, { after })
      const expected = { status: 400, type: 'invalid-cursor', path: [list] }
      expectGraphProblem(t, answer, expected, `${list}, after: ${after.slice(0, 10)}`)
    }
  }
  for (const first of [-1, 101]) {
    const query = `{ event(id: "${origin.id}") { childEvents(first: ${first}) { id } } }`
    const answer = await ask(client, query)
    expectGraphProblem(t, answer, { ...invalid, path: ['event', 'childEvents'] }, query)
  }
  const bad: [string, object][] = [
    ['status', { status: { equals: 'done' } }],
    [
      'a colon in the type of an edge',
      { edge: { edgeType: 'a:b', targetNodeType: 'USER', targetNodeId: 'x' } },
    ],
    ['a colon in the kind of a node', { edge: { targetNodeType: 'a:b', targetNodeId: 'x' } }],
    ['payload: a list', { payload: { contains: [1] } }],
    ['payload: a text', { payload: { contains: 'n' } }],
  ]
  for (const [what, filters] of bad) {
    const answer = await ask(client, LIST, { filters })
    expectGraphProblem(t, answer, { ...invalid, path: ['events'] }, what)
  }
})

t.test('whatever a filter holds, it is an answer or a problem of the caller’s', async (t) => {
  const { client } = await startLog(t)
  const edge = { edgeType: 'sent_by', targetNodeType: 'USER', targetNodeId: 'x' }
  for (const text of ['', 'a\0b', '\ud800', '\u{1F381}', 'x'.repeat(50_000), '*', '%', "'", '\n']) {
    const filters: object[] = [
      { eventType: { equals: text } },
      { eventType: { contains: text } },
      { eventType: { prefix: text } },
      { eventType: { in: ['order.paid', text] } },
      { edge: { ...edge, edgeType: text } },
      { edge: { ...edge, targetNodeId: text } },
      { edge: { ...edge, edgeType: null, targetNodeId: text } },
      { edge: { ...edge, targetNodeType: text } },
      { payload: { contains: { [text]: text } } },
    ]
    for (const filter of filters) {
      const { errors, answer } = await ask(client, LIST, { filters: filter })
      const types = errors.map(({ extensions }) => extensions.type)
      t.notOk(
        types.some((type) => type.endsWith(':internal')),
        `${JSON.stringify(filter).slice(0, 100)}: ${answer.text.slice(0, 100)}`,
      )
    }
  }
})
