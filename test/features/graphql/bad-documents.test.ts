import t from 'tap'
import { expectProblem } from '../../helpers/problems.ts'
import { call, startService } from '../../helpers/service.ts'
import { ask, dataOf, expectGraphProblem } from './graph.ts'

const INVALID = { status: 400, type: 'validation-failed' }

t.test('a document that cannot be run is the caller’s mistake, and says what is wrong', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const cases: [string, RegExp, object?, string?][] = [
    ['{', /Syntax Error/],
    ['   ', /Syntax Error/],
    ['# nothing', /Syntax Error/],
    ['{ events(first: ) { totalCount } }', /Syntax Error/],
    ['{ "events" }', /Syntax Error/],
    ['\ud800', /Syntax Error/],
    ['{ nothing }', /Cannot query field "nothing" on type "Query"/],
    ['{ application { secret } }', /Cannot query field "secret" on type "Application"/],
    ['{ events }', /must have a selection of subfields/],
    ['{ application { id { id } } }', /must not have a selection/],
    ['{ events(last: 1) { totalCount } }', /Unknown argument "last"/],
    ['{ events(first: "1") { totalCount } }', /Int cannot represent/],
    ['{ events(first: 99999999999) { totalCount } }', /Int cannot represent/],
    ['{ events(filters: { type: "a" }) { totalCount } }', /Field "type" is not defined/],
    ['{ events(orderBy: { field: NAME }) { totalCount } }', /does not exist in "EventOrderField"/],
    ['{ event { id } }', /argument "id" of type "UUID!" is required/],
    ['{ event(id: null) { id } }', /Expected value of type "UUID!", found null/],
    ['{ event(id: "x") { id } }', /no UUID/],
    ['{ event(id: 7) { id } }', /no UUID/],
    ['{ events(filters: { createdAt: { gte: "yesterday" } }) { totalCount } }', /no DateTime/],
    ['{ ...missing }', /Unknown fragment "missing"/],
    ['{ ...a } fragment a on Query { ...a }', /Cannot spread fragment "a" within itself/],
    ['fragment a on Query { __typename }', /./],
    ['{ application { id } } fragment a on Query { __typename }', /Fragment "a" is never used/],
    ['{ application { id: name } application { id } }', /conflict/],
    ['{ application @unknown { id } }', /Unknown directive/],
    ['subscription { events { id } }', /./],
    ['query ($x: Nothing) { application { id } }', /Unknown type "Nothing"/],
    ['query ($x: Int) { application { id } }', /Variable "\$x" is never used/],
    ['{ events(first: $x) { totalCount } }', /Variable "\$x" is not defined/],
    ['query ($x: String) { events(first: $x) { totalCount } }', /Variable "\$x" of type "String"/],
    [
      'query ($x: Int) { events(first: $x) { totalCount } }',
      /Variable "\$x" got invalid value "7"/,
      { x: '7' },
    ],
    ['query ($x: Int) { events(first: $x) { totalCount } }', /Variable "\$x" got invalid value/, { x: 1.5 }],
    [
      'query ($id: UUID!) { event(id: $id) { id } }',
      /Variable "\$id" of required type "UUID!" was not provided/,
      {},
    ],
    ['query ($id: UUID!) { event(id: $id) { id } }', /Variable "\$id" .*no UUID/, { id: 'x' }],
    [
      'query ($f: EventFilters) { events(filters: $f) { totalCount } }',
      /Variable "\$f" .*"type"/,
      { f: { type: 1 } },
    ],
    ['query A { application { id } } query B { application { id } }', /Must provide operation name/],
    ['query A { application { id } } query B { application { id } }', /Unknown operation named "C"/, {}, 'C'],
    ['query A { application { id } }', /Unknown operation named "C"/, {}, 'C'],
    [
      'query A { application { id } } query A { application { id } }',
      /only one operation named "A"/,
      {},
      'A',
    ],
    ['{ application { id } } { application { id } }', /anonymous operation/],
  ]
  for (const [query, message, variables, operationName] of cases) {
    // Twice: a document that was refused is remembered.
    for (let time = 1; time <= 2; time++) {
      const answer = await ask(client, query, variables, operationName)
      const what = `${query} ${JSON.stringify(variables ?? '')}`
      const [first, ...more] = answer.errors
      expectGraphProblem(t, { ...answer, errors: first ? [first] : [] }, INVALID, what)
      t.match(first?.message ?? '', message, what)
      t.equal(answer.data, null, what)
      t.equal(more.filter(({ extensions }) => extensions.status !== 400).length, 0, what)
    }
  }
})

