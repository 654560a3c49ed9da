import assert from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { expectEmptyLog, expectProblem } from '../../helpers/problems.ts'
import { call, startService, type Answer, type Client } from '../../helpers/service.ts'

const conflict = { status: 409, type: 'idempotency-conflict' }
const event = { type: 'order.shipped', payload: { id: 'A-1', lines: [1, 2] } }

const count = async (client: Client): Promise<number> =>
  (await client.get('/events?limit=100')).body.data.length

/** A repeat answers with the event that is there already, and says so. */
function expectReplay(t: Test, repeat: Answer, first: Answer, what: string): void {
  t.strictSame(
    { status: repeat.status, replayed: repeat.headers['idempotency-replayed'], text: repeat.text },
    { status: 200, replayed: 'true', text: first.text },
    what,
  )
}

t.test('an externalId', async (t) => {
  const service = await startService(t, { worker: false })

  t.test('repeated, gives the first event', async (t) => {
    const client = await service.client()
    const first = await client.post('/events', { ...event, externalId: 'A-1' })
    t.equal(first.status, 201)
    t.notOk('idempotency-replayed' in first.headers)
    await client.post('/events', { ...event, externalId: 'A-2' })
    for (let times = 0; times < 3; times++) {
      const repeat = await client.post('/events', { ...event, externalId: 'A-1' })
      expectReplay(t, repeat, first, 'the same again')
    }
    t.equal(await count(client), 2)
  })

  t.test('white space and the order of keys make no other event', async (t) => {
    const client = await service.client()
    const first = await client.post('/events', { ...event, externalId: 'A-1' })
    const other =
      '{ "externalId": "\\u0041-1", "payload": { "lines": [1,\n2], "id": "\\u0041-1" }, "type": "order.shipped" }'
    expectReplay(t, await client.post('/events', other), first, 'written differently')
  })

  t.test('with other content is a conflict', async (t) => {
    const client = await service.client()
    const { body: origin } = await client.post('/events', event)
    const edges = [{ type: 'sent_by', targetType: 'user', targetId: '1' }]
    const full = { ...event, externalId: 'A-1', orgid: 'o', originEventId: origin.id, edges }
    t.equal((await client.post('/events', full)).status, 201)
    const others: Record<string, object> = {
      type: { type: 'order.placed' },
      'a value': { payload: { id: 'A-2', lines: [1, 2] } },
      'a number as text': { payload: { id: 'A-1', lines: [1, '2'] } },
      'the order of an array': { payload: { id: 'A-1', lines: [2, 1] } },
      'one member more': { payload: { id: 'A-1', lines: [1, 2], more: null } },
      'one member less': { payload: { id: 'A-1' } },
      orgid: { orgid: 'p' },
      'no orgid': { orgid: undefined },
      'no origin': { originEventId: undefined },
      'no edges': { edges: undefined },
      'another edge': { edges: [{ type: 'sent_by', targetType: 'user', targetId: '2' }] },
      'one edge more': { edges: [...edges, ...edges] },
    }
    for (const [what, change] of Object.entries(others))
      expectProblem(t, await client.post('/events', { ...full, ...change }), conflict, what)
    t.equal(await count(client), 2)
  })

  t.test('numbers beyond what JavaScript can hold are told apart', async (t) => {
    for (const [one, other] of [
      ['12345678901234567890', '12345678901234567891'],
      ['1e400', '-1e400'],
      ['1e400', 'null'],
    ]) {
      const client = await service.client()
      const post = (number: string) =>
        client.post('/events', `{"type":"a.b","externalId":"A-1","payload":{"n":${number}}}`)
      const first = await post(one as string)
      t.equal(first.status, 201)
      expectReplay(t, await post(one as string), first, `${one} again`)
      expectProblem(t, await post(other as string), conflict, `${one} and ${other}`)
    }
  })

  t.test('may be any text', async () => {
    const client = await service.client()
    const text = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
      fc.constantFrom('NULL', 'null', '{}', '{a,b}', '"', '\\', "'", ' ', 'a\nb', '__proto__', '%', '\uFEFF'),
    )
    const seen = new Map<string, string>()
    await fc.assert(
      fc.asyncProperty(
        text.filter((value) => !value.includes('\0')),
        async (externalId) => {
          const answers = []
          for (let times = 0; times < 2; times++)
            answers.push(await client.post('/events', { ...event, externalId }))
          const id = seen.get(externalId) ?? answers[0]?.body.id
          assert.deepEqual(
            answers.map(({ status, body }) => [status, body.id, body.externalId]),
            [
              [seen.has(externalId) ? 200 : 201, id, externalId],
              [200, id, externalId],
            ],
          )
          seen.set(externalId, id)
        },
      ),
      { numRuns: 60 },
    )
  })
})

