import assert from 'node:assert/strict'
import t from 'tap'
import { expectProblem } from '../../helpers/problems.ts'
import { startService, type Client } from '../../helpers/service.ts'

interface EventType {
  id: string
  name: string
  isGlobal: boolean
}

const conflict = { status: 409, type: 'conflict' }
const notFound = { status: 404, type: 'not-found' }
const reserved = { status: 422, type: 'reserved-event-type' }

/** SPEC sections 2, 5 and 6. */
const BUILT_IN = [
  'message.inbound message.outbound message.delivered message.read message.failed',
  'link_code.generated link_code.activation user.merged',
  'contact.created email.opened email.clicked appointment.booked tag.added order.placed',
  'payment.succeeded payment.failed chat.queue_notification event.reminder',
  'transfer.initiated transfer.settled inquiry.submitted',
  'system.collection.create system.collection.update system.collection.delete',
  'system.collection.publish system.collection.approve',
  'system.user.create system.user.update system.user.delete',
  'system.org.create system.org.update system.org.delete',
  'system.site.create system.site.update system.site.delete',
  'system.subscription.failing system.subscription.disabled system.subscription.recovered system.platform.skipped',
].flatMap((names) => names.split(' '))

async function list(client: Client, limit = 100): Promise<EventType[]> {
  const types: EventType[] = []
  let after = ''
  for (;;) {
    const { body } = await client.get(`/event-types?limit=${limit}${after}`)
    types.push(...body.data)
    if (!body.pageInfo.hasNextPage) return types
    after = `&after=${body.pageInfo.endCursor}`
  }
}
const customNames = async (client: Client): Promise<string[]> =>
  (await list(client)).filter(({ isGlobal }) => !isGlobal).map(({ name }) => name)

t.test('event types', async (t) => {
  const service = await startService(t, { worker: false })

  t.test('are created, read, changed and deleted', async (t) => {
    const client = await service.client()
    const { status, body: type } = await client.post('/event-types', {
      name: 'order.shipped',
      description: 'An order left.',
      domain: 'shop',
    })
    t.equal(status, 201)
    const { id, createdAt, updatedAt, ...rest } = type
    t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    t.ok(Date.parse(createdAt) > 0)
    t.equal(updatedAt, createdAt)
    t.strictSame(rest, {
      name: 'order.shipped',
      description: 'An order left.',
      jsonSchema: null,
      schemaVersion: 0,
      schemaWarnings: [],
      enforceValidation: false,
      isGlobal: false,
      domain: 'shop',
      topic: null,
      rooms: [],
    })
    t.strictSame((await client.get(`/event-types/${id}`)).body, type)

    const changed = await client.patch(`/event-types/${id}`, { description: null, domain: 'store' })
    t.equal(changed.status, 200)
    t.strictSame(
      { ...changed.body, updatedAt },
      { ...type, description: null, domain: 'store' },
      'only what was to change',
    )
    t.ok(Date.parse(changed.body.updatedAt) >= Date.parse(updatedAt))
    t.strictSame((await client.get(`/event-types/${id}`)).body, changed.body)

    const deleted = await client.delete(`/event-types/${id}`)
    t.strictSame([deleted.status, deleted.text], [204, ''])
    expectProblem(t, await client.get(`/event-types/${id}`), notFound, 'reading it')
    expectProblem(t, await client.patch(`/event-types/${id}`, { domain: 'x' }), notFound, 'changing it')
    expectProblem(t, await client.delete(`/event-types/${id}`), notFound, 'deleting it again')
    t.strictSame(await customNames(client), [])
  })

  t.test('the built-in ones are listed, and nobody can change them', async (t) => {
    const client = await service.client()
    const types = await list(client)
    t.strictSame(types.map(({ name }) => name).toSorted(), BUILT_IN.toSorted())
    t.ok(types.every(({ isGlobal }) => isGlobal))
    const other = await list(await service.client())
    t.strictSame(other, types, 'they are the same in every app')
    for (const type of types) {
      const path = `/event-types/${type.id}`
      assert.deepEqual((await client.get(path)).body, type)
      expectProblem(t, await client.patch(path, { description: 'mine' }), conflict, `changing ${type.name}`)
      expectProblem(t, await client.delete(path), conflict, `deleting ${type.name}`)
      expectProblem(t, await client.post('/event-types', { name: type.name }), conflict, 'creating it again')
    }
    t.equal((await client.get(`/event-types/${types[0]?.id.toUpperCase()}`)).status, 200, 'an id in capitals')
    t.strictSame(await list(client), types)
  })

  t.test('a name is there once', async (t) => {
    const client = await service.client()
    t.equal((await client.post('/event-types', { name: 'a.b', description: 'first' })).status, 201)
    expectProblem(t, await client.post('/event-types', { name: 'a.b' }), conflict, 'a second one')
    await client.post('/events', { type: 'by.append', payload: {} })
    expectProblem(t, await client.post('/event-types', { name: 'by.append' }), conflict, 'a registered one')
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.post('/event-types', { name: 'race.won' })),
    )
    t.equal(answers.filter(({ status }) => status === 201).length, 1)
    t.equal(answers.filter(({ status }) => status === 409).length, 19)
    t.strictSame(await customNames(client), ['a.b', 'by.append', 'race.won'])
  })

  t.test('reserved names are refused', async (t) => {
    const client = await service.client()
    for (const name of ['message.foo', 'message.', 'user.created', 'system.x', 'link_code.x'])
      expectProblem(t, await client.post('/event-types', { name }), reserved, name)
    t.strictSame(await customNames(client), [])
    for (const name of ['message', 'messages.foo', 'my.message.foo'])
      t.equal((await client.post('/event-types', { name })).status, 201, name)
  })

  t.test('bodies must have the right form', async (t) => {
    const client = await service.client()
    const { body: type } = await client.post('/event-types', { name: 'a.b' })
    const bad: [object, string][] = [
      [{}, '/name'],
      [{ name: 'No Name' }, '/name'],
      [{ name: 5 }, '/name'],
      [{ name: 'c', description: 5 }, '/description'],
      [{ name: 'c', description: 'a\0b' }, '/description'],
      [{ name: 'c', domain: [] }, '/domain'],
      [{ name: 'c', jsonSchema: 'x' }, '/jsonSchema'],
      [{ name: 'c', jsonSchema: true }, '/jsonSchema'],
      [{ name: 'c', enforceValidation: 'true' }, '/enforceValidation'],
      [{ name: 'c', enforceValidation: 1 }, '/enforceValidation'],
      [{ name: 'c', isGlobal: true }, '/isGlobal'],
      [{ name: 'c', schemaVersion: 3 }, '/schemaVersion'],
    ]
    for (const [body, pointer] of bad) {
      const expected = { status: 400, type: 'validation-failed', pointers: [pointer] }
      expectProblem(t, await client.post('/event-types', body), expected, JSON.stringify(body))
    }
    const badChanges = [{}, { name: 'other' }, { enforceValidation: null }, { jsonSchema: [] }, { extra: 1 }]
    for (const body of badChanges) {
      const refused = await client.patch(`/event-types/${type.id}`, body)
      expectProblem(t, refused, { status: 400, type: 'validation-failed' }, JSON.stringify(body))
    }
    t.strictSame(await list(client).then((types) => types.at(-1)), type)
    t.strictSame(await customNames(client), ['a.b'])
  })

  t.test('pages go on where the last one ended', async (t) => {
    const client = await service.client()
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    for (const name of names.toReversed()) await client.post('/event-types', { name })
    const types = await list(client, 7)
    t.strictSame(
      types.slice(0, BUILT_IN.length).map(({ isGlobal }) => isGlobal),
      BUILT_IN.map(() => true),
    )
    t.strictSame(
      types.slice(BUILT_IN.length).map(({ name }) => name),
      names,
    )
    t.strictSame(await list(client, 1), types, 'one by one')
  })

  t.test('also when the type that the cursor stands for was deleted meanwhile', async (t) => {
    const client = await service.client()
    for (const name of ['a', 'b', 'c', 'd']) await client.post('/event-types', { name })
    const { body: page } = await client.get(`/event-types?limit=${BUILT_IN.length + 2}`)
    const last = page.data.at(-1)
    t.equal(last.name, 'b')
    await client.delete(`/event-types/${last.id}`)
    const { body: next } = await client.get(`/event-types?after=${page.pageInfo.endCursor}`)
    t.strictSame(
      next.data.map(({ name }: EventType) => name),
      ['c', 'd'],
    )
  })
})

