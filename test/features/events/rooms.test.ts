import assert from 'node:assert/strict'
import t from 'tap'
import { BATCH, STRUCTURED } from '../../helpers/cloud-events.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { call, createImporter, startService, type Answer, type Client } from '../../helpers/service.ts'

const DECLARED = { topic: 'orders/shipped', rooms: ['orders', 'orders/{payload.order_id}'] }
const invalid = { status: 400, type: 'validation-failed' }

t.test('topics and rooms of events', async (t) => {
  const service = await startService(t, { worker: false })
  const { appender, eventReader } = service.features.events
  const { pool } = service.platform

  /** Creates a type with a topic and rooms. */
  async function declare(client: Client, declared: object, name = 'order.shipped'): Promise<Answer['body']> {
    const { status, body, text } = await client.post('/event-types', { name, ...declared })
    assert.equal(status, 201, text)
    return body
  }

  /** The topic and the rooms of each event in the log, oldest first. */
  async function logOf({ appId }: Client): Promise<(string | null)[][]> {
    const events = await eventReader.readAfter(appId, 0, 1_000)
    return events.map(({ topic, rooms }) => [topic, rooms].flat())
  }

  const ship = (client: Client, payload: object | string) =>
    client.post('/events', typeof payload === 'string' ? payload : { type: 'order.shipped', payload })

  t.test('are worked out in each way of appending', async (t) => {
    const client = await service.client()
    await declare(client, DECLARED)
    const type = 'order.shipped'
    const { body: event } = await ship(client, { order_id: 1 })
    const events = [2, 3].map((order_id) => ({ type, payload: { order_id } }))
    await client.post('/events/batch', {
      events: [...events, { type: 'order.other', payload: { order_id: 4 } }],
    })
    const cloudEvent = (id: string) => ({
      specversion: '1.0',
      id,
      source: '/s',
      type,
      data: { order_id: id },
    })
    await client.post('/events', cloudEvent('5'), { 'content-type': STRUCTURED })
    await client.post('/events', [cloudEvent('6'), cloudEvent('7')], { 'content-type': BATCH })
    const { events: appended } = await appender.appendWith(client.appId, async () => ({
      events: [{ type, payload: '{"order_id":8}', payloadValue: { order_id: 8 } }],
      result: undefined,
    }))
    const single = await appender.append(client.appId, [
      { type, payload: '{"order_id":9}', payloadValue: { order_id: 9 } },
    ])

    const of = (order: number) => ['orders/shipped', 'orders', `orders/${order}`]
    t.strictSame(await logOf(client), [of(1), of(2), of(3), [null], ...[5, 6, 7, 8, 9].map(of)])
    for (const { event: told } of [...appended, ...single.events])
      t.strictSame(await eventReader.get(client.appId, told.id), told, 'as it was told')
    t.same((await eventReader.getMany(client.appId, [event.id]))[0]?.rooms, ['orders', 'orders/1'])
    const { rows } = await pool.query(
      'select topic, rooms from events where app_id = $1 order by position limit 4',
      [client.appId],
    )
    t.strictSame(rows[0], { topic: 'orders/shipped', rooms: 'orders orders/1' })
    t.strictSame(rows[3], { topic: null, rooms: null })
  })

  t.test('a repeat is where its first event is', async (t) => {
    const client = await service.client()
    const { id } = await declare(client, DECLARED)
    const { appId } = client
    const event = {
      type: 'order.shipped',
      payload: '{"order_id":1}',
      payloadValue: { order_id: 1 },
      externalId: 'A-1',
    }
    const first = await appender.append(appId, [event])
    await client.patch(`/event-types/${id}`, { topic: null, rooms: ['others'] })
    const again = await appender.append(appId, [event])
    t.equal(again.replayed, true)
    t.strictSame(again.events[0]?.event, first.events[0]?.event)
  })

  t.test('of a type are given back, and changed for later events only', async (t) => {
    const client = await service.client()
    const other = await startService(t, { worker: false, databaseUrl: service.databaseUrl })
    const shipThere = () =>
      call(other.url, 'POST', '/events', {
        key: client.key,
        body: { type: 'order.shipped', payload: { order_id: 1 } },
      })
    const created = await declare(client, DECLARED)
    const path = `/event-types/${created.id}`
    t.match(created, DECLARED)
    t.strictSame((await client.get(path)).body, created)
    await shipThere()

    const changes: object[] = [
      { rooms: ['others'] },
      { topic: 'a/{payload.order_id}' },
      { description: 'told' },
      { topic: null },
      { rooms: [] },
      DECLARED,
    ]
    let wanted = created
    for (const change of changes) {
      const { status, body } = await client.patch(path, change)
      wanted = Object.assign({}, wanted, change, { updatedAt: body.updatedAt })
      t.strictSame([status, body], [200, wanted])
      t.equal((await shipThere()).status, 201)
    }
    t.strictSame((await client.get(path)).body, wanted)
    const declared = ['orders/shipped', 'orders', 'orders/1']
    t.strictSame(await logOf(client), [
      declared,
      ['orders/shipped', 'others'],
      ['a/1', 'others'],
      ['a/1', 'others'],
      ['order.shipped', 'others'],
      [null],
      declared,
    ])
    await client.delete(path)
    await shipThere()
    t.strictSame((await logOf(client)).at(-1), [null], 'a type that an append registers anew has none')
    const { body: types } = await client.get('/event-types?limit=100')
    t.match(types.data.at(-1), { name: 'order.shipped', topic: null, rooms: [] })
    await client.delete(path)
    await declare(client, { topic: 'again' })
    await shipThere()
    t.strictSame((await logOf(client)).at(-1), [null], 'nor has one that is created anew without')
  })

  t.test('of built-in types are in the code', async (t) => {
    const client = await createImporter(service.url)
    const { body } = await client.get('/event-types?limit=100')
    const withRooms = body.data.filter(({ rooms }: { rooms: string[] }) => rooms.length > 0)
    t.strictSame(
      withRooms.map(({ name, topic, rooms }: Answer['body']) => ({ name, topic, rooms })),
      [
        {
          name: 'inquiry.submitted',
          topic: 'observation/outreach/inquiry/submitted',
          rooms: ['outreach/inquiries', 'outreach/inquiries/{payload.id}'],
        },
      ],
    )
    const refused = await client.patch(`/event-types/${withRooms[0].id}`, { rooms: [] })
    expectProblem(t, refused, { status: 409, type: 'conflict' }, 'they cannot be changed')
    await client.post('/events', { type: 'inquiry.submitted', payload: { id: '7211223344556677889' } })
    await client.post('/events', { type: 'inquiry.submitted', payload: {} })
    await client.post('/events', { type: 'order.placed', payload: {} })
    t.strictSame(await logOf(client), [
      [
        'observation/outreach/inquiry/submitted',
        'outreach/inquiries',
        'outreach/inquiries/7211223344556677889',
      ],
      ['observation/outreach/inquiry/submitted', 'outreach/inquiries'],
      [null],
    ])
  })

  t.test('hostile payloads are stored, and are in no room of their making', async (t) => {
    const client = await service.client()
    await declare(client, {
      topic: 't/{payload.id}',
      rooms: ['r/{payload.id}', 'deep/{payload.a.b}', 'lines/{payload.lines.0}'],
    })
    const texts = ['', ' ', '../x', 'a/b', 'a b', 'a,b', '*', '**', 'ü', '\n', 'x\n', '\0', 'a\0', '\\', '😀']
    const long = ['x'.repeat(129), 'x'.repeat(100_000)]
    const numbers = ['1e21', '1.5', '1234567890123456789012', '-1e400']
    const others = ['null', '{}', '[]', '["a"]', '{"toString":"a"}', '{"id":"a"}', '{"length":1}']
    const values = [...[...texts, ...long].map((text) => JSON.stringify(text)), ...numbers, ...others]
    for (const value of values) {
      const payload = `{"id":${value},"a":${value},"lines":{"length":1}}`
      const { status, text } = await ship(client, `{"type":"order.shipped","payload":${payload}}`)
      assert.equal(status, 201, text)
      assert.ok(text.includes(`"payload":${payload}`))
    }
    const log = await logOf(client)
    t.equal(log.length, values.length)
    for (const [index, row] of log.entries()) t.strictSame(row, [null], String(values[index]))

    const good: [payload: string, row: string[]][] = [
      ['{"id":"..","a":{"b":true},"lines":[-5]}', ['t/..', 'r/..', 'deep/true', 'lines/-5']],
      ['{"id":9007199254740991}', ['t/9007199254740991', 'r/9007199254740991']],
      ['{"id":12345678901234567890}', ['t/12345678901234567890', 'r/12345678901234567890']],
      ['{"id":"1","id":"2"}', ['t/2', 'r/2']],
      ['{"a":{"b":"c"}}', ['order.shipped', 'deep/c']],
    ]
    for (const [payload] of good)
      assert.equal((await ship(client, `{"type":"order.shipped","payload":${payload}}`)).status, 201)
    t.strictSame(
      (await logOf(client)).slice(values.length),
      good.map(([, row]) => row),
    )
  })

  t.test('only what stands in the payload fills a place', async (t) => {
    const client = await service.client()
    const rooms = ['a/{payload.__proto__.x}', 'b/{payload.constructor.name}', 'c/{payload.a.length}', 'd']
    await declare(client, { rooms })
    const payloads = [
      '{}',
      '{"a":"text"}',
      '{"a":["b"]}',
      '{"__proto__":{"x":1}}',
      '{"constructor":{"name":"n"}}',
    ]
    const answers = []
    for (const payload of payloads)
      answers.push(await ship(client, `{"type":"order.shipped","payload":${payload}}`))
    t.strictSame(
      answers.map(({ status }) => status),
      payloads.map(() => 201),
    )
    t.strictSame(await logOf(client), [
      ['order.shipped', 'd'],
      ['order.shipped', 'd'],
      ['order.shipped', 'd'],
      ['order.shipped', 'a/1', 'd'],
      ['order.shipped', 'b/n', 'd'],
    ])
    t.equal(({} as Record<string, unknown>)['x'], undefined)
  })

  t.test('as many and as long as they may be', async (t) => {
    const client = await service.client()
    const long = (first: string) => `${first.repeat(128)}/${'y'.repeat(126)}`
    const rooms = Array.from('abcdefgh', long)
    const { body } = await client.post('/event-types', { name: 'order.shipped', topic: long('z'), rooms })
    t.strictSame([body.topic, body.rooms], [long('z'), rooms])
    await ship(client, {})
    t.strictSame(await logOf(client), [[long('z'), ...rooms]])
    await declare(client, { rooms: ['a', 'b/{payload.x}', 'a', '{payload.x}'] }, 'order.twice')
    await client.post('/events', { type: 'order.twice', payload: { x: 'a' } })
    t.strictSame((await logOf(client)).at(-1), ['order.twice', 'a', 'b/a'], 'each room once')
  })

  t.test('what is no template is refused', async (t) => {
    const client = await service.client()
    const type = await declare(client, DECLARED)
    const bad: [declared: object, pointers: string[]][] = [
      [{ topic: 'a b' }, ['/topic']],
      [{ topic: '' }, ['/topic']],
      [{ topic: 5 }, ['/topic']],
      [{ topic: 'a\0' }, ['/topic']],
      [{ topic: '{payload.a\0}' }, ['/topic']],
      [{ topic: '{payload.\ud800}' }, ['/topic']],
      [{ topic: 'x'.repeat(501) }, ['/topic']],
      [{ topic: 'a/{type}' }, ['/topic']],
      [{ rooms: 'a' }, ['/rooms']],
      [{ rooms: null }, ['/rooms']],
      [{ rooms: [5] }, ['/rooms/0']],
      [{ rooms: ['a', null] }, ['/rooms/1']],
      [{ rooms: Array.from('abcdefghi') }, ['/rooms']],
      [{ rooms: ['ok', '*', 'ok/{payload.a}', 'a//b', '{payload}'] }, ['/rooms/1', '/rooms/3', '/rooms/4']],
      [{ topic: '/', rooms: ['{payload.a}{payload.b}'] }, ['/rooms/0', '/topic']],
      [{ rooms: ['1/2/3/4/5/6/7/8/9'] }, ['/rooms/0']],
    ]
    for (const [declared, pointers] of bad) {
      const what = JSON.stringify(declared).slice(0, 60)
      const expected = { ...invalid, pointers }
      expectProblem(t, await client.post('/event-types', { name: 'a.b', ...declared }), expected, what)
      expectProblem(t, await client.patch(`/event-types/${type.id}`, declared), expected, what)
    }
    t.strictSame((await client.get(`/event-types/${type.id}`)).body, type)
    const { body: types } = await client.get('/event-types?limit=100')
    t.equal(types.data.filter(({ isGlobal }: Answer['body']) => !isGlobal).length, 1)
  })

  t.test('can be declared through GraphQL', async (t) => {
    const client = await service.client()
    const mutate = (declared: string) =>
      client.post('/graphql', {
        query: `mutation { createEventSchema(name: "order.shipped", ${declared}) { topic rooms } }`,
      })
    const { body: refused } = await mutate('rooms: ["a", "b c"]')
    t.equal(refused.errors[0].extensions.type, 'urn:heliograph:problem:validation-failed')
    t.strictSame(refused.errors[0].extensions.errors[0].pointer, '/rooms/1')
    const { body: made } = await mutate(
      `topic: "${DECLARED.topic}", rooms: ${JSON.stringify(DECLARED.rooms)}`,
    )
    t.strictSame(made.data.createEventSchema, DECLARED)
    await ship(client, { order_id: 1 })
    t.strictSame(await logOf(client), [['orders/shipped', 'orders', 'orders/1']])
  })
})
