import t from 'tap'
import { HARD_NUMBERS } from '../../helpers/numbers.ts'
import { startService } from '../../helpers/service.ts'
import { ask, dataOf } from './graph.ts'

const NUMBERS = `[${HARD_NUMBERS.join()}]`
const DEEP = '{"id":813683310949021977,"text":"1.10"}'
const PAYLOAD = `{"numbers":${NUMBERS},"deep":${DEEP}}`
/** The same as GraphQL has it. */
const LITERAL = `{numbers: ${NUMBERS}, deep: {id: 813683310949021977, text: "1.10"}}`

t.test('numbers are read to the letter', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: event } = await client.post('/events', `{"type":"a.b","payload":${PAYLOAD}}`)
  const { body: user } = await client.post('/users', `{"attributes":${PAYLOAD}}`)
  await client.post('/event-types', `{"name":"a.c","jsonSchema":{"examples":${NUMBERS}}}`)
  const { answer } = await ask(client, `{ event(id: "${event.id}") { payload } }`)
  t.equal(answer.text, `{"data":{"event":{"payload":${PAYLOAD}}}}`)
  const users = await ask(client, `{ users { edges { node { id attributes } } } }`)
  t.ok(users.answer.text.includes(`{"id":"${user.id}","attributes":${PAYLOAD}}`), users.answer.text)
  const types = await ask(client, '{ eventSchemas { name jsonSchema } }')
  t.ok(types.answer.text.includes(`"jsonSchema":{"examples":${NUMBERS}}`), types.answer.text)
})

t.test('numbers are written to the letter, as literals and as variables', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const create = (payload: string) => `{ createEvent(eventType: "a.b", payload: ${payload}) { id payload } }`
  const requests: [query: string, variables?: string][] = [
    [`mutation ${create(LITERAL)}`],
    [`mutation ($p: JSON!) ${create('$p')}`, `{"p":${PAYLOAD}}`],
    [`mutation ($n: JSON!, $d: JSON!) ${create('{numbers: $n, deep: $d}')}`, `{"n":${NUMBERS},"d":${DEEP}}`],
    [`mutation ($p: JSON! = ${LITERAL}) ${create('$p')}`],
  ]
  for (const [query, variables = 'null'] of requests) {
    const request = `{"query":${JSON.stringify(query)},"variables":${variables}}`
    const { text, body } = await client.post('/graphql', request)
    t.ok(text.includes(`"payload":${PAYLOAD}`), text)
    const read = await client.get(`/events/${body.data.createEvent.id}`)
    t.ok(read.text.includes(`"payload":${PAYLOAD}`), read.text)
  }
})

t.test('numbers of payloads are compared exactly with those of filters', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const id of ['813683310949021977', '813683310949021978', '1e400', '10E+399']) {
    await client.post('/events', `{"type":"a.b","payload":{"id":${id}}}`)
  }
  const found = async (id: string) => {
    const { events } = await dataOf(
      client,
      `{ events(filters: {payload: {contains: {id: ${id}}}}) { edges { node { position } } } }`,
    )
    return events.edges.map(({ node }: { node: { position: number } }) => node.position)
  }
  t.strictSame(await found('813683310949021977'), [1])
  t.strictSame(await found('813683310949021978.0'), [2])
  t.strictSame(await found('0.1e401'), [4, 3])
})

t.test('a payload with such numbers is checked against the schema of its type', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const jsonSchema = { properties: { n: { type: 'number' }, s: { type: 'string' } } }
  await client.post('/event-types', { name: 'a.b', jsonSchema, enforceValidation: true })
  const create = (payload: string) =>
    ask(client, `mutation { createEvent(eventType: "a.b", payload: ${payload}) { schemaValid } }`)
  t.strictSame((await create('{n: 1.10}')).data, { createEvent: { schemaValid: true } })
  t.equal((await create('{s: 813683310949021977}')).errors[0]?.extensions.status, 422)
})

t.test('variables for arguments that are numbers may be written in any way', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  await client.post('/events', { type: 'a.b', payload: {} })
  const query = JSON.stringify('query ($n: Int) { events(first: $n) { edges { node { id } } } }')
  const first = (number: string) => client.post('/graphql', `{"query":${query},"variables":{"n":${number}}}`)
  for (const number of ['1.0', '1e0', '10E-1']) {
    t.equal((await first(number)).body.data?.events?.edges.length, 1, number)
  }
  t.match((await first('1e400')).body.errors, [{ extensions: { status: 400 } }])
})
