import t, { type Test } from 'tap'
import { declared } from '../../helpers/declared.ts'
import type { Scope } from '../../../src/platform/http/auth.ts'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, call, startService } from '../../helpers/service.ts'
import { ask, expectGraphProblem, withScopes } from './graph.ts'

/** An app with one of everything. */
async function startFull(t: Test) {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const messenger = await startHttpPlatform(t)
  const connection = await connect(client, messenger)
  const known = { platformConnectionId: connection.id, externalId: 'the-external-id', name: 'the-name' }
  const { body: person } = await client.post('/platform-users', known)
  const { body: other } = await client.post('/platform-users', { ...known, externalId: 'other' })
  const { body: type } = await client.post('/event-types', { name: 'parcel.packed' })
  const { body: origin } = await client.post('/events', {
    type: 'order.placed',
    payload: { in: 'the-payload' },
    edges: [
      { type: 'by', targetType: 'user', targetId: person.userId },
      { type: 'as', targetType: 'platform_user', targetId: person.id },
    ],
  })
  const { body: code } = await client.post('/link-codes', { platformUserId: person.id, maxUses: 100 })
  return { service, client, messenger, connection, person, other, type, origin, code }
}

t.test('without a valid key there is no GraphQL', async (t) => {
  const { service, client } = await startFull(t)
  const body = { query: '{ application { id } }' }
  const keys = { none: undefined, wrong: 'hg_x', another: `${client.key}x`, admin: ADMIN_KEY }
  for (const [what, key] of Object.entries(keys)) {
    for (const content of [body, { query: '{' }, []]) {
      const answer = await call(service.url, 'POST', '/graphql', { body: content, ...(key && { key }) })
      expectProblem(t, answer, { status: 401, type: 'unauthorized' }, what)
      t.equal(answer.status, 401)
    }
  }
})

t.test('each field needs the scope of its route', async (t) => {
  const { service, client, connection, person, other, type, origin, code } = await startFull(t)
  const fields: Record<string, Scope | undefined> = {
    '{ application { id name config createdAt } }': undefined,
    '{ __schema { queryType { name } } }': undefined,
    '{ events { totalCount edges { node { id payload status } } } }': 'events:read',
    [`{ event(id: "${origin.id}") { id payload } }`]: 'events:read',
    '{ eventSchemas { id name } }': 'event-types:read',
    [`{ eventSchema(id: "${type.id}") { id name } }`]: 'event-types:read',
    '{ users { edges { node { id name } } } }': 'entities:read',
    [`{ users(filters: { id: { equals: "${person.userId}" } }) { edges { node { id } } } }`]: 'entities:read',
    [`{ user(id: "${person.userId}") { id name } }`]: 'entities:read',
    '{ platformUsers { edges { node { id externalId } } } }': 'entities:read',
    [`{ platformUser(id: "${person.id}") { id externalId } }`]: 'entities:read',
    '{ platformConnections { edges { node { id settings } } } }': 'platform-connections:read',
    [`{ platformConnection(id: "${connection.id}") { id settings } }`]: 'platform-connections:read',
    'mutation { createEvent(eventType: "order.placed", payload: {}) { id } }': 'events:write',
    [`mutation { sendMessage(platformConnectionId: "${connection.id}", toExternalId: "a", message: "x") { id } }`]:
      'messages:write',
    'mutation { createEventSchema(name: "parcel.sent") { id } }': 'event-types:write',
    'mutation { createWebhookSubscription(name: "s", targetUrl: "https://example.com", eventPatterns: ["*"]) { id secret } }':
      'subscriptions:write',
    'mutation { updateApplication(name: "shop") { id name } }': 'platform-connections:write',
    [`mutation { generateLinkCode(platformUserId: "${person.id}") { id code } }`]: 'link-codes:write',
    [`mutation { activateLinkCode(code: "${code.code}", platformUserId: "${other.id}") { user { id } } }`]:
      'link-codes:write',
  }
  const before = await client.get('/events?limit=100')
  for (const scope of declared.scopes) {
    const limited = await withScopes(service, client, [scope])
    const allowed: string[] = []
    for (const query of Object.keys(fields)) {
      const answer = await ask(limited, query)
      if (answer.errors.length === 0) allowed.push(query)
      else expectGraphProblem(t, answer, { status: 403, type: 'forbidden' }, `${scope}: ${query}`)
    }
    const wanted = Object.keys(fields).filter((query) => (fields[query] ?? scope) === scope)
    t.strictSame(allowed, wanted, scope)
  }
  const after = await client.get('/events?limit=100')
  t.equal(after.body.data.length - before.body.data.length, 5, 'one for each that was allowed, and a merge')
})