t.test('an Idempotency-Key', async (t) => {
  const service = await startService(t, { worker: false })
  const key = (value: string) => ({ 'idempotency-key': value })

  t.test('repeated, gives the first event', async (t) => {
    const client = await service.client()
    const first = await client.post('/events', event, key('k'))
    t.equal(first.status, 201)
    expectReplay(t, await client.post('/events', event, key('k')), first, 'the same again')
    t.equal((await client.post('/events', event, key('K'))).status, 201, 'another key')
    t.equal((await client.post('/events', event)).status, 201, 'no key')
    expectProblem(
      t,
      await client.post('/events', { ...event, orgid: 'o' }, key('k')),
      conflict,
      'other content',
    )
    t.equal(await count(client), 3)
  })

  t.test('of a batch', async (t) => {
    const client = await service.client()
    const events = [event, event, { ...event, payload: {} }]
    const first = await client.post('/events/batch', { events }, key('k'))
    t.equal(first.status, 201)
    expectReplay(t, await client.post('/events/batch', { events }, key('k')), first, 'the same again')
    const [, second, third] = events
    const others = [
      events.slice(0, 2),
      [...events, event],
      events.toReversed(),
      [{ ...event, orgid: 'o' }],
      [second, third],
    ]
    for (const other of others)
      expectProblem(
        t,
        await client.post('/events/batch', { events: other }, key('k')),
        conflict,
        'another batch',
      )
    t.equal(await count(client), 3)
  })

  t.test('of a refused request is still free', async (t) => {
    const client = await service.client()
    for (const refused of [
      { ...event, type: 'user.x' },
      { ...event, payload: 1 },
    ])
      t.not((await client.post('/events', refused, key('k'))).status, 201)
    await expectEmptyLog(t, client, 'the refused requests')
    t.equal((await client.post('/events', event, key('k'))).status, 201)
  })

  t.test('beside an externalId: either finds the event', async (t) => {
    const client = await service.client()
    const named = { ...event, externalId: 'A-1' }
    const first = await client.post('/events', named, key('k'))
    expectReplay(t, await client.post('/events', named, key('k')), first, 'both')
    expectReplay(t, await client.post('/events', named), first, 'the externalId')
    expectReplay(t, await client.post('/events', named, key('other')), first, 'with another key')
    expectProblem(t, await client.post('/events', event, key('k')), conflict, 'the key with another body')
    t.equal(await count(client), 1)
  })
})

t.test('a batch with repeated externalIds', async (t) => {
  const service = await startService(t, { worker: false })
  const named = (name: string, payload: object = {}) => ({ type: 'item.seen', externalId: name, payload })

  t.test('stores what is new and gives the rest as it is', async (t) => {
    const client = await service.client()
    const { body: b } = await client.post('/events', named('b'))
    const { body: d } = await client.post('/events', named('d'))
    const events = ['a', 'b', 'c', 'd', 'e'].map((name) => named(name))
    const answer = await client.post('/events/batch', { events })
    t.equal(answer.status, 201)
    t.notOk('idempotency-replayed' in answer.headers, 'not all of it is a repeat')
    t.strictSame(
      answer.body.data.map((one: Record<string, unknown>) => [one['externalId'], one['position']]),
      [
        ['a', 3],
        ['b', 1],
        ['c', 4],
        ['d', 2],
        ['e', 5],
      ],
    )
    t.strictSame([answer.body.data[1], answer.body.data[3]], [b, d])
    t.equal(await count(client), 5)

    const again = await client.post('/events/batch', { events })
    expectReplay(t, again, answer, 'all of it again')
    const backwards = await client.post('/events/batch', { events: events.toReversed() })
    t.equal(backwards.status, 200)
    t.strictSame(backwards.body.data, answer.body.data.toReversed(), 'in the order of the request')
  })

  t.test('with a key of its own it is repeated as a whole', async (t) => {
    const client = await service.client()
    await client.post('/events', named('b'))
    const headers = { 'idempotency-key': 'k' }
    const batch = { events: [named('b'), { type: 'item.seen', payload: {} }] }
    const first = await client.post('/events/batch', batch, headers)
    t.equal(first.status, 201)
    expectReplay(t, await client.post('/events/batch', batch, headers), first, 'again')
    t.equal(await count(client), 2)
  })

  t.test('one conflict, and nothing is stored', async (t) => {
    const client = await service.client()
    await client.post('/events', named('b', { first: true }))
    const events = [named('a'), named('b', { first: false }), named('c')]
    expectProblem(t, await client.post('/events/batch', { events }), conflict, 'a batch')
    t.equal(await count(client), 1)
    t.equal((await client.post('/events', named('c'))).body.position, 2, 'no position was used up')
  })

  t.test('the same twice in one batch is refused', async (t) => {
    const client = await service.client()
    const events = [named('a'), named('b'), named('a')]
    const expected = { status: 400, type: 'validation-failed', pointers: ['/events/2/externalId'] }
    expectProblem(t, await client.post('/events/batch', { events }), expected, 'a batch')
    await expectEmptyLog(t, client, 'a batch')
  })
})

t.test('100 requests at once with one key store one event and all answer it', async (t) => {
  const one = await startService(t, { worker: false })
  // A second service on the same database: two processes know nothing of what the other has under way.
  const other = await startService(t, { worker: false, databaseUrl: one.databaseUrl })
  const ways: Record<string, [object, Record<string, string>]> = {
    'an externalId': [{ ...event, externalId: 'A-1' }, {}],
    'an Idempotency-Key': [event, { 'idempotency-key': 'k' }],
  }
  for (const [what, [body, headers]] of Object.entries(ways)) {
    for (const path of ['/events', '/events/batch']) {
      const client = await one.client()
      const request = { key: client.key, body: path === '/events' ? body : { events: [body] }, headers }
      const send = (url: string) => call(url, 'POST', path, request)
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, index) => send(index % 2 === 0 ? one.url : other.url)),
      )
      const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
      t.strictSame(
        statuses,
        [...Array.from({ length: 99 }, () => 200), 201],
        `${what}, ${path}: one stored it`,
      )
      t.equal(new Set(answers.map(({ text }) => text)).size, 1, `${what}, ${path}: all answer the same`)
      t.equal(await count(client), 1, `${what}, ${path}: it is there once`)
    }
  }
})
