import t from 'tap'
import {
  activate,
  idleConnection,
  makeCode,
  makePeople,
  mergedInto,
  mergeInto,
  userOf,
  type PlatformUser,
} from '../../helpers/platforms/people.ts'
import { startService, type Client } from '../../helpers/service.ts'

type People = [PlatformUser, PlatformUser, PlatformUser, PlatformUser]
const people = async (client: Client): Promise<People> =>
  (await makePeople(client, await idleConnection(client), 4)) as People

t.test('merging', async (t) => {
  const service = await startService(t, { worker: false })

  t.test('using a code merges two users and appends what happened, in order', async (t) => {
    const client = await service.client()
    const [ada, bob] = await people(client)
    const code = await makeCode(client, ada)
    const typed = code.code.replaceAll('-', ' ')
    const { status, body } = await activate(client, { code: typed }, { id: bob.id.toUpperCase() })
    t.equal(status, 200)
    t.match(body, { user: { id: ada.userId, mergedInto: null }, mergedUserId: bob.userId })
    t.strictSame(body.linkCode, { ...code, uses: 1 })

    t.equal(await userOf(client, bob), ada.userId, 'the platform user moved')
    t.equal(await mergedInto(client, bob.userId), ada.userId)
    t.equal(await mergedInto(client, ada.userId), null)

    const { body: page } = await client.get('/events?order=asc')
    t.strictSame(
      page.data.map(({ type }: { type: string }) => type),
      ['link_code.generated', 'link_code.activation', 'user.merged'],
    )
    const [generated, activation, merged] = page.data
    t.strictSame(
      [generated.id, activation.id, activation.originEventId, merged.originEventId],
      [code.eventId, body.eventId, code.eventId, activation.id],
    )
    t.strictSame(activation.payload, {
      code: code.code,
      link_code_event_id: code.eventId,
      uses: 1,
      max_uses: 1,
      generated_by_platform_user_id: ada.id,
      activated_by_platform_user_id: bob.id,
    })
    t.strictSame(activation.edges, [
      { type: 'generated_by', targetType: 'platform_user', targetId: ada.id },
      { type: 'activated_by', targetType: 'platform_user', targetId: bob.id },
    ])
    t.strictSame(merged.payload, { source_user_id: bob.userId, target_user_id: ada.userId })
    t.strictSame(merged.edges, [
      { type: 'source', targetType: 'user', targetId: bob.userId },
      { type: 'target', targetType: 'user', targetId: ada.userId },
    ])
    for (const event of page.data) t.equal(event.schemaValid, true, event.type)
  })

  t.test('who is one already is not merged', async (t) => {
    const client = await service.client()
    const [ada, bob] = await people(client)
    await mergeInto(client, bob, ada)
    const { status, body } = await activate(client, await makeCode(client, ada), bob)
    t.strictSame([status, body.user.id, body.mergedUserId], [200, ada.userId, null])
    t.equal((await client.get('/events?type=user.merged')).body.data.length, 1)
    t.equal((await client.get('/events?type=link_code.activation')).body.data.length, 2)
  })

  t.test('a chain of merges ends in one user', async (t) => {
    const client = await service.client()
    const [ada, bob, eve, zoe] = await people(client)
    await mergeInto(client, ada, bob)
    await mergeInto(client, bob, eve)
    await mergeInto(client, eve, zoe)
    for (const person of [ada, bob, eve]) {
      t.equal(await mergedInto(client, person.userId), zoe.userId)
      t.equal(await userOf(client, person), zoe.userId)
    }
    t.equal(await mergedInto(client, zoe.userId), null)
    // And from the side: whoever is merged into someone who was merged ends there too.
    const [late] = (await makePeople(client, ada.platformConnectionId, 1)) as [PlatformUser]
    await mergeInto(client, late, ada)
    t.equal(await mergedInto(client, late.userId), zoe.userId)
  })

  t.test('events are found by the surviving user and by the merged one', async (t) => {
    const client = await service.client()
    const [ada, bob, eve, other] = await people(client)
    const append = async (type: string, targetType: string, targetId: string): Promise<string> =>
      (
        await client.post('/events', {
          type: 'note.made',
          payload: {},
          edges: [{ type, targetType, targetId }],
        })
      ).body.id
    const expected = [
      await append('sent_by', 'platform_user', ada.id),
      await append('sent_by', 'user', ada.userId),
      await append('sent_by', 'platform_user', bob.id),
      await append('sent_by', 'user', bob.userId),
      await append('sent_by', 'user', eve.userId),
    ]
    const about = await append('about', 'user', ada.userId)
    await append('sent_by', 'platform_user', other.id)
    await append('sent_by', 'user', other.userId)
    await mergeInto(client, ada, bob)
    await mergeInto(client, bob, eve)
    expected.push(
      await append('sent_by', 'user', ada.userId),
      await append('sent_by', 'platform_user', ada.id),
    )
    const found = async (edge: string): Promise<string[]> =>
      (await client.get(`/events?order=asc&limit=100&type=note.made&edge=${edge}`)).body.data.map(
        ({ id }: { id: string }) => id,
      )
    for (const { userId } of [ada, bob, eve]) {
      t.strictSame(await found(`sent_by:user:${userId}`), expected)
      t.ok((await found(`*:user:${userId}`)).includes(about))
    }
    t.equal((await found(`sent_by:user:${other.userId}`)).length, 2, 'nobody else changed')
    t.strictSame(await found(`sent_by:platform_user:${bob.id}`), [expected[2]], 'one platform user alone')
  })

  t.test('a platform user made for a merged user is the surviving one’s', async (t) => {
    const client = await service.client()
    const [ada, bob, eve] = await people(client)
    await mergeInto(client, ada, bob)
    const { body: late } = await client.post('/platform-users', {
      platformConnectionId: ada.platformConnectionId,
      externalId: 'late',
      userId: ada.userId,
    })
    const { body: event } = await client.post('/events', {
      type: 'note.made',
      payload: {},
      edges: [{ type: 'sent_by', targetType: 'platform_user', targetId: late.id }],
    })
    const page = await client.get(`/events?type=note.made&edge=sent_by:user:${bob.userId}`)
    t.match(page.body.data, [{ id: event.id }])

    // They are one, so there is nothing to merge; and it must not make a circle.
    const back = await activate(client, await makeCode(client, late), bob)
    t.match([back.status, back.body.user?.id, back.body.mergedUserId], [200, bob.userId, null])
    const on = await activate(client, await makeCode(client, eve), late)
    t.equal(on.status, 200)
    for (const person of [ada, bob]) t.equal(await mergedInto(client, person.userId), eve.userId)
    for (const person of [ada, bob, late]) t.equal(await userOf(client, person), eve.userId)
    t.equal(await mergedInto(client, eve.userId), null)
  })

  t.test('a user that others were merged into stays as long as they do', async (t) => {
    const client = await service.client()
    const [ada, bob] = await people(client)
    await mergeInto(client, ada, bob)
    t.equal((await client.delete(`/users/${bob.userId}`)).status, 409)
    await client.delete(`/platform-users/${ada.id}`)
    await client.delete(`/platform-users/${bob.id}`)
    t.equal((await client.delete(`/users/${bob.userId}`)).status, 409, 'the merged one names it')
    t.equal((await client.delete(`/users/${ada.userId}`)).status, 204)
    t.equal((await client.delete(`/users/${bob.userId}`)).status, 204)
    t.equal((await client.get('/events?type=user.merged')).body.data.length, 1, 'the log keeps what happened')
  })
})
