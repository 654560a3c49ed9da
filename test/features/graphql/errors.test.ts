import t, { type Test } from 'tap'
import { startService } from '../../helpers/service.ts'
import { ask, dataOf, expectGraphProblem, type ExpectedError } from './graph.ts'

async function startShop(t: Test) {
  const service = await startService(t, { worker: false, settings: { MAX_PAYLOAD_BYTES: '2000' } })
  const client = await service.client()
  const { body: type } = await client.post('/event-types', {
    name: 'parcel.sent',
    enforceValidation: true,
    jsonSchema: {
      type: 'object',
      required: ['to'],
      properties: { to: { type: 'string' }, lines: { items: { properties: { sku: { type: 'string' } } } } },
    },
  })
  return { service, client, type }
}

const NOWHERE = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'

t.test('a problem of REST is an error with its type, title, status and violations', async (t) => {
  const { client } = await startShop(t)
  const event = (type: string, payload: string, more = '') =>
    `createEvent(eventType: "${type}", payload: ${payload}${more}) { id }`
  const cases: [string, Omit<ExpectedError, 'path'>][] = [
    [event('user.made', '{}'), { status: 422, type: 'reserved-event-type' }],
    [event('a.b', '{}', `, originEventId: "${NOWHERE}"`), { status: 422, type: 'unknown-origin' }],
    [event('a.b', '[1]'), { status: 400, type: 'validation-failed', pointers: ['/payload'] }],
    [event('a.b', '"text"'), { status: 400, type: 'validation-failed', pointers: ['/payload'] }],
    [
      event('a.b', '{}', ', externalId: ""'),
      { status: 400, type: 'validation-failed', pointers: ['/externalId'] },
    ],
    [
      event('a.b', '{}', ', orgid: "a\\u0000"'),
      { status: 400, type: 'validation-failed', pointers: ['/orgid'] },
    ],
    [event('a.b', '{}', ', idempotencyKey: ""'), { status: 400, type: 'validation-failed' }],
    [
      event('a.b', `{ a: "${'x'.repeat(2000)}" }`),
      { status: 413, type: 'payload-too-large', pointers: ['/payload'] },
    ],
    [
      event('parcel.sent', '{ to: 7, lines: [{ sku: "a" }, { sku: 1 }] }'),
      { status: 422, type: 'schema-violation', pointers: ['/payload/to', '/payload/lines/1/sku'] },
    ],
    [event('parcel.sent', '{}'), { status: 422, type: 'schema-violation', pointers: ['/payload/to'] }],
    ['createEventSchema(name: "parcel.sent") { id }', { status: 409, type: 'conflict' }],
    [
      'createEventSchema(name: "Parcel") { id }',
      { status: 400, type: 'validation-failed', pointers: ['/name'] },
    ],
    ['createEventSchema(name: "message.x") { id }', { status: 422, type: 'reserved-event-type' }],
    [
      'createEventSchema(name: "a.b", jsonSchema: { type: "nothing" }) { id }',
      { status: 422, type: 'invalid-schema' },
    ],
    [
      `sendMessage(platformConnectionId: "${NOWHERE}", toExternalId: "a", message: "b") { id }`,
      { status: 404, type: 'not-found' },
    ],
    [
      `sendMessage(platformConnectionId: "${NOWHERE}", toExternalId: "", message: { text: 1 }) { id }`,
      {
        status: 400,
        type: 'validation-failed',
        pointers: ['/message', '/message/text', '/toExternalId'],
      },
    ],
    [
      'createWebhookSubscription(name: "a", targetUrl: "http://user:pw@example.com", eventPatterns: ["*"]) { id }',
      { status: 422, type: 'invalid-destination' },
    ],
    [
      'createWebhookSubscription(name: "", targetUrl: "https://example.com", eventPatterns: ["A B"]) { id }',
      { status: 400, type: 'validation-failed', pointers: ['/name', '/eventPatterns/0'] },
    ],
    [
      'createWebhookSubscription(name: "a", targetUrl: "https://example.com", eventPatterns: ["*"], secret: "short") { id }',
      { status: 400, type: 'validation-failed', pointers: ['/secret'] },
    ],
    [`generateLinkCode(platformUserId: "${NOWHERE}") { code }`, { status: 422, type: 'unknown-reference' }],
    [
      `generateLinkCode(platformUserId: "${NOWHERE}", expiryMinutes: 0, maxUses: 1001) { code }`,
      { status: 400, type: 'validation-failed', pointers: ['/expiryMinutes', '/maxUses'] },
    ],
    [
      `activateLinkCode(code: "1234", platformUserId: "${NOWHERE}") { mergedUserId }`,
      { status: 422, type: 'link-code-refused' },
    ],
  ]
  for (const [field, expected] of cases) {
    const answer = await ask(client, `mutation { done: ${field} }`)
    expectGraphProblem(t, answer, { ...expected, path: ['done'] }, field.slice(0, 150))
    const [error] = answer.errors
    t.strictSame(error?.locations, [{ line: 1, column: 12 }], field.slice(0, 150))
  }
  const { events } = await dataOf(client, '{ events { totalCount } }')
  t.equal(events.totalCount, 0, 'nothing was stored')
  const { body: next } = await client.post('/events', { type: 'proof.next', payload: {} })
  t.equal(next.position, 1)
})

