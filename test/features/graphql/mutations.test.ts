import t, { type Test } from 'tap'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'
import { ask, dataOf, expectGraphProblem } from './graph.ts'

const CONFLICT = { status: 409, type: 'idempotency-conflict' }

async function startShop(t: Test, worker = false) {
  const service = await startService(t, { worker })
  const client = await service.client()
  const messenger = await startHttpPlatform(t)
  return { client, messenger, connection: await connect(client, messenger) }
}

const CREATE = `mutation ($payload: JSON!, $key: String, $id: String, $edges: [EdgeInput!]) {
  createEvent(eventType: "order.made", payload: $payload, idempotencyKey: $key, externalId: $id, edges: $edges) {
    id position externalId payload
  }
}`

t.test('createEvent: a repeat with its key is the first event', async (t) => {
  const { client } = await startShop(t)
  const first = await dataOf(client, CREATE, { payload: { n: 1 }, key: 'k' })
  t.equal(first.createEvent.position, 1)
  const again = await Promise.all(
    Array.from({ length: 5 }, () => dataOf(client, CREATE, { payload: { n: 1 }, key: 'k' })),
  )
  for (const answer of again) t.strictSame(answer, first)
  const rest = await client.post('/events', '{"payload": {"n": 1}, "type": "order.made"}', {
    'idempotency-key': 'k',
  })
  t.strictSame([rest.status, rest.body.id], [200, first.createEvent.id], 'the key is that of REST')
  for (const variables of [
    { payload: { n: 2 }, key: 'k' },
    { payload: { n: 1 }, key: 'k', id: 'x' },
    { payload: { n: 1 }, key: 'k', edges: [{ edgeType: 'a', targetNodeType: 'USER', targetNodeId: 'b' }] },
  ])
    expectGraphProblem(t, await ask(client, CREATE, variables), CONFLICT, JSON.stringify(variables))
  const other = await dataOf(client, CREATE, { payload: { n: 1 }, key: 'another' })
  t.equal(other.createEvent.position, 2)
  const { body: log } = await client.get('/events')
  t.equal(log.data.length, 2)
})

t.test('createEvent: a key of REST is one of GraphQL', async (t) => {
  const { client } = await startShop(t)
  const body = {
    type: 'order.made',
    payload: { n: 1 },
    edges: [{ type: 'a', targetType: 'user', targetId: 'b' }],
  }
  const { body: event } = await client.post('/events', body, { 'idempotency-key': 'k' })
  const edges = [{ edgeType: 'a', targetNodeType: 'USER', targetNodeId: 'b' }]
  const { createEvent } = await dataOf(client, CREATE, { payload: { n: 1 }, key: 'k', edges })
  t.equal(createEvent.id, event.id)
})

t.test('createEvent: an externalId is stored once', async (t) => {
  const { client } = await startShop(t)
  const first = await dataOf(client, CREATE, { payload: { n: 1 }, id: 'A-1' })
  t.equal(first.createEvent.externalId, 'A-1')
  t.strictSame(await dataOf(client, CREATE, { payload: { n: 1 }, id: 'A-1' }), first)
  t.strictSame(await dataOf(client, CREATE, { payload: { n: 1 }, id: 'A-1', key: 'new' }), first)
  const rest = await client.post('/events', { type: 'order.made', payload: { n: 1 }, externalId: 'A-1' })
  t.strictSame([rest.status, rest.body.id], [200, first.createEvent.id])
  expectGraphProblem(
    t,
    await ask(client, CREATE, { payload: { n: 2 }, id: 'A-1' }),
    CONFLICT,
    'another payload',
  )
  const twice = await dataOf(
    client,
    `mutation { a: createEvent(eventType: "order.made", payload: {}, externalId: "A-2") { id }
                b: createEvent(eventType: "order.made", payload: {}, externalId: "A-2") { id } }`,
  )
  t.equal(twice.a.id, twice.b.id, 'in one request too')
})

t.test('a key takes 1 to 200 characters', async (t) => {
  const { client } = await startShop(t)
  for (const key of ['', 'x'.repeat(201), 'a\0b']) {
    const answer = await ask(client, CREATE, { payload: {}, key })
    expectGraphProblem(t, answer, { status: 400, type: 'validation-failed' }, JSON.stringify(key))
  }
  const longest = await dataOf(client, CREATE, { payload: {}, key: 'x'.repeat(200) })
  t.equal(longest.createEvent.position, 1)
})

t.test('a payload is stored as it is written', async (t) => {
  const { client } = await startShop(t)
  const cases: [string, object][] = [
    ['{}', {}],
    [
      '{ a: null, b: [], c: {}, d: true, e: "ü\\u0041\\n", f: -1.5e3 }',
      { a: null, b: [], c: {}, d: true, e: 'üA\n', f: -1500 },
    ],
    ['{ __typename: "x", constructor: 1, toString: 2 }', { __typename: 'x', constructor: 1, toString: 2 }],
    ['{ a: CONSTANT, b: """block""" }', { a: 'CONSTANT', b: 'block' }],
  ]
  for (const [literal, wanted] of cases) {
    const { createEvent } = await dataOf(
      client,
      `mutation { createEvent(eventType: "a.b", payload: ${literal}) { id payload } }`,
    )
    t.strictSame(createEvent.payload, wanted, literal)
    t.strictSame((await client.get(`/events/${createEvent.id}`)).body.payload, wanted, literal)
  }
  const inside =
    'mutation ($a: JSON, $b: Int) { createEvent(eventType: "a.b", payload: { a: $a, b: [$b], c: $b }) { payload } }'
  const { createEvent } = await dataOf(client, inside, { a: { deep: [1] }, b: 2 })
  t.strictSame(createEvent.payload, { a: { deep: [1] }, b: [2], c: 2 }, 'variables within a literal')
})

