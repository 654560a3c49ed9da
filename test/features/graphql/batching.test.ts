import type { EventEmitter } from 'node:events'
import t, { type Test } from 'tap'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { startService, type Client, type Service } from '../../helpers/service.ts'
import { dataOf, nodesOf } from './graph.ts'

const EVENTS = 100
const PEOPLE = 50
const numbers = Array.from({ length: EVENTS }, (_, number) => number)

/** Counts the statements that read, on any connection of the service: the lease of the process is renewed by others. */
function countStatements({ platform }: Service): () => number {
  const watched = new WeakSet<object>()
  let count = 0
  platform.pool.on('acquire', (client) => {
    if (watched.has(client)) return
    watched.add(client)
    const connection = Reflect.get(client, 'connection') as EventEmitter
    connection.on(
      'commandComplete',
      ({ text }: { text: string }) => (count += text.startsWith('SELECT') ? 1 : 0),
    )
  })
  return () => count
}

async function appendAll(client: Client, events: object[]): Promise<string[]> {
  const { status, body, text } = await client.post('/events/batch', { events })
  if (status !== 201) throw new Error(text)
  return body.data.map(({ id }: { id: string }) => id)
}

const createAll = (
  client: Client,
  path: string,
  bodies: object[],
): Promise<{ id: string; userId: string }[]> =>
  Promise.all(bodies.map(async (body) => (await client.post(path, body)).body))

/** A hundred events, each with an origin, two children, a user, a platform user and a file of its own. */
async function startFull(t: Test) {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const messenger = await startHttpPlatform(t)
  const connections = [await connect(client, messenger), await connect(client, messenger)]
  const people = await createAll(
    client,
    '/platform-users',
    numbers.map((n) => ({
      platformConnectionId: connections[n % 2]?.id,
      externalId: `person ${n}`,
      name: `Person ${n}`,
    })),
  )
  const files = await createAll(
    client,
    '/files',
    numbers.map((n) => ({ filename: `${n}.pdf` })),
  )
  const origins = await appendAll(
    client,
    numbers.map((n) => ({ type: 'order.began', payload: { n } })),
  )
  const middles = await appendAll(
    client,
    numbers.map((n) => ({
      type: 'order.placed',
      payload: { n },
      originEventId: origins[n],
      edges: [
        { type: 'by', targetType: 'user', targetId: people[n]?.userId },
        { type: 'as', targetType: 'platform_user', targetId: people[n]?.id },
        { type: 'with', targetType: 'file', targetId: files[n]?.id },
      ],
    })),
  )
  const child = (state: string) => (originEventId: string, n: number) => ({
    type: `order.${state}`,
    payload: { n },
    originEventId,
  })
  await appendAll(client, [...middles.map(child('packed')), ...middles.map(child('shipped'))])
  return { client, connections, statements: countStatements(service) }
}

const EVENT_QUERY = `query ($first: Int) {
  events(first: $first, filters: { eventType: { equals: "order.placed" } }, orderBy: { direction: ASC }) {
    edges {
      node {
        payload status processedAt
        originEvent { payload status }
        childEvents(first: 2) { eventType payload status originEvent { payload } }
        edges {
          edgeType
          targetUser { name }
          targetPlatformUser { externalId user { name } platformConnection { id } }
          targetFile { filename }
        }
      }
    }
  }
}`

const PEOPLE_QUERY = `query ($first: Int) {
  platformUsers(first: $first) { edges { node { externalId user { name } platformConnection { id } } } }
}`

const USER_QUERY = `query ($first: Int) {
  users(first: $first) { edges { node { name platformUsers { name platformConnection { id } } } } }
}`

t.test('the number of statements does not depend on the number of objects', async (t) => {
  const { client, statements, connections } = await startFull(t)
  const connectionOf = (n: number) => ({ id: connections[n % 2]?.id })

  async function measured(query: string, first: number) {
    let count = Infinity
    let data
    // What is cached may have to be read again, but not each time.
    for (let round = 0; round < 3; round++) {
      const before = statements()
      data = await dataOf(client, query, { first })
      count = Math.min(count, statements() - before)
    }
    return { data, count }
  }

  t.test('events', async (t) => {
    const one = await measured(EVENT_QUERY, 1)
    const all = await measured(EVENT_QUERY, EVENTS)
    t.equal(all.count, one.count)
    t.ok(one.count > 0 && one.count <= 20, `${one.count} statements`)
    t.strictSame(
      nodesOf(all.data.events).map((node) => Object.assign(node, { processedAt: typeof node.processedAt })),
      numbers.map((n) => ({
        payload: { n },
        status: 'completed',
        processedAt: 'string',
        originEvent: { payload: { n }, status: 'completed' },
        childEvents: ['order.packed', 'order.shipped'].map((eventType) => ({
          eventType,
          payload: { n },
          status: 'completed',
          originEvent: { payload: { n } },
        })),
        edges: [
          { edgeType: 'by', targetUser: { name: `Person ${n}` }, targetPlatformUser: null, targetFile: null },
          {
            edgeType: 'as',
            targetUser: null,
            targetPlatformUser: {
              externalId: `person ${n}`,
              user: { name: `Person ${n}` },
              platformConnection: connectionOf(n),
            },
            targetFile: null,
          },
          {
            edgeType: 'with',
            targetUser: null,
            targetPlatformUser: null,
            targetFile: { filename: `${n}.pdf` },
          },
        ],
      })),
      'and each has what is its own',
    )
  })

  t.test('platform users', async (t) => {
    const one = await measured(PEOPLE_QUERY, 1)
    const all = await measured(PEOPLE_QUERY, EVENTS)
    t.equal(all.count, one.count)
    const people = nodesOf(all.data.platformUsers)
    t.equal(people.length, EVENTS)
    for (const { externalId, user, platformConnection } of people) {
      const n = Number(externalId.replace('person ', ''))
      if (Number.isNaN(n)) continue // our own side of a connection
      t.strictSame(
        { user, platformConnection },
        { user: { name: `Person ${n}` }, platformConnection: connectionOf(n) },
      )
    }
  })

  t.test('users', async (t) => {
    const one = await measured(USER_QUERY, 1)
    const all = await measured(USER_QUERY, PEOPLE)
    t.equal(all.count, one.count)
    const users = nodesOf(all.data.users)
    t.equal(users.length, PEOPLE)
    for (const { name, platformUsers } of users) {
      const n = Number(name.replace('Person ', ''))
      if (Number.isNaN(n)) continue
      t.strictSame(platformUsers, [{ name, platformConnection: connectionOf(n) }])
    }
  })

  t.test('the same twice under other names', async (t) => {
    const aliases = (count: number): string => {
      const fields = Array.from(
        { length: count },
        (_, n) => `c${n}: childEvents(first: 2) { id } s${n}: status`,
      )
      return `query ($first: Int) { events(first: $first) { edges { node { ${fields.join(' ')} } } } }`
    }
    const once = await measured(aliases(1), 5)
    const often = await measured(aliases(20), 5)
    t.equal(often.count, once.count)
  })
})