t.test('violations are named as the arguments are', async (t) => {
  const { client } = await startShop(t)
  const cases: [string, string[]][] = [
    ['createEvent(eventType: "A B", payload: {}) { id }', ['/eventType']],
    [
      `createEvent(eventType: "a.b", payload: {}, edges: [
        { edgeType: "", targetNodeType: "", targetNodeId: "" }]) { id }`,
      ['/edges/0/edgeType', '/edges/0/targetNodeType', '/edges/0/targetNodeId'],
    ],
    ['createWebhookSubscription(name: "a", targetUrl: "", eventPatterns: ["*"]) { id }', ['/targetUrl']],
  ]
  for (const [field, pointers] of cases) {
    const answer = await ask(client, `mutation { done: ${field} }`)
    expectGraphProblem(t, answer, { status: 400, type: 'validation-failed', pointers, path: ['done'] }, field)
    t.equal(answer.errors.length, 1)
  }
})

t.test('an address that nothing can be sent to is named as its argument is', async (t) => {
  const { client } = await startShop(t)
  const field = 'createWebhookSubscription(name: "a", targetUrl: "ftp://x", eventPatterns: ["*"]) { id }'
  const expected = { status: 422, type: 'invalid-destination', pointers: ['/targetUrl'], path: ['done'] }
  expectGraphProblem(t, await ask(client, `mutation { done: ${field} }`), expected, field)
})

t.test('the message is the detail that REST gives', async (t) => {
  const { client } = await startShop(t)
  const body = { type: 'parcel.sent', payload: { to: 7 } }
  const rest = await client.post('/events', body)
  const { errors } = await ask(
    client,
    'mutation { createEvent(eventType: "parcel.sent", payload: { to: 7 }) { id } }',
  )
  const { detail, ...extensions } = rest.body
  t.strictSame(errors, [
    { message: detail, locations: [{ line: 1, column: 12 }], path: ['createEvent'], extensions },
  ])
})

t.test('what could be answered is answered beside the errors', async (t) => {
  const { client, type } = await startShop(t)
  const { body: event } = await client.post('/events', { type: 'a.b', payload: { n: 1 } })
  const answer = await ask(
    client,
    `{ schema: eventSchema(id: "${type.id}") { name }
       event(id: "${event.id}") { id childEvents(first: 1000) { id } }
       other: event(id: "${event.id}") { payload }
       none: event(id: "${NOWHERE}") { id } }`,
  )
  const expected = { status: 400, type: 'validation-failed', path: ['event', 'childEvents'] }
  expectGraphProblem(t, answer, expected, 'one field')
  t.strictSame(answer.data, {
    schema: { name: 'parcel.sent' },
    event: null,
    other: { payload: { n: 1 } },
    none: null,
  })
})

t.test('what a mutation stored is told although a later one fails', async (t) => {
  const { client } = await startShop(t)
  const answer = await ask(
    client,
    `mutation { first: createEvent(eventType: "a.b", payload: { n: 1 }) { payload }
                second: createEvent(eventType: "user.made", payload: {}) { payload }
                third: createEvent(eventType: "a.b", payload: { n: 3 }) { payload } }`,
  )
  expectGraphProblem(t, answer, { status: 422, type: 'reserved-event-type', path: ['second'] }, 'the second')
  const { body: log } = await client.get('/events?order=asc')
  t.strictSame(
    log.data.map(({ payload }: { payload: object }) => payload),
    [{ n: 1 }, { n: 3 }],
    'the others are stored',
  )
  t.strictSame(answer.data, { first: { payload: { n: 1 } }, second: null, third: { payload: { n: 3 } } })
})
