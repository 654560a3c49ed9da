import t from 'tap'
import { httpConnection } from '../../helpers/connections.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const notFound = { status: 404, type: 'not-found' }
const conflict = { status: 409, type: 'conflict' }
const unknown = { status: 422, type: 'unknown-reference' }
const invalid = (...pointers: string[]) => ({ status: 400, type: 'validation-failed', pointers })

t.test('platform users', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const create = async (path: string, body: object) => {
    const answer = await client.post(path, body)
    t.equal(answer.status, 201, path)
    return answer.body
  }
  const connection = await create('/platform-connections', httpConnection())
  const other = await create('/platform-connections', httpConnection())
  const on = (externalId: string, more: object = {}) => ({
    platformConnectionId: connection.id,
    externalId,
    ...more,
  })
  const idsOf = async (query: string): Promise<string[]> => {
    const { status, body } = await client.get(`/platform-users?${query}`)
    t.equal(status, 200, query)
    return body.data.map(({ id }: { id: string }) => id)
  }
  const countUsers = async (): Promise<number> => {
    const rows = await service.platform.db.selectFrom('users').select('id').execute()
    return rows.length
  }

  t.test('bring a user with them, or belong to one', async (t) => {
    const plain = await create('/platform-users', on('+14155551234'))
    const { id, userId, createdAt } = plain
    t.strictSame(plain, {
      id,
      ...on('+14155551234'),
      otherExternalId: null,
      userId,
      name: null,
      profilePictureUrl: null,
      createdAt,
      updatedAt: createdAt,
    })
    const { body: made } = await client.get(`/users/${userId}`)
    t.match(made, { name: null, isSystem: false, attributes: {}, mergedInto: null })

    const named = await create('/platform-users', on('named', { name: 'Zoë 😀' }))
    t.equal((await client.get(`/users/${named.userId}`)).body.name, 'Zoë 😀', 'the user is called the same')

    const user = await create('/users', { name: 'Ada' })
    const input = on('full', {
      userId: user.id,
      name: 'A. L.',
      profilePictureUrl: 'https://example.com/a.png',
    })
    const before = await countUsers()
    const full = await create('/platform-users', input)
    t.match(full, input)
    t.equal(await countUsers(), before, 'no other user was made')
    t.strictSame((await client.get(`/users/${user.id}`)).body, user, 'nor was that one changed')
    const second = await create('/platform-users', { ...input, platformConnectionId: other.id })
    t.equal(second.userId, user.id, 'a user may be on several platforms')
    for (const platformUser of [plain, named, full, second])
      t.strictSame((await client.get(`/platform-users/${platformUser.id}`)).body, platformUser)
  })

  t.test('have ids that platforms give, to the letter', async (t) => {
    const externalIds = ['ä', 'a\u0308', 'A', 'a', ' a', '1', '01', '😀'.repeat(200), 'a\nb', '%41', "'"]
    for (const externalId of externalIds) {
      const { id } = await create('/platform-users', on(externalId))
      t.strictSame(await idsOf(`externalId=${encodeURIComponent(externalId)}`), [id], externalId.slice(0, 10))
    }
  })

  t.test('exist once on a connection', async (t) => {
    const first = await create('/platform-users', on('once'))
    const before = await countUsers()
    expectProblem(t, await client.post('/platform-users', on('once', { name: 'x' })), conflict, 'again')
    t.equal(await countUsers(), before, 'no user was left over')
    t.strictSame((await client.get(`/platform-users/${first.id}`)).body, first)
    const elsewhere = await create('/platform-users', { platformConnectionId: other.id, externalId: 'once' })
    t.strictSame(await idsOf('externalId=once'), [first.id, elsewhere.id], 'on another one it is another')

    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.post('/platform-users', on('at once'))),
    )
    const [won, ...more] = answers.filter(({ status }) => status === 201)
    t.equal(more.length, 0)
    for (const answer of answers) if (answer !== won) expectProblem(t, answer, conflict, 'at the same time')
    t.strictSame(await idsOf('externalId=at%20once'), [won?.body.id])
    t.equal(await countUsers(), before + 2, 'and only its user is there')
  })

  t.test('that many meet at once are all there', async (t) => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, number) => client.post('/platform-users', on(`many ${number}`))),
    )
    t.ok(answers.every(({ status }) => status === 201))
    t.equal(new Set(answers.map(({ body }) => body.userId)).size, 30)
    const messages = await Promise.all(
      Array.from({ length: 20 }, () =>
        client.post('/messages', {
          platformConnectionId: connection.id,
          toExternalId: 'written to',
          message: 'x',
        }),
      ),
    )
    t.ok(messages.every(({ status }) => status === 201))
    const [id, ...more] = await idsOf('externalId=written%20to')
    t.strictSame(more, [], 'whoever is written to by many is made once')
    for (const { body } of messages)
      t.match(body.edges, [{ type: 'sent_by' }, { type: 'sent_to', targetId: id }])
  })

  t.test('need a connection and a user that there are', async (t) => {
    const gone = await create('/platform-connections', httpConnection())
    t.equal((await client.delete(`/platform-connections/${gone.id}`)).status, 204)
    const goneUser = await create('/users', {})
    t.equal((await client.delete(`/users/${goneUser.id}`)).status, 204)
    const before = await countUsers()
    const bad: Record<string, object> = {
      'an unknown connection': { platformConnectionId: UNKNOWN_ID, externalId: 'x' },
      'a deleted connection': { platformConnectionId: gone.id, externalId: 'x' },
      'an unknown user': on('x', { userId: UNKNOWN_ID }),
      'a deleted user': on('x', { userId: goneUser.id }),
    }
    for (const [what, input] of Object.entries(bad))
      expectProblem(t, await client.post('/platform-users', input), unknown, what)
    t.equal(await countUsers(), before, 'no user was left over')
    t.strictSame(await idsOf('externalId=x'), [])
  })

  t.test('of a user who was merged belong to whom that user became', async (t) => {
    const source = await create('/platform-users', on('source'))
    const target = await create('/platform-users', on('target'))
    const { code } = await create('/link-codes', { platformUserId: target.id })
    const activation = { code, platformUserId: source.id }
    t.equal((await client.post('/link-codes/activate', activation)).status, 200)
    const later = await create('/platform-users', on('later', { userId: source.userId }))
    t.equal(later.userId, target.userId)
  })

  t.test('are filtered by connection, user and external id', async (t) => {
    const user = await create('/users', {})
    const third = await create('/platform-connections', httpConnection())
    const connections: string[] = [third.id, other.id]
    const inputs = ['f1', 'f2', 'f3'].flatMap((externalId) =>
      connections.map((platformConnectionId) =>
        externalId === 'f3'
          ? { platformConnectionId, externalId }
          : { platformConnectionId, externalId, userId: user.id },
      ),
    )
    const made: { id: string; platformConnectionId: string; externalId: string; userId: string }[] = []
    for (const input of inputs) made.push(await create('/platform-users', input))
    const where = (condition: (one: (typeof made)[0]) => boolean): string[] =>
      made.filter(condition).map(({ id }) => id)
    const onThird = `platformConnectionId=${third.id}`
    const ofUser = `userId=${user.id}`
    t.strictSame(await idsOf(onThird), [
      third.ownPlatformUserId,
      ...where((one) => one.platformConnectionId === third.id),
    ])
    t.strictSame(
      await idsOf(ofUser),
      where((one) => one.userId === user.id),
    )
    t.strictSame(await idsOf(ofUser.replace(user.id, user.id.toUpperCase())), await idsOf(ofUser))
    t.strictSame(
      await idsOf('externalId=f2'),
      where((one) => one.externalId === 'f2'),
    )
    const both = (one: (typeof made)[0]) => one.platformConnectionId === third.id && one.userId === user.id
    t.strictSame(await idsOf(`${onThird}&${ofUser}`), where(both))
    t.strictSame(
      await idsOf(`${onThird}&${ofUser}&externalId=f1`),
      where((one) => both(one) && one.externalId === 'f1'),
    )
    for (const query of [
      `${onThird}&${ofUser}&externalId=f3`,
      `platformConnectionId=${UNKNOWN_ID}`,
      `userId=${UNKNOWN_ID}`,
      'externalId=F1',
      'externalId=f',
    ])
      t.strictSame(await idsOf(query), [], query)

    const first = await client.get(`/platform-users?${ofUser}&limit=3`)
    const { endCursor, hasNextPage } = first.body.pageInfo
    t.equal(hasNextPage, true)
    const rest = await client.get(`/platform-users?${ofUser}&limit=3&after=${endCursor}`)
    t.equal(rest.body.pageInfo.hasNextPage, false)
    t.strictSame(
      [...first.body.data, ...rest.body.data].map(({ id }) => id),
      await idsOf(ofUser),
      'page by page',
    )
  })

  t.test('change their name and picture, and nothing else', async (t) => {
    const platformUser = await create('/platform-users', on('changing', { name: 'first' }))
    const path = `/platform-users/${platformUser.id}`
    const expected = { ...platformUser }
    for (const change of [
      { name: 'second' },
      { profilePictureUrl: 'https://example.com/2.png' },
      { name: null },
      { profilePictureUrl: null, name: 'third' },
    ]) {
      const { status, body } = await client.patch(path, change)
      t.equal(status, 200)
      Object.assign(expected, change, { updatedAt: body.updatedAt })
      t.strictSame(body, expected)
    }
    for (const [change, pointer] of [
      [{}, ''],
      [{ externalId: 'x' }, '/externalId'],
      [{ userId: UNKNOWN_ID }, '/userId'],
      [{ platformConnectionId: other.id }, '/platformConnectionId'],
      [{ name: '' }, '/name'],
      [{ profilePictureUrl: 'x' }, '/profilePictureUrl'],
    ] as const)
      expectProblem(t, await client.patch(path, change), invalid(pointer), JSON.stringify(change))
    t.strictSame((await client.get(path)).body, expected)
    t.equal((await client.get(`/users/${platformUser.userId}`)).body.name, 'first', 'the user is as it was')
  })

  t.test('are deleted once, with their link codes', async (t) => {
    const platformUser = await create('/platform-users', on('going'))
    const path = `/platform-users/${platformUser.id}`
    const code = await create('/link-codes', { platformUserId: platformUser.id })
    t.equal((await client.delete(path)).status, 204)
    for (const gone of [path, `/platform-users/${UNKNOWN_ID}`]) {
      expectProblem(t, await client.get(gone), notFound, 'read')
      expectProblem(t, await client.patch(gone, { name: 'x' }), notFound, 'changed')
      expectProblem(t, await client.delete(gone), notFound, 'deleted')
    }
    expectProblem(t, await client.get(`/link-codes/${code.id}`), notFound, 'its link code')
    t.equal((await client.get(`/users/${platformUser.userId}`)).status, 200, 'its user stays')
    const again = await create('/platform-users', on('going'))
    t.not(again.id, platformUser.id, 'the id on the platform is free again')
  })

  t.test('that a connection sends as cannot be deleted while it is there', async (t) => {
    const own = await create('/platform-connections', httpConnection())
    const path = `/platform-users/${own.ownPlatformUserId}`
    const { body: itself } = await client.get(path)
    t.match(itself, { platformConnectionId: own.id, externalId: 'self', name: own.name })
    t.equal((await client.get(`/users/${itself.userId}`)).body.isSystem, true)
    expectProblem(t, await client.delete(path), conflict, 'the connection needs it')
    t.strictSame((await client.get(path)).body, itself)
    t.equal((await client.delete(`/platform-connections/${own.id}`)).status, 204)
    t.equal((await client.delete(path)).status, 204, 'nobody needs it any more')
  })

  t.test('never belong to a user who is deleted at the same time', async (t) => {
    for (let round = 0; round < 5; round++) {
      const user = await create('/users', {})
      const making = Array.from({ length: 4 }, (_, number) =>
        client.post('/platform-users', on(`race ${round} ${number}`, { userId: user.id })),
      )
      const [deleted, ...made] = await Promise.all([client.delete(`/users/${user.id}`), ...making])
      const stored = await idsOf(`userId=${user.id}`)
      t.equal(stored.length, made.filter(({ status }) => status === 201).length)
      for (const answer of made) if (answer.status !== 201) expectProblem(t, answer, unknown, 'too late')
      if (deleted?.status === 204) t.strictSame(stored, [], 'the user is gone')
      else expectProblem(t, deleted, conflict, 'the user is needed')
    }
  })
})