t.test('a wrong value is shown with its place', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const query of [
    '{ events(first: "1") { totalCount } }',
    '{ event(id: "x") { id } }',
    '{ events(filters: { createdAt: { gte: "x" } }) { totalCount } }',
    '{ events(filters: { edge: { targetNodeType: 7, targetNodeId: "x" } }) { totalCount } }',
  ]) {
    const { errors } = await ask(client, query)
    t.equal(errors[0]?.locations?.[0]?.line, 1, query)
  }
})

t.test('several operations: the named one runs', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const query = `query A { application { id } } query B { application { name } }
                 mutation C { createEvent(eventType: "a.b", payload: {}) { id } }`
  t.strictSame((await ask(client, query, {}, 'A')).data, { application: { id: client.appId } })
  t.strictSame((await ask(client, query, {}, 'B')).data, { application: { name: 'test' } })
  t.strictSame((await client.get('/events')).body.data, [], 'the mutation was not run')
  t.ok((await ask(client, query, {}, 'C')).data.createEvent.id)
})

t.test('a document is a text of GraphQL, not a syntax tree', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const name = { kind: 'Name', value: '__typename' }
  const selectionSet = { kind: 'SelectionSet', selections: [{ kind: 'Field', name }] }
  const tree = {
    kind: 'Document',
    definitions: [{ kind: 'OperationDefinition', operation: 'query', selectionSet }],
  }
  for (const query of [
    JSON.stringify(tree),
    '{}',
    '[]',
    '1',
    'null',
    'true',
    '"text"',
    '{"kind":"Document"}',
  ]) {
    const answer = await ask(client, query)
    expectGraphProblem(t, answer, INVALID, query)
    t.match(answer.errors[0]?.message ?? '', /Syntax Error/, query)
  }
})

t.test('a body that is no request of GraphQL is refused as in REST', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const query = '{ application { id } }'
  const cases: [unknown, number, string][] = [
    ['{', 400, 'invalid-json'],
    [query, 400, 'invalid-json'],
    [Buffer.from([0x22, 0xff, 0x22]), 400, 'invalid-json'],
    ['', 400, 'validation-failed'],
    ['null', 400, 'validation-failed'],
    [[{ query }], 400, 'validation-failed'],
    [[{ query }, { query }], 400, 'validation-failed'],
    [{}, 400, 'validation-failed'],
    [{ query: '' }, 400, 'validation-failed'],
    [{ query: null }, 400, 'validation-failed'],
    [{ query: 7 }, 400, 'validation-failed'],
    [{ query: [query] }, 400, 'validation-failed'],
    [{ query, variables: [] }, 400, 'validation-failed'],
    [{ query, variables: '{}' }, 400, 'validation-failed'],
    [{ query, operationName: 7 }, 400, 'validation-failed'],
    [{ query, other: 1 }, 400, 'validation-failed'],
  ]
  for (const [body, status, type] of cases) {
    const answer = await client.post('/graphql', body)
    expectProblem(t, answer, { status, type }, JSON.stringify(body))
    t.equal(answer.status, status, JSON.stringify(body))
  }
  const asText = await client.post('/graphql', query, { 'content-type': 'application/graphql' })
  expectProblem(t, asText, { status: 415, type: 'unsupported-media-type' }, 'application/graphql')
  t.equal(asText.status, 415)
  const nulls = await client.post('/graphql', {
    query,
    variables: null,
    operationName: null,
    extensions: null,
  })
  t.strictSame(nulls.body, { data: { application: { id: client.appId } } })
  t.match(nulls.headers['content-type'], /^application\/json/)
})

t.test('only POST', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE'] as const) {
    for (const path of ['/graphql', `/graphql?query=${encodeURIComponent('{ application { id } }')}`]) {
      const answer = await call(service.url, method, path, { key: client.key })
      expectProblem(t, answer, { status: 405, type: 'method-not-allowed' }, `${method} ${path}`)
      t.equal(answer.headers['allow'], 'POST')
    }
  }
  for (const path of ['/graphiql', '/playground', '/graphql/'])
    t.equal((await client.get(path)).status, 404, path)
  t.ok(await dataOf(client, '{ application { id } }'))
})
