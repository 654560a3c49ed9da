import t from 'tap'
import { httpConnection } from '../../helpers/connections.ts'
import { positionsOf } from '../../helpers/pages.ts'
import { createImporter, startService, type Client, type Service } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'

async function create(client: Client, path: string, body: object) {
  const answer = await client.post(path, body)
  if (answer.status !== 201) throw new Error(`${path}: ${answer.text}`)
  return answer.body
}

const edge = (type: string, targetType: string, targetId: string) => ({ type, targetType, targetId })

/** One of each kind of entity, and an event that points to them and to what is none. */
async function createAll(client: Client) {
  const connection = await create(client, '/platform-connections', httpConnection())
  const user = await create(client, '/users', { name: 'Ada', attributes: { plan: 'pro', n: 1.5 } })
  const platformUser = await create(client, '/platform-users', {
    platformConnectionId: connection.id,
    externalId: '+14155551234',
    userId: user.id,
    name: 'Ada on the phone',
  })
  const file = await create(client, '/files', { filename: 'invoice.pdf', sizeBytes: 9_007_199_254_740_991 })
  const edges = [
    edge('sent_by', 'platform_user', platformUser.id),
    edge('about', 'user', user.id),
    edge('attachment', 'file', file.id),
    edge('again', 'user', user.id.toUpperCase()),
    edge('wrong_kind', 'file', user.id),
    edge('unknown', 'user', UNKNOWN_ID),
    edge('no_id', 'user', 'ada'),
    edge('other_kind', 'room', user.id),
    edge('constructor', '__proto__', 'toString'),
  ]
  const entities = [platformUser, user, file, user, null, null, null, null, null]
  const event = await create(client, '/events', { type: 'message.outbound', payload: { n: 1 }, edges })
  return { user, platformUser, file, edges, entities, event }
}

t.test('events with the entities behind their edges', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await createImporter(service.url)
  const { edges, entities, event, file, user } = await createAll(client)
  const wanted = edges.map((each, index) => ({ ...each, entity: entities[index] }))

  t.strictSame(event.edges, edges, 'without being asked for there are none')
  t.strictSame((await client.get(`/events/${event.id}`)).body, event)
  t.strictSame((await client.get(`/events/${event.id}?include=entities`)).body, { ...event, edges: wanted })
  const { body: page } = await client.get('/events?include=entities')
  t.strictSame(page.data, [{ ...event, edges: wanted }], 'a list')

  const child = await create(client, '/events', { type: 'a.b', payload: {}, edges, originEventId: event.id })
  const children = await client.get(`/events/${event.id}/children?include=entities`)
  t.strictSame(children.body.data, [{ ...child, edges: wanted }], 'children')
  const filtered = await client.get(`/events?include=entities&edge=attachment:file:${file.id}&order=asc`)
  t.strictSame(
    filtered.body.data.map((each: { edges: object }) => each.edges),
    [wanted, wanted],
    'by an edge',
  )

  t.test('entities are as they are now, and null once they are gone', async (t) => {
    await client.patch(`/users/${user.id}`, { name: 'Ada Lovelace' })
    t.equal((await client.delete(`/files/${file.id}`)).status, 204)
    const { body } = await client.get(`/events/${event.id}?include=entities`)
    t.equal(body.edges[1].entity.name, 'Ada Lovelace')
    t.equal(body.edges[2].entity, null)
  })

  t.test('those of another app never appear', async (t) => {
    const other = await createImporter(service.url)
    const { body: own } = await other.post('/events', { type: 'message.outbound', payload: {}, edges })
    const { body } = await other.get(`/events/${own.id}?include=entities`)
    t.strictSame(
      body.edges,
      edges.map((each) => ({ ...each, entity: null })),
    )
    t.strictSame(await positionsOf(other, `/events?edge=about:user:${user.id}`), [own.position])
    t.strictSame(await positionsOf(other, `/events?edge=*:platform_user:${edges[0]?.targetId}`), [
      own.position,
    ])
    t.equal((await other.get(`/events/${event.id}?include=entities`)).status, 404)
  })
})

/** How often a connection is taken from the pool while something runs. */
async function statementsOf(service: Service, run: () => Promise<unknown>): Promise<number> {
  let count = 0
  const onAcquire = (): void => void count++
  service.platform.pool.on('acquire', onAcquire)
  try {
    await run()
  } finally {
    service.platform.pool.off('acquire', onAcquire)
  }
  return count
}

