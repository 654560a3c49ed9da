import t from 'tap'
import { httpConnection } from '../helpers/connections.ts'
import { expectProblem } from '../helpers/problems.ts'
import { startService, type Client } from '../helpers/service.ts'

const notFound = { status: 404, type: 'not-found' }
const unknown = { status: 422, type: 'unknown-reference' }

const RESOURCES = ['users', 'platform-users', 'files', 'platform-connections', 'link-codes'] as const

/** An app with one of everything, under names that the other app has too. */
async function furnish(client: Client) {
  const create = async (path: string, body: object) => {
    const answer = await client.post(path, body)
    if (answer.status !== 201) throw new Error(`${path}: ${answer.text}`)
    return answer.body
  }
  const connection = await create('/platform-connections', httpConnection())
  const user = await create('/users', { name: 'Ada', attributes: { plan: 'pro' } })
  const platformConnectionId: string = connection.id
  const platformUser = await create('/platform-users', {
    platformConnectionId,
    externalId: 'somebody',
    userId: user.id,
  })
  const file = await create('/files', { filename: 'invoice.pdf' })
  const linkCode = await create('/link-codes', { platformUserId: platformUser.id })
  const message = await create('/messages', {
    platformConnectionId,
    toPlatformUserId: platformUser.id,
    message: 'Hello',
  })
  const child = await create(`/events/${message.id}/status`, { status: 'delivered' })
  const about = await create('/events', {
    type: 'shared.type',
    payload: {},
    edges: [
      ['user', user],
      ['platform_user', platformUser],
      ['file', file],
    ].map(([targetType, { id }]) => ({ type: 'about', targetType, targetId: id })),
  })
  const { body: list } = await client.get('/events?order=asc')
  /** Everything there is, as the app itself sees it; no worker changes anything meanwhile. */
  const everything = () =>
    Promise.all(
      [...RESOURCES.map((path) => `/${path}`), '/events?include=entities', '/deliveries'].map(
        async (path) => (await client.get(path)).body,
      ),
    )
  return {
    client,
    connection,
    user,
    platformUser,
    file,
    linkCode,
    message,
    child,
    about,
    events: list.data as { id: string }[],
    everything,
  }
}