t.test('a field within a field needs the scope of its own route', async (t) => {
  const { service, client, messenger, connection, person, origin, code, other } = await startFull(t)
  const url = messenger.settings['url'] ?? ''
  const made = `mutation { createEvent(eventType: "order.placed", payload: {}, originEventId: "${origin.id}",
    edges: [{ edgeType: "by", targetNodeType: USER, targetNodeId: "${person.userId}" }])`
  const edgesOf = (target: string) => `{ event(id: "${origin.id}") { edges { ${target} } } }`

  // One scope, a query, what must not be in the answer.
  const refused: [string, string, string][] = [
    ['events:read', '{ application { platformConnections { name settings } } }', url],
    ['entities:read', '{ platformUsers { edges { node { platformConnection { settings } } } } }', url],
    ['events:read', edgesOf('targetPlatformUser { platformConnection { settings } }'), url],
    ['events:read', edgesOf('targetUser { platformUsers { externalId } }'), 'the-external-id'],
    ['events:read', edgesOf('targetPlatformUser { user { name } }'), 'the-name'],
    ['events:write', `${made} { originEvent { payload } } }`, 'the-payload'],
    ['events:write', `${made} { edges { targetUser { name } } } }`, 'the-name'],
    ['events:write', `${made} { originEvent { childEvents { id } } } }`, 'childEvents'],
    [
      'messages:write',
      `mutation { sendMessage(platformConnectionId: "${connection.id}", toExternalId: "a", message: "x",
        originEventId: "${origin.id}") { event { originEvent { payload } } } }`,
      'the-payload',
    ],
    [
      'link-codes:write',
      `mutation { activateLinkCode(code: "${code.code}", platformUserId: "${other.id}") {
        user { platformUsers { externalId } } } }`,
      'the-external-id',
    ],
  ]
  for (const [scope, query, secret] of refused) {
    const { errors, answer } = await ask(await withScopes(service, client, [scope]), query)
    const types = errors.map(({ extensions }) => extensions.type)
    t.ok(types.includes('urn:heliograph:problem:forbidden'), `${scope}: ${query.slice(0, 120)}`)
    const { data } = answer.body
    t.notOk(JSON.stringify(data).includes(secret), `${scope}: ${JSON.stringify(data).slice(0, 120)}`)
  }

  // What REST answers with one scope, GraphQL does too.
  const allowed: [string, string][] = [
    ['events:read', edgesOf('targetUser { id name } targetPlatformUser { id externalId name }')],
    ['events:read', `{ event(id: "${origin.id}") { originEvent { id } childEvents { id status } } }`],
    ['events:write', `${made} { id eventType payload status createdAt edges { edgeType targetNodeId } } }`],
    [
      'messages:write',
      `mutation { sendMessage(platformConnectionId: "${connection.id}", toExternalId: "a", message: "x") {
        id status { success externalMessageId } event { id payload } } }`,
    ],
    [
      'link-codes:write',
      `mutation { generateLinkCode(platformUserId: "${person.id}") { code event { id } } }`,
    ],
  ]
  for (const [scope, query] of allowed) {
    const { errors } = await ask(await withScopes(service, client, [scope]), query)
    t.strictSame(errors, [], `${scope}: ${query.slice(0, 120)}`)
  }
})

t.test('what is allowed is answered beside what is not', async (t) => {
  const { service, client, person, origin } = await startFull(t)
  const limited = await withScopes(service, client, ['events:read'])
  const query = `{ event(id: "${origin.id}") { id } user(id: "${person.userId}") { name } application { id } }`
  const answer = await ask(limited, query)
  expectGraphProblem(t, answer, { status: 403, type: 'forbidden', path: ['user'] }, 'user')
  t.strictSame(answer.data, { event: { id: origin.id }, user: null, application: { id: client.appId } })
})
