import t from 'tap'
import { httpConnection } from '../../helpers/connections.ts'
import { startService } from '../../helpers/service.ts'

t.test('what edges of events point to', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const create = async (path: string, body: object) => {
    const answer = await client.post(path, body)
    t.equal(answer.status, 201, path)
    return answer.body
  }
  const connection = await create('/platform-connections', httpConnection())
  const onConnection = (externalId: string, more: object = {}) => ({
    platformConnectionId: connection.id,
    externalId,
    ...more,
  })
  /** What the edges of an event point to, read in each of the ways there are. */
  const entitiesOf = async (id: string): Promise<unknown[]> => {
    const { body: event } = await client.get(`/events/${id}?include=entities`)
    const { body: page } = await client.get('/events?include=entities&limit=100')
    const listed = page.data.find((other: { id: string }) => other.id === id)
    t.strictSame(listed.edges, event.edges, 'the list says the same')
    const { body: plain } = await client.get(`/events/${id}`)
    t.strictSame(
      plain.edges,
      event.edges.map(({ type, targetType, targetId }: Record<string, string>) => ({
        type,
        targetType,
        targetId,
      })),
      'left out unless asked for',
    )
    return event.edges.map(({ entity }: { entity: unknown }) => entity)
  }
  const about = (...targets: [string, string][]) =>
    create('/events', {
      type: 'order.shipped',
      payload: {},
      edges: targets.map(([targetType, targetId]) => ({ type: 'about', targetType, targetId })),
    })

  t.test('is given with them', async (t) => {
    const user = await create('/users', { name: 'Ada', attributes: { plan: 'pro' } })
    const platformUser = await create('/platform-users', onConnection('one', { userId: user.id }))
    const file = await create('/files', { filename: 'a.pdf', sizeBytes: 2 ** 40 })
    const event = await about(
      ['file', file.id],
      ['user', user.id],
      ['platform_user', platformUser.id],
      ['user', user.id.toUpperCase()],
      ['user', user.id],
    )
    t.strictSame(await entitiesOf(event.id), [file, user, platformUser, user, user])
    await client.patch(`/users/${user.id}`, { name: 'Grace' })
    const { body: changed } = await client.get(`/users/${user.id}`)
    t.strictSame((await entitiesOf(event.id))[1], changed, 'as it is now, not as it was')
  })

  t.test('may be nothing, or nothing of ours', async (t) => {
    const { id } = await create('/users', {})
    const event = await about(
      ['user', 'not an id'],
      ['user', crypto.randomUUID()],
      ['file', id],
      ['platform_user', id],
      ['User', id],
      ['order', id],
      ['user', `${id} `],
    )
    t.strictSame(
      await entitiesOf(event.id),
      Array.from({ length: 7 }, () => null),
    )
    t.strictSame(await entitiesOf((await about()).id), [], 'and there may be no edges')
  })

  t.test('is nothing any more once it is deleted, and the edges stay', async (t) => {
    const user = await create('/users', {})
    const platformUser = await create('/platform-users', onConnection('two', { userId: user.id }))
    const file = await create('/files', { filename: 'a' })
    const paths = [`/platform-users/${platformUser.id}`, `/users/${user.id}`, `/files/${file.id}`]
    const targets: [string, string][] = [
      ['platform_user', platformUser.id],
      ['user', user.id],
      ['file', file.id],
    ]
    const event = await about(...targets)
    for (const [index, path] of paths.entries()) {
      t.ok((await entitiesOf(event.id))[index], `${path} is there`)
      t.equal((await client.delete(path)).status, 204)
      t.equal((await entitiesOf(event.id))[index], null, 'and gone')
    }
    for (const [targetType, targetId] of targets) {
      const { body: page } = await client.get(`/events?edge=about:${targetType}:${targetId}`)
      t.strictSame(
        page.data.map(({ id }: { id: string }) => id),
        [event.id],
        `it is still found by ${targetType}`,
      )
    }
  })

  t.test('is as it is now for everything of a page', async (t) => {
    const users: { id: string }[] = []
    for (let number = 0; number < 10; number++)
      users.push(await create('/users', { name: `${number}`, attributes: { number } }))
    const event = await about(
      ...Array.from({ length: 50 }, (_, number): [string, string] => ['user', users[number % 10]?.id ?? '']),
    )
    t.strictSame(
      await entitiesOf(event.id),
      Array.from({ length: 50 }, (_, number) => users[number % 10]),
    )
  })
})
