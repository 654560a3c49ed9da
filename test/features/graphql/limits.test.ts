import t, { type Test } from 'tap'
import { getIntrospectionQuery } from 'graphql'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'
import { ask, dataOf, expectGraphProblem, nodesOf } from './graph.ts'

const INVALID = { status: 400, type: 'validation-failed' }
const COSTLY = { status: 422, type: 'query-too-costly' }

async function startApp(t: Test, settings: Record<string, string> = {}) {
  const service = await startService(t, { worker: false, settings })
  const client = await service.client()
  const { body: event } = await client.post('/events', { type: 'a.b', payload: { n: 1 } })
  return { service, client, event }
}

const nested = (field: string, times: number, inner: string): string =>
  `${`${field} { `.repeat(times)}${inner}${' }'.repeat(times)}`

t.test('fifteen fields within fields', async (t) => {
  const { client, event } = await startApp(t)
  const deep = (times: number) => `{ event(id: "${event.id}") { ${nested('originEvent', times, 'id')} } }`
  t.strictSame(await dataOf(client, deep(13)), { event: { originEvent: null } })
  const fragments = (times: number): string =>
    `{ event(id: "${event.id}") { ...a } }
     fragment a on Event { originEvent { ${nested('originEvent', times, 'id')} } }`
  t.strictSame(await dataOf(client, fragments(12)), { event: { originEvent: null } })
  const inline = (times: number) => `{ event(id: "${event.id}") { ${nested('... on Event', times, 'id')} } }`
  for (const query of [deep(14), deep(100), deep(1200), fragments(13), inline(20)]) {
    const answer = await ask(client, query)
    expectGraphProblem(t, answer, INVALID, query.slice(0, 100))
    t.match(answer.errors[0]?.message, /15/, 'the limit is told')
  }
})

t.test('tools can look at the schema', async (t) => {
  const { client } = await startApp(t)
  const everything = {
    descriptions: true,
    specifiedByUrl: true,
    directiveIsRepeatable: true,
    schemaDescription: true,
    inputValueDeprecation: true,
    oneOf: true,
  }
  for (const options of [{}, everything]) {
    const { __schema } = await dataOf(client, getIntrospectionQuery(options))
    t.ok(__schema.types.length > 30)
  }
})

t.test('four thousand words and signs', async (t) => {
  const { client } = await startApp(t)
  const names = (count: number): string =>
    `{ ${Array.from({ length: count }, (_, n) => `a${n}: __typename`).join(' ')} }`
  t.equal(Object.keys(await dataOf(client, names(1_332))).length, 1_332)
  const answer = await ask(client, names(1_333))
  expectGraphProblem(t, answer, INVALID, 'too many')
  t.match(answer.errors[0]?.message, /4000/)
  const long = await dataOf(
    client,
    `mutation { createEvent(eventType: "a.b", payload: { a: "${'x'.repeat(200_000)}" }) { position } }`,
  )
  t.strictSame(long, { createEvent: { position: 2 } }, 'a long text is one of them')
})

t.test('ten thousand objects', async (t) => {
  const { client, event } = await startApp(t)
  const page = (first: number, inner: string, more = '') =>
    `events(first: ${first}${more}) { edges { node { ${inner} } } }`
  const children = (first: number, inner: string) => `childEvents(first: ${first}) { ${inner} }`
  const aliases = (count: number, field: string) =>
    Array.from({ length: count }, (_, n) => `a${n}: ${field}`).join(' ')
  const tooMuch: [string, object?][] = [
    [`{ ${page(100, children(100, children(100, 'id')))} }`],
    [`{ ${page(100, children(100, children(2, 'id')))} }`],
    [`{ ${page(2, children(100, children(100, 'id')))} }`],
    [`{ event(id: "${event.id}") { ${nested('childEvents', 4, 'id')} } }`],
    [`{ event(id: "${event.id}") { ${nested('childEvents(first: null)', 4, 'id')} } }`],
    [
      `query ($n: Int) { ${page(100, 'childEvents(first: $n) { childEvents(first: $n) { id } }')} }`,
      { n: 100 },
    ],
    [`query ($n: Int) { ${page(100, 'childEvents(first: $n) { childEvents(first: $n) { id } }')} }`, {}],
    [
      `query ($n: Int) { ${page(100, 'childEvents(first: $n) { childEvents(first: $n) { id } }')} }`,
      { n: null },
    ],
    [
      `query ($n: Int = 100) { ${page(100, 'childEvents(first: $n) { childEvents(first: $n) { id } }')} }`,
      {},
    ],
    [`{ ${aliases(30, page(100, children(10, 'id')))} }`],
    [`{ ${page(100, aliases(20, children(20, 'id')))} }`],
    [`{ ${aliases(110, page(100, 'id'))} }`],
    [
      `{ ...a } fragment a on Query { ${page(100, '...b')} } fragment b on Event { ${children(100, children(9, 'id'))} }`,
    ],
    [`{ ... on Query { ${page(100, `... on Event { ${children(100, children(9, 'id'))} }`)} } }`],
    [`{ ${page(100, `edges { targetUser { ${nested('platformUsers { user', 3, 'id }'.repeat(3))} } }`)} }`],
    [
      'mutation { createEvent(eventType: "a.b", payload: {}) { childEvents(first: 100) { childEvents(first: 100) { childEvents { id } } } } }',
    ],
  ]
  for (const [query, variables] of tooMuch) {
    const answer = await ask(client, query, variables)
    expectGraphProblem(t, answer, COSTLY, query.slice(0, 150))
    t.equal(answer.errors[0]?.extensions.type, 'urn:heliograph:problem:query-too-costly', query.slice(0, 150))
  }
  const { body: log } = await client.get('/events')
  t.equal(log.data.length, 1, 'the mutation was not run')

  const enough: [string, object?][] = [
    [`{ ${page(100, 'id status payload edges { edgeType targetUser { name } targetFile { url } }')} }`],
    [`{ ${page(100, children(50, 'id'))} }`],
    [`{ event(id: "${event.id}") { ${children(100, children(10, 'id'))} } }`],
    [`{ ${page(10, children(10, children(5, 'id')))} }`],
    ['{ users(first: 20) { edges { node { platformUsers { platformConnection { id } } } } } }'],
    ['{ eventSchemas { id name jsonSchema } }'],
    [
      `query ($off: Boolean!) { ${page(100, 'childEvents(first: 100) @include(if: $off) { childEvents { id } }')} }`,
      { off: false },
    ],
    [
      `query ($on: Boolean!) { ${page(100, 'childEvents(first: 100) @skip(if: $on) { childEvents { id } }')} }`,
      { on: true },
    ],
  ]
  for (const [query, variables] of enough) {
    const { errors } = await ask(client, query, variables)
    t.strictSame(errors, [], query.slice(0, 150))
  }
  const query = `query A { ${page(1, 'id')} } query B { ${page(100, children(100, children(100, 'id')))} }`
  const { data } = await ask(client, query, {}, 'A')
  t.equal(data.events.edges.length, 1, 'only the operation that is run counts')
  expectGraphProblem(t, await ask(client, query, {}, 'B'), COSTLY, 'the other operation')
})

t.test('no answer holds more objects than that, whatever is in the app', async (t) => {
  const { client } = await startApp(t)
  const { body: user } = await client.post('/users', { name: 'Ada' })
  const { body: connection } = await client.post('/platform-connections', {
    platform: 'http',
    name: 'own',
    settings: { url: 'https://example.com' },
    credentials: { secret: `whsec_${Buffer.alloc(32, 1).toString('base64')}` },
  })
  const platformConnectionId = connection.id
  await Promise.all(
    Array.from({ length: 100 }, (_, n) =>
      client.post('/platform-users', { platformConnectionId, externalId: `ada ${n}`, userId: user.id }),
    ),
  )
  const query = `{ user(id: "${user.id}") { ${nested('platformUsers { user', 2, '__typename }'.repeat(2))} } }`
  const { data } = await ask(client, query)
  t.ok(objectsIn(data) <= 10_000, `${objectsIn(data)} objects for ${query}`)
})

const objectsIn = (value: unknown): number =>
  typeof value === 'object' && value !== null
    ? Object.values(value).reduce(
        (sum: number, member) => sum + objectsIn(member),
        Array.isArray(value) ? 0 : 1,
      )
    : 0

t.test('@include and @skip', async (t) => {
  const { client, event } = await startApp(t)
  const query = `query ($yes: Boolean!, $no: Boolean! = false) {
    event(id: "${event.id}") {
      a: position @include(if: $yes) b: position @include(if: $no)
      c: position @skip(if: $yes) d: position @skip(if: $no)
      ... @include(if: $no) { e: position } ...f @include(if: $yes)
    }
  } fragment f on Event { f: position }`
  t.strictSame(await dataOf(client, query, { yes: true }), { event: { a: 1, d: 1, f: 1 } })
  const swapped = { event: { b: 1, c: 1, e: 1 } }
  t.strictSame(await dataOf(client, query, { yes: false, no: true }), swapped)
})

t.test('bytes of a request and of a payload', async (t) => {
  const { client } = await startApp(t, { MAX_PAYLOAD_BYTES: '300000' })
  const query = 'mutation ($payload: JSON!) { createEvent(eventType: "a.b", payload: $payload) { position } }'
  const payload = (bytes: number) => ({ a: 'x'.repeat(bytes - '{"a":""}'.length) })
  t.strictSame(await dataOf(client, query, { payload: payload(300_000) }), { createEvent: { position: 2 } })
  const large = await ask(client, query, { payload: payload(300_001) })
  expectGraphProblem(
    t,
    large,
    { status: 413, type: 'payload-too-large', pointers: ['/payload'], path: ['createEvent'] },
    'payload',
  )
  const answer = await client.post('/graphql', { query, variables: { payload: payload(700_000) } })
  expectProblem(t, answer, { status: 413, type: 'payload-too-large' }, 'body')
  t.equal(answer.status, 413)
  const { events } = await dataOf(client, '{ events { edges { node { position } } } }')
  t.strictSame(nodesOf(events), [{ position: 2 }, { position: 1 }])
})
