import t from 'tap'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { startService } from '../../helpers/service.ts'
import { ask, dataOf } from './graph.ts'

t.test('null for whatever is optional is the same as leaving it out', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, await startHttpPlatform(t))
  const known = { platformConnectionId: connection.id, externalId: 'ada' }
  const { body: person } = await client.post('/platform-users', known)
  const { body: event } = await client.post('/events', { type: 'a.b', payload: { n: 1 } })
  await client.post('/events', { type: 'a.c', payload: { n: 2 }, originEventId: event.id })

  const lists: Record<string, string[]> = {
    events: ['filters', 'first', 'after', 'orderBy'],
    users: ['first', 'after', 'filters'],
    platformUsers: ['platformConnectionId', 'first', 'after'],
    platformConnections: ['first', 'after'],
  }
  for (const [list, names] of Object.entries(lists)) {
    const inner =
      '{ edges { node { id } cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }'
    const wanted = await dataOf(client, `{ ${list} ${inner} }`)
    for (const given of [
      ...names.map((name) => `${name}: null`),
      names.map((name) => `${name}: null`).join(' '),
    ]) {
      const { data, errors } = await ask(client, `{ ${list}(${given}) ${inner} }`)
      t.strictSame(errors, [], `${list}(${given})`)
      t.strictSame(data, wanted, `${list}(${given})`)
    }
  }

  const schemas = await dataOf(client, '{ eventSchemas { name } }')
  t.strictSame(await dataOf(client, '{ eventSchemas(first: null, after: null) { name } }'), schemas)

  const filters: object[] = [
    {},
    { eventType: null, status: null, createdAt: null, edge: null, originEventId: null, payload: null },
    { eventType: {}, status: {}, createdAt: {}, originEventId: {}, payload: {} },
    { eventType: { equals: null, contains: null, prefix: null, in: null } },
    { status: { equals: null } },
    { createdAt: { gte: null, lte: null } },
    { originEventId: { equals: null } },
    { payload: { contains: null } },
  ]
  for (const filter of filters) {
    const query = 'query ($f: EventFilters) { events(filters: $f) { totalCount edges { node { id } } } }'
    const { data, errors } = await ask(client, query, { f: filter })
    t.strictSame(errors, [], JSON.stringify(filter))
    t.equal(data?.events.edges.length, 2, JSON.stringify(filter))
    t.equal(data?.events.totalCount, 2, JSON.stringify(filter))
  }
  const users = await dataOf(
    client,
    '{ a: users(filters: { id: null }) { edges { node { id } } } b: users { edges { node { id } } } }',
  )
  t.strictSame(users.a, users.b)

  const children = await ask(
    client,
    `{ event(id: "${event.id}") { childEvents(first: null) { eventType } } }`,
  )
  t.strictSame(children.answer.body, { data: { event: { childEvents: [{ eventType: 'a.c' }] } } })

  const mutations = [
    'createEvent(eventType: "a.b", payload: {}, edges: null, originEventId: null, externalId: null, orgid: null, idempotencyKey: null) { externalId orgid originEventId edges { id } }',
    `sendMessage(platformConnectionId: "${connection.id}", toExternalId: "b", message: "c", originEventId: null, idempotencyKey: null) { status { success } }`,
    'createEventSchema(name: "a.d", description: null, jsonSchema: null, enforceValidation: null, domain: null) { description jsonSchema enforceValidation domain }',
    'createWebhookSubscription(name: "a", targetUrl: "https://example.com", eventPatterns: ["*"], secret: null) { status }',
    `generateLinkCode(platformUserId: "${person.id}", expiryMinutes: null, maxUses: null) { expiryMinutes maxUses }`,
  ]
  const made = []
  for (const mutation of mutations) {
    const { data, errors } = await ask(client, `mutation { done: ${mutation} }`)
    t.strictSame(errors, [], mutation)
    made.push(data?.done)
  }
  t.strictSame(made, [
    { externalId: null, orgid: null, originEventId: null, edges: [] },
    { status: { success: true } },
    { description: null, jsonSchema: null, enforceValidation: false, domain: null },
    { status: 'active' },
    { expiryMinutes: 15, maxUses: 1 },
  ])
})

t.test('a variable that is not given is left out', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const query = `mutation ($edges: [EdgeInput!], $id: String, $first: Int) {
    createEvent(eventType: "a.b", payload: {}, edges: $edges, externalId: $id) {
      externalId childEvents(first: $first) { id }
    }
  }`
  const wanted = { createEvent: { externalId: null, childEvents: [] } }
  t.strictSame(await dataOf(client, query), wanted)
  t.strictSame(await dataOf(client, query, { edges: [] }), wanted)
})