t.test('types that events name for the first time', async (t) => {
  const event = { type: 'never.seen', payload: {} }

  t.test('are registered by the append', async (t) => {
    const service = await startService(t, { worker: false })
    const client = await service.client()
    const { status, body } = await client.post('/events', event)
    t.equal(status, 201)
    const { body: type } = await client.get(`/event-types/${body.eventTypeId}`)
    const { id, name, description, jsonSchema, enforceValidation, isGlobal } = type
    t.strictSame(
      { id, name, description, jsonSchema, enforceValidation, isGlobal },
      {
        id: body.eventTypeId,
        name: 'never.seen',
        description: null,
        jsonSchema: null,
        enforceValidation: false,
        isGlobal: false,
      },
    )
    t.equal((await client.post('/events', event)).body.eventTypeId, body.eventTypeId)
    const { body: builtIn } = await client.post('/events', { type: 'order.placed', payload: {} })
    const types = await list(client)
    t.equal(types.find(({ name: of }) => of === 'order.placed')?.id, builtIn.eventTypeId)
    t.equal(types.length, BUILT_IN.length + 1)
  })

  t.test('are refused where AUTO_REGISTER_EVENT_TYPES is false', async (t) => {
    const service = await startService(t, {
      worker: false,
      settings: { AUTO_REGISTER_EVENT_TYPES: 'false' },
    })
    const client = await service.client()
    const unknown = { status: 422, type: 'unknown-event-type' }
    const answer = await client.post('/events', event)
    expectProblem(t, answer, unknown, 'one event')
    t.match(answer.body.detail, /never\.seen/)
    const events = [{ type: 'order.placed', payload: {} }, event, { type: 'nor.this', payload: {} }]
    const refused = await client.post('/events/batch', { events })
    expectProblem(t, refused, unknown, 'a batch')
    t.match(refused.body.detail, /never\.seen.*nor\.this/)
    t.strictSame((await client.get('/events')).body.data, [])
    t.strictSame(await customNames(client), [])

    await client.post('/event-types', { name: 'never.seen' })
    const { body: stored } = await client.post('/events', event)
    t.equal(stored.position, 1, 'once it was created it is taken')
    t.equal(
      (await client.post('/events', { type: 'order.placed', payload: {} })).status,
      201,
      'a built-in one',
    )
    await client.delete(`/event-types/${stored.eventTypeId}`)
    expectProblem(t, await client.post('/events', event), unknown, 'and refused once it was deleted')
  })
})