t.test('a page takes as many statements for a hundred events as for one', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await createImporter(service.url)
  const { edges } = await createAll(client)
  const users: { id: string }[] = []
  for (let number = 0; number < 10; number++)
    users.push(await create(client, '/users', { name: String(number) }))
  const events = Array.from({ length: 120 }, (_, number) => ({
    type: 'a.b',
    payload: {},
    edges: [...edges, edge('about', 'user', users[number % 10]?.id ?? '')],
  }))
  await client.post('/events/batch', { events })
  for (const query of [
    '',
    '&include=entities',
    '&include=entities&edge=about:user:ada',
    '&type=a.b&status=completed',
  ]) {
    const count = (limit: number) =>
      statementsOf(service, async () => {
        const { status, body } = await client.get(`/events?limit=${limit}${query}`)
        t.equal(status, 200)
        if (!query.includes('ada')) t.equal(body.data.length, limit)
      })
    await count(1)
    const [one, hundred] = [await count(1), await count(100)]
    t.equal(hundred, one, `${query}: ${one} statements`)
    t.ok(one <= 8, `${one} statements`)
  }
})

t.test('an edge to a user is one to whoever it turned out to be', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await createImporter(service.url)
  const connection = await create(client, '/platform-connections', httpConnection())
  const people = []
  for (let number = 0; number < 3; number++) {
    const user = await create(client, '/users', { name: `user ${number}` })
    const platformUser = await create(client, '/platform-users', {
      platformConnectionId: connection.id,
      externalId: `number ${number}`,
      userId: user.id,
    })
    people.push({ user: user.id, platformUser: platformUser.id })
  }
  // Positions 1 and 2 belong to the first, 3 and 4 to the second, 5 and 6 to the third.
  for (const { user, platformUser } of people) {
    await create(client, '/events', { type: 'a.b', payload: {}, edges: [edge('about', 'user', user)] })
    const both = [edge('sent_by', 'platform_user', platformUser), edge('about', 'user', user)]
    await create(client, '/events', { type: 'a.b', payload: {}, edges: both })
  }
  const [first, second, third] = people.map(({ user }) => user)
  const find = (edgeFilter: string) => positionsOf(client, `/events?order=asc&limit=1&edge=${edgeFilter}`)

  t.strictSame(await find(`*:user:${first}`), [1, 2])
  t.strictSame(await find(`sent_by:user:${first}`), [2], 'by a platform user')
  t.strictSame(await find(`about:platform_user:${people[0]?.platformUser}`), [])

  await service.platform.pool.query('update users set merged_into = $3 where app_id = $1 and id = $2', [
    client.appId,
    second,
    first,
  ])
  for (const user of [first, second]) {
    t.strictSame(await find(`*:user:${user}`), [1, 2, 3, 4], 'merged')
    t.strictSame(await find(`about:user:${user}`), [1, 2, 3, 4])
    t.strictSame(await find(`sent_by:user:${user}`), [2, 4])
    t.strictSame(await find(`about:user:${user}&status=completed`), [1, 2, 3, 4])
  }
  t.strictSame(await find(`*:user:${third}`), [5, 6], 'somebody else')

  t.test('an id in upper case is found as it was sent', async (t) => {
    const { body } = await client.post('/events', {
      type: 'a.b',
      payload: {},
      edges: [edge('about', 'user', third?.toUpperCase() ?? '')],
    })
    const found = await find(`about:user:${third?.toUpperCase()}`)
    t.ok(found.includes(body.position), `${body.position} is among ${found.join(', ')}`)
  })
})

t.test('an entity with edges of very many types', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await createImporter(service.url)
  const user = await create(client, '/users', { name: 'Ada' })
  const events = Array.from({ length: 60 }, (_, number) => ({
    type: 'a.b',
    payload: { number },
    edges: [edge(`type ${number}`, 'user', user.id), edge(`type ${(number + 1) % 60}`, 'user', user.id)],
  }))
  await client.post('/events/batch', { events })
  const all = Array.from({ length: 60 }, (_, index) => index + 1)
  t.strictSame(await positionsOf(client, `/events?order=asc&limit=7&edge=*:user:${user.id}`), all)
  t.strictSame(await positionsOf(client, `/events?limit=7&edge=*:user:${user.id}`), all.toReversed())
  t.strictSame(await positionsOf(client, `/events?order=asc&edge=type+30:user:${user.id}`), [30, 31])
})
