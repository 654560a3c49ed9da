import t, { type Test } from 'tap'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { ask, dataOf, expectGraphProblem } from './graph.ts'

/** Two apps, one with something of everything, the other with nothing. */
async function startApps(t: Test) {
  const service = await startService(t, { worker: false })
  const [owner, stranger] = await Promise.all([service.client(), service.client()])
  const connection = await connect(owner, await startHttpPlatform(t))
  const { body: person } = await owner.post('/platform-users', {
    platformConnectionId: connection.id,
    externalId: 'ada',
    name: 'Ada',
  })
  const { body: file } = await owner.post('/files', { filename: 'a.pdf' })
  const { body: type } = await owner.post('/event-types', { name: 'parcel.packed' })
  const edges = [
    { type: 'by', targetType: 'user', targetId: person.userId },
    { type: 'as', targetType: 'platform_user', targetId: person.id },
    { type: 'with', targetType: 'file', targetId: file.id },
  ]
  const { body: event } = await owner.post('/events', { type: 'order.placed', payload: { n: 1 }, edges })
  await owner.post('/events', { type: 'order.placed', payload: {}, originEventId: event.id })
  const { body: code } = await owner.post('/link-codes', { platformUserId: person.id })
  return { owner, stranger, connection, person, file, type, event, edges, code }
}

const LISTS = [
  '/events',
  '/event-types',
  '/subscriptions',
  '/deliveries',
  '/users',
  '/platform-users',
  '/files',
  '/platform-connections',
  '/link-codes',
]

/** Everything that an app has. */
const everythingOf = async (client: Client): Promise<string[]> =>
  Promise.all(LISTS.map(async (path) => (await client.get(`${path}?limit=100`)).text))

t.test('what is another app’s is not there', async (t) => {
  const { owner, stranger, connection, person, type, event } = await startApps(t)
  const fields = {
    event: event.id,
    eventSchema: type.id,
    user: person.userId,
    platformUser: person.id,
    platformConnection: connection.id,
  }
  for (const [field, id] of Object.entries(fields)) {
    const query = `{ ${field}(id: "${id}") { id } }`
    t.strictSame(await dataOf(owner, query), { [field]: { id } }, `${field} is its owner’s`)
    t.strictSame(await dataOf(stranger, query), { [field]: null }, `${field} is nobody else’s`)
    t.strictSame(await dataOf(stranger, query.replace(id, crypto.randomUUID())), { [field]: null })
  }
  const ofNobody = { edges: [] }
  const lists = `{
    users { edges { node { id } } }
    one: users(filters: { id: { equals: "${person.userId}" } }) { edges { node { id } } }
    platformUsers { edges { node { id } } }
    ofConnection: platformUsers(platformConnectionId: "${connection.id}") { edges { node { id } } }
    platformConnections { edges { node { id } } }
    application { id platformConnections { id } }
    events { edges { node { id } } totalCount }
    byOrigin: events(filters: { originEventId: { equals: "${event.id}" } }) { edges { node { id } } }
    byEdge: events(filters: { edge: { targetNodeType: USER, targetNodeId: "${person.userId}" } }) {
      edges { node { id } }
    }
  }`
  t.strictSame(await dataOf(stranger, lists), {
    users: ofNobody,
    one: ofNobody,
    platformUsers: ofNobody,
    ofConnection: ofNobody,
    platformConnections: ofNobody,
    application: { id: stranger.appId, platformConnections: [] },
    events: { ...ofNobody, totalCount: 0 },
    byOrigin: ofNobody,
    byEdge: ofNobody,
  })
  const owned = await dataOf(owner, lists)
  for (const [name, list] of Object.entries(owned)) {
    if (name !== 'application') t.not((list as typeof ofNobody).edges.length, 0, `its owner has ${name}`)
  }
  const { eventSchemas } = await dataOf(stranger, '{ eventSchemas { name isGlobal } }')
  t.ok(eventSchemas.every(({ isGlobal }: { isGlobal: boolean }) => isGlobal))
})

t.test('an edge to what is another app’s points to nothing', async (t) => {
  const { stranger, edges } = await startApps(t)
  const { body: event } = await stranger.post('/events', { type: 'order.placed', payload: {}, edges })
  const query = `{ event(id: "${event.id}") { edges {
    targetNodeId targetUser { id } targetPlatformUser { id } targetFile { id } } } }`
  const wanted = edges.map(({ targetId }) => ({
    targetNodeId: targetId,
    targetUser: null,
    targetPlatformUser: null,
    targetFile: null,
  }))
  t.strictSame((await dataOf(stranger, query)).event.edges, wanted)
})

t.test('nothing of another app can be changed or used', async (t) => {
  const { owner, stranger, connection, person, event, code } = await startApps(t)
  const own = await connect(stranger, await startHttpPlatform(t))
  const { body: somebody } = await stranger.post('/platform-users', {
    platformConnectionId: own.id,
    externalId: 'eve',
  })
  const before = await everythingOf(owner)
  const ownBefore = await everythingOf(stranger)
  const message = `toExternalId: "ada", message: "hi"`
  const cases: [string, number, string][] = [
    [
      `createEvent(eventType: "a.b", payload: {}, originEventId: "${event.id}") { id }`,
      422,
      'unknown-origin',
    ],
    [`sendMessage(platformConnectionId: "${connection.id}", ${message}) { id }`, 404, 'not-found'],
    [
      `sendMessage(platformConnectionId: "${own.id}", ${message}, originEventId: "${event.id}") { id }`,
      422,
      'unknown-origin',
    ],
    [`generateLinkCode(platformUserId: "${person.id}") { code }`, 422, 'unknown-reference'],
    [
      `activateLinkCode(code: "${code.code}", platformUserId: "${somebody.id}") { mergedUserId }`,
      422,
      'link-code-refused',
    ],
    [
      `activateLinkCode(code: "${code.code}", platformUserId: "${person.id}") { mergedUserId }`,
      422,
      'link-code-refused',
    ],
  ]
  for (const [field, status, type] of cases) {
    const answer = await ask(stranger, `mutation { done: ${field} }`)
    expectGraphProblem(t, answer, { status, type, path: ['done'] }, field)
    t.equal(answer.data?.done ?? null, null, field)
  }
  t.strictSame(await everythingOf(owner), before)
  const ada = await stranger.get('/platform-users?externalId=ada')
  t.equal(ada.body.data.length, 1, 'the recipient of the message whose origin was wrong, as in REST')
  const events = LISTS.indexOf('/events')
  t.equal((await everythingOf(stranger))[events], ownBefore[events])
})