t.test('a payload may be nested a hundred deep, however it is given', async (t) => {
  const { client } = await startShop(t)
  const list = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  const query = 'mutation ($payload: JSON!) { createEvent(eventType: "a.b", payload: $payload) { id } }'
  for (const depth of [99, 100, 1_500, 20_000, 100_000]) {
    const body = `{"query":${JSON.stringify(query)},"variables":{"payload":{"a":${list(depth)}}}}`
    const answer = await client.post('/graphql', body)
    if (depth === 99) t.ok(answer.body.data.createEvent.id, answer.text)
    else {
      const expected = { status: 400, type: 'validation-failed' }
      const found = { data: answer.body.data, errors: answer.body.errors, answer }
      expectGraphProblem(t, found, expected, `variable, ${depth} deep`)
      t.equal(found.errors[0].extensions.status, 400, `variable, ${depth} deep`)
    }
  }
  const filter = `query ($f: JSON) { events(filters: { payload: { contains: $f } }) { totalCount } }`
  const deep = `{"query":${JSON.stringify(filter)},"variables":{"f":{"a":${list(100_000)}}}}`
  const { body } = await client.post('/graphql', deep)
  t.not(body.errors?.[0].extensions.status, 500, 'nor does a filter fail')
})

t.test('sendMessage: a text or an object, once for a key', async (t) => {
  const { client, messenger, connection } = await startShop(t, true)
  const send = (message: string, key = '') =>
    `mutation { sendMessage(platformConnectionId: "${connection.id}", toExternalId: "ada", message: ${message}
      ${key && `idempotencyKey: "${key}"`}) { id event { id eventType payload } } }`
  for (const [message, text, role] of [
    ['"hi"', 'hi', 'assistant'],
    ['{ text: "hello" }', 'hello', 'assistant'],
    ['{ text: "hello", role: "agent" }', 'hello', 'agent'],
  ] as const) {
    const { sendMessage } = await dataOf(client, send(message))
    t.equal(sendMessage.event.id, sendMessage.id)
    t.equal(sendMessage.event.eventType, 'message.outbound')
    t.strictSame(sendMessage.event.payload.message, { text, role })
  }
  const first = await dataOf(client, send('"once"', 'k'))
  const again = await Promise.all(Array.from({ length: 5 }, () => dataOf(client, send('"once"', 'k'))))
  for (const { sendMessage } of again) t.equal(sendMessage.id, first.sendMessage.id)
  expectGraphProblem(t, await ask(client, send('"twice"', 'k')), CONFLICT, 'another message')
  const body = { platformConnectionId: connection.id, toExternalId: 'ada', message: 'once' }
  const rest = await client.post('/messages', body, { 'idempotency-key': 'k' })
  t.strictSame([rest.status, rest.body.id], [200, first.sendMessage.id], 'the key is that of REST')
  await until(() => messenger.taken.length >= 4, 'all were sent')
  await until(async () => {
    const { body: log } = await client.get('/events?type=message.outbound')
    return log.data.every(({ status }: { status: string }) => status === 'completed')
  }, 'all are done')
  t.strictSame(messenger.taken.map(({ text }) => text).toSorted(), ['hello', 'hello', 'hi', 'once'])
  for (const bad of ['""', '{}', '{ text: "" }', '7', '["hi"]', 'null', '{ text: "a", more: 1 }']) {
    const { errors } = await ask(client, send(bad))
    t.equal(errors[0]?.extensions.type, 'urn:heliograph:problem:validation-failed', bad)
  }
})

t.test('activateLinkCode: two users become one', async (t) => {
  const { client, connection } = await startShop(t)
  const known = (externalId: string) => ({
    platformConnectionId: connection.id,
    externalId,
    name: externalId,
  })
  // One after the other: they are listed in the order in which they were made.
  const { body: ada } = await client.post('/platform-users', known('ada'))
  const { body: eve } = await client.post('/platform-users', known('eve'))
  const made = await dataOf(
    client,
    `mutation { generateLinkCode(platformUserId: "${ada.id}", maxUses: 2) { id code uses } }`,
  )
  const { code } = made.generateLinkCode
  const activate = (
    platformUserId: string,
  ) => `mutation { activateLinkCode(code: "${code}", platformUserId: "${platformUserId}") {
    user { id name platformUsers { externalId } } mergedUserId linkCode { code uses } event { eventType originEventId childEvents { eventType } } } }`
  const { activateLinkCode } = await dataOf(client, activate(eve.id))
  const { body: codes } = await client.get('/link-codes')
  t.strictSame(activateLinkCode, {
    user: { id: ada.userId, name: 'ada', platformUsers: [{ externalId: 'ada' }, { externalId: 'eve' }] },
    mergedUserId: eve.userId,
    linkCode: { code, uses: 1 },
    event: {
      eventType: 'link_code.activation',
      originEventId: codes.data[0].eventId,
      childEvents: [{ eventType: 'user.merged' }],
    },
  })
  const merged = await dataOf(client, `{ user(id: "${eve.userId}") { mergedInto platformUsers { id } } }`)
  t.strictSame(merged.user, { mergedInto: ada.userId, platformUsers: [] })
  expectGraphProblem(
    t,
    await ask(client, activate(ada.id)),
    { status: 422, type: 'link-code-refused' },
    'one’s own',
  )
})
