import t from 'tap'
import {
  activate,
  idleConnection,
  makeCode,
  makePeople,
  mergedInto,
  userOf,
  type PlatformUser,
} from '../../helpers/platforms/people.ts'
import { startService, type Answer, type Client } from '../../helpers/service.ts'

const statusesOf = (answers: Answer[]): Record<number, number> => {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** Every event of the app, oldest first; positions must be dense. */
async function logOf(t: Tap, client: Client): Promise<Answer['body'][]> {
  const events: Answer['body'][] = []
  let after = ''
  for (;;) {
    const { body } = await client.get(`/events?order=asc&limit=100${after}`)
    events.push(...body.data)
    if (!body.pageInfo.hasNextPage) break
    after = `&after=${body.pageInfo.endCursor}`
  }
  t.strictSame(
    events.map(({ position }) => position),
    events.map((_, index) => index + 1),
    'positions have no gap',
  )
  return events
}

type Tap = Pick<typeof t, 'strictSame' | 'equal' | 'ok'>

/** What the log tells must be what the tables say. */
async function expectConsistent(
  t: Tap,
  client: Client,
  code: { id: string; eventId: string },
  people: readonly PlatformUser[],
): Promise<void> {
  const events = await logOf(t, client)
  const { body } = await client.get(`/link-codes/${code.id}`)
  const activations = events.filter(({ originEventId }) => originEventId === code.eventId)
  t.equal(activations.length, body.uses, 'each use has its event')
  t.strictSame(
    activations.map(({ payload }) => payload.uses),
    activations.map((_, index) => index + 1),
    'uses are counted in the order of the log',
  )
  const merges = events.filter(({ type }) => type === 'user.merged')
  const target = people[0]?.userId
  const sources = new Set(merges.map(({ payload }) => payload.source_user_id))
  t.equal(sources.size, merges.length, 'nobody was merged twice')
  for (const person of people.slice(1)) {
    const isMerged = sources.has(person.userId)
    t.equal(await mergedInto(client, person.userId), isMerged ? target : null)
    t.equal(await userOf(client, person), isMerged ? target : person.userId)
  }
}

t.test('of fifty who use a code for three at once, three do', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const people = await makePeople(client, await idleConnection(client), 51)
  const [owner, ...others] = people as [PlatformUser, ...PlatformUser[]]
  const code = await makeCode(client, owner, { maxUses: 3 })
  const answers = await Promise.all(others.map((person) => activate(client, code, person)))
  t.strictSame(statusesOf(answers), { 200: 3, 422: 47 })
  t.equal((await client.get(`/link-codes/${code.id}`)).body.uses, 3)
  await expectConsistent(t, client, code, people)
})

t.test('two who use each other’s codes at once end as one user', async (t) => {
  // Two processes, since one might put them in order by itself.
  const first = await startService(t, { worker: false })
  const second = await startService(t, { worker: false, databaseUrl: first.databaseUrl })
  const client = await first.client()
  const connection = await idleConnection(client)
  const elsewhere = (path: string, body: unknown) =>
    fetch(second.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${client.key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  for (let round = 0; round < 20; round++) {
    const [ada, bob] = (await makePeople(client, connection, 2)) as [PlatformUser, PlatformUser]
    const [hers, his] = [await makeCode(client, ada), await makeCode(client, bob)]
    const answers = await Promise.all([
      activate(client, hers, bob),
      elsewhere('/link-codes/activate', { code: his.code, platformUserId: ada.id }),
    ])
    t.strictSame(
      answers.map(({ status }) => status),
      [200, 200],
    )
    const [survivor, same] = [await userOf(client, ada), await userOf(client, bob)]
    t.equal(survivor, same, 'one user')
    t.equal(await mergedInto(client, survivor), null)
    const merged = survivor === ada.userId ? bob : ada
    t.equal(await mergedInto(client, merged.userId), survivor, 'no circle')
  }
  const events = await logOf(t, client)
  t.equal(events.filter(({ type }) => type === 'user.merged').length, 20)
})

t.test('a ring of people who use each other’s codes at once ends as one user', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const people = await makePeople(client, await idleConnection(client), 12)
  const codes: Answer['body'][] = []
  for (const person of people) codes.push(await makeCode(client, person))
  const answers = await Promise.all(
    people.map((person, index) => activate(client, codes[(index + 1) % codes.length], person)),
  )
  t.strictSame(statusesOf(answers), { 200: 12 })
  const survivors = new Set<string>()
  for (const person of people) survivors.add(await userOf(client, person))
  t.equal(survivors.size, 1)
  const [survivor = ''] = survivors
  for (const { userId } of people)
    t.equal(await mergedInto(client, userId), userId === survivor ? null : survivor)
})

t.test('activations and changes of types and subscriptions at once leave nothing half done', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await idleConnection(client)
  const people = await makePeople(client, connection, 25)
  const [owner, ...others] = people as [PlatformUser, ...PlatformUser[]]
  const code = await makeCode(client, owner, { maxUses: 1000 })
  const destination = { type: 'webhook', url: 'http://127.0.0.1:9/' }
  const changes = Array.from({ length: 24 }, (_, number) => [
    client.post('/event-types', { name: `made.while.activating.${number}` }),
    client.post('/subscriptions', { name: 's', eventPatterns: ['user.merged'], destination }),
    client.post('/events', { type: `appended.while.activating.${number}`, payload: {} }),
  ]).flat()
  const [answers, changed] = await Promise.all([
    Promise.all(others.map((person) => activate(client, code, person))),
    Promise.all(changes),
  ])
  const { 201: made = 0, 503: later = 0 } = statusesOf(changed)
  t.equal(made + later, changes.length, JSON.stringify(statusesOf(changed)))
  const { 200: done = 0, 503: putOff = 0 } = statusesOf(answers)
  t.equal(done + putOff, others.length, JSON.stringify(statusesOf(answers)))
  t.ok(done > 0)
  t.equal((await client.get(`/link-codes/${code.id}`)).body.uses, done)
  await expectConsistent(t, client, code, people)

  // Whatever was put off can be done now.
  for (const person of others) t.equal((await activate(client, code, person)).status, 200)
  for (const person of others) t.equal(await userOf(client, person), owner.userId)
})