t.test('two apps know nothing of each other’s entities, connections and codes', async (t) => {
  const service = await startService(t, { worker: false })
  const [one, other] = await Promise.all([service.client().then(furnish), service.client().then(furnish)])
  const before = { one: await one.everything(), other: await other.everything() }
  const pairs = [
    [one, other],
    [other, one],
  ] as const

  t.test('the same ids on platforms are independent', async (t) => {
    t.equal(one.platformUser.externalId, other.platformUser.externalId)
    t.not(one.platformUser.id, other.platformUser.id)
    t.not(one.connection.ownPlatformUserId, other.connection.ownPlatformUserId)
    t.equal(one.events.length, 4)
    t.equal(one.events.length, other.events.length)
  })

  t.test('what one has, the other can neither read, nor change, nor delete', async (t) => {
    for (const [{ client }, theirs] of pairs) {
      const changes: [string, object][] = [
        [`/users/${theirs.user.id}`, { name: 'mine' }],
        [`/platform-users/${theirs.platformUser.id}`, { name: 'mine' }],
        [`/platform-users/${theirs.connection.ownPlatformUserId}`, { name: 'mine' }],
        [`/files/${theirs.file.id}`, { filename: 'mine' }],
        [`/platform-connections/${theirs.connection.id}`, { name: 'mine' }],
        [`/platform-connections/${theirs.connection.id}`, { settings: { url: 'https://example.org/' } }],
      ]
      for (const [path, change] of changes) {
        expectProblem(t, await client.get(path), notFound, `reading ${path}`)
        expectProblem(t, await client.patch(path, change), notFound, `changing ${path}`)
        expectProblem(t, await client.delete(path), notFound, `deleting ${path}`)
        t.equal((await theirs.client.get(path)).status, 200, `its owner reads ${path}`)
      }
      const { message, child, linkCode } = theirs
      for (const path of [
        `/link-codes/${linkCode.id}`,
        `/events/${message.id}`,
        `/events/${message.id}?include=entities`,
        `/events/${child.id}`,
        `/events/${message.id}/children`,
        `/events/${message.id}/deliveries`,
        `/subscriptions/${theirs.connection.id}`,
      ])
        expectProblem(t, await client.get(path), notFound, `reading ${path}`)
      for (const status of ['delivered', 'read', 'failed'])
        expectProblem(
          t,
          await client.post(`/events/${message.id}/status`, { status }),
          notFound,
          `reporting ${status}`,
        )
    }
  })

  t.test('what one has, the other cannot use', async (t) => {
    for (const [mine, theirs] of pairs) {
      const { client } = mine
      const platformConnectionId = mine.connection.id
      const origin = { status: 422, type: 'unknown-origin', pointers: ['/originEventId'] }
      const uses: [string, string, object, { status: number; type: string; pointers?: string[] }][] = [
        [
          'a connection, for a message',
          '/messages',
          { platformConnectionId: theirs.connection.id, toExternalId: 'x', message: 'x' },
          notFound,
        ],
        [
          'a connection with its recipient',
          '/messages',
          {
            platformConnectionId: theirs.connection.id,
            toPlatformUserId: theirs.platformUser.id,
            message: 'x',
          },
          notFound,
        ],
        [
          'a recipient',
          '/messages',
          { platformConnectionId, toPlatformUserId: theirs.platformUser.id, message: 'x' },
          notFound,
        ],
        [
          'the origin of a message',
          '/messages',
          {
            platformConnectionId,
            toExternalId: 'somebody',
            message: 'x',
            originEventId: theirs.message.id,
          },
          origin,
        ],
        [
          'the origin of an event',
          '/events',
          { type: 'shared.type', payload: {}, originEventId: theirs.message.id },
          origin,
        ],
        ['a platform user, for a code', '/link-codes', { platformUserId: theirs.platformUser.id }, unknown],
        [
          'a code',
          '/link-codes/activate',
          { code: theirs.linkCode.code, platformUserId: mine.connection.ownPlatformUserId },
          { status: 422, type: 'link-code-refused' },
        ],
        [
          'a platform user, with a code of one’s own',
          '/link-codes/activate',
          { code: mine.linkCode.code, platformUserId: theirs.connection.ownPlatformUserId },
          unknown,
        ],
        [
          'a connection, for a platform user',
          '/platform-users',
          { platformConnectionId: theirs.connection.id, externalId: 'x' },
          unknown,
        ],
        [
          'a user, for a platform user',
          '/platform-users',
          { platformConnectionId, externalId: 'x', userId: theirs.user.id },
          unknown,
        ],
        [
          'a connection with its user',
          '/platform-users',
          { platformConnectionId: theirs.connection.id, externalId: 'x', userId: theirs.user.id },
          unknown,
        ],
      ]
      for (const [what, path, body, expected] of uses)
        expectProblem(t, await client.post(path, body), expected, what)
    }
  })

  t.test('lists hold only what is the app’s own', async (t) => {
    for (const [mine, theirs] of pairs) {
      const { client } = mine
      const ids = async (path: string): Promise<string[]> => {
        const { status, body } = await client.get(path)
        t.equal(status, 200, path)
        return body.data.map(({ id }: { id: string }) => id)
      }
      for (const filter of [
        `platform-users?platformConnectionId=${theirs.connection.id}`,
        `platform-users?userId=${theirs.user.id}`,
        `platform-users?platformConnectionId=${theirs.connection.id}&userId=${theirs.user.id}`,
        `link-codes?platformUserId=${theirs.platformUser.id}`,
        `events?originEventId=${theirs.message.id}`,
        `deliveries?eventId=${theirs.message.id}`,
        `deliveries?subscriptionId=${theirs.connection.id}`,
        ...['about', '*'].flatMap((type) => [
          `events?edge=${type}:user:${theirs.user.id}`,
          `events?edge=${type}:platform_user:${theirs.platformUser.id}`,
          `events?edge=${type}:file:${theirs.file.id}`,
        ]),
      ])
        t.strictSame(await ids(`/${filter}`), [], filter)
      t.strictSame(await ids(`/events?edge=about:user:${mine.user.id}`), [mine.about.id], 'its own are found')
      t.strictSame(await ids('/platform-users?externalId=somebody'), [mine.platformUser.id])
      t.strictSame(await ids('/link-codes'), [mine.linkCode.id])
      t.strictSame(await ids('/platform-connections'), [mine.connection.id])
      for (const resource of RESOURCES) {
        const { body: page } = await theirs.client.get(`/${resource}?limit=1`)
        const { status, text } = await client.get(`/${resource}?after=${page.pageInfo.endCursor}`)
        t.equal(status, 200)
        for (const { id } of page.data) t.notOk(text.includes(id), `${resource}: a cursor of the other`)
      }
    }
  })

  t.test('an edge to what the other has points to nothing', async (t) => {
    const edges = [
      ['user', other.user],
      ['platform_user', other.platformUser],
      ['file', other.file],
    ].map(([targetType, { id }]) => ({ type: 'about', targetType, targetId: id }))
    const { client } = await service.client().then(furnish)
    const { status, body: event } = await client.post('/events', { type: 'a.b', payload: {}, edges })
    t.equal(status, 201, 'targets are not looked up')
    const { body: read } = await client.get(`/events/${event.id}?include=entities`)
    t.strictSame(
      read.edges,
      edges.map(({ type, targetType, targetId }) => ({ type, targetType, targetId, entity: null })),
    )
  })

  t.test('and nothing of it changed anything', async (t) => {
    t.strictSame(await one.everything(), before.one)
    t.strictSame(await other.everything(), before.other)
  })
})
