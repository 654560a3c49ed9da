import t from 'tap'
import { readPages } from '../../helpers/pages.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { createImporter, startService, type Client } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const MESSAGE = {
  type: 'message',
  message: { text: 'hello', role: 'user' },
  platform: 'whatsapp',
  external_message_id: 'wamid.1',
}
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

async function append(client: Client, type: string, payload: object | string = {}): Promise<{ id: string }> {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const answer = await client.post('/events', `{"type":"${type}","payload":${text}}`)
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body
}

/** The payload of an event to the letter, from the text of the answer. */
const payloadText = (text: string): string => /"payload":(.*),"edges":/s.exec(text)?.[1] ?? ''

t.test('reports on messages', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await createImporter(service.url)

  for (const type of ['message.outbound', 'message.inbound']) {
    for (const status of ['delivered', 'read', 'failed']) {
      t.test(`${status}, of ${type}`, async (t) => {
        const origin = await append(client, type, MESSAGE)
        const before = Date.now()
        const { status: code, body: child } = await client.post(`/events/${origin.id}/status`, { status })
        t.equal(code, 201)
        t.equal(child.type, `message.${status}`)
        t.equal(child.originEventId, origin.id)
        t.equal(child.schemaValid, true)
        t.equal(child.status, 'completed')
        const at = child.payload[`${status}_at`]
        t.match(at, TIME)
        t.ok(Date.parse(at) >= before && Date.parse(at) <= Date.now(), 'the time is now')
        t.strictSame(child.payload, {
          status,
          platform: 'whatsapp',
          external_message_id: 'wamid.1',
          [`${status}_at`]: at,
        })
        t.strictSame((await client.get(`/events/${child.id}`)).body, child)
        t.strictSame((await client.get(`/events/${origin.id}/children`)).body.data, [child])
        t.strictSame(
          (await client.get(`/events/${origin.id}`)).body.payload,
          MESSAGE,
          'the message stays as it is',
        )
      })
    }
  }

  t.test('what the report says itself is kept to the letter', async (t) => {
    const origin = await append(client, 'message.outbound', MESSAGE)
    const report =
      '{ "cost":1.10,\n"id":12345678901234567890, "status":"read" ,"read_at":"2026-01-01T00:00:00Z","x":{"y":[1e400]},"e":"\\u0041" }'
    const { status, text, body } = await client.post(`/events/${origin.id}/status`, report)
    t.equal(status, 201, text)
    const payload = payloadText(text)
    t.ok(payload.endsWith(report.slice(1)), payload)
    t.match(body.payload, {
      status: 'read',
      platform: 'whatsapp',
      external_message_id: 'wamid.1',
      read_at: '2026-01-01T00:00:00Z',
    })
    t.equal(payloadText((await client.get(`/events/${body.id}`)).text), payload)
  })

  t.test('members of the same name are not given twice', async (t) => {
    const origin = await append(client, 'message.outbound', MESSAGE)
    const report = '{"status":"failed","platform":"own","external_message_id":null,"failed_at":null}'
    const { text } = await client.post(`/events/${origin.id}/status`, report)
    t.equal(payloadText(text), report)
    const escaped =
      '{"\\u0073tatus":"failed","platfor\\u006d":"own","external_message_id":"x","failed_at":null}'
    t.equal(payloadText((await client.post(`/events/${origin.id}/status`, escaped)).text), escaped)
  })

  t.test('a message without the ids', async (t) => {
    const origin = await append(client, 'message.inbound', {})
    const { body } = await client.post(`/events/${origin.id}/status`, { status: 'read' })
    t.match(body.payload, { status: 'read', platform: null, external_message_id: null, read_at: TIME })
  })

  t.test('several reports are children in their order', async (t) => {
    const origin = await append(client, 'message.outbound', MESSAGE)
    const statuses = ['delivered', 'read', 'failed', 'read', 'delivered']
    for (const status of statuses) await client.post(`/events/${origin.id}/status`, { status })
    const types = statuses.map((status) => `message.${status}`)
    for (const order of ['asc', 'desc']) {
      const { rows } = await readPages(client, `/events/${origin.id}/children?limit=2&order=${order}`)
      t.strictSame(
        rows.map(({ type }) => type),
        order === 'asc' ? types : types.toReversed(),
      )
    }
  })

  t.test('a status that messages do not have', async (t) => {
    const origin = await append(client, 'message.outbound', MESSAGE)
    for (const status of ['sent', 'outbound', 'inbound', 'shipped', 'constructor', '__proto__']) {
      const answer = await client.post(`/events/${origin.id}/status`, { status })
      expectProblem(t, answer, { status: 400, type: 'validation-failed', pointers: ['/status'] }, status)
    }
    t.strictSame((await client.get(`/events/${origin.id}/children`)).body.data, [])
  })
})

t.test('reports on other events', async (t) => {
  const service = await startService(t, { worker: false, settings: { MAX_PAYLOAD_BYTES: '2048' } })
  const client = await createImporter(service.url)
  const { id } = await append(client, 'order.placed', { n: 1 })
  const path = `/events/${id}/status`
  const invalid = (...pointers: string[]) => ({ status: 400, type: 'validation-failed', pointers })

  t.test('become an event of their own type, to the letter', async (t) => {
    const report = '{"status":"shipped_2", "weight":1.10,"id":12345678901234567890,"":{"__proto__":1}}'
    const { status, text, body } = await client.post(path, report)
    t.equal(status, 201, text)
    t.equal(body.type, 'order.placed.shipped_2')
    t.equal(body.originEventId, id)
    t.equal(payloadText(text), report)
    t.match(
      (await client.get('/event-types?limit=100')).body.data,
      [{ name: 'order.placed.shipped_2' }].slice(1),
    )
    const { body: types } = await client.get('/event-types?limit=100')
    t.ok(
      types.data.some(({ name }: { name: string }) => name === 'order.placed.shipped_2'),
      'its type is registered',
    )
    const next = await client.post(`/events/${body.id}/status`, { status: 'late' })
    t.equal(next.body.type, 'order.placed.shipped_2.late', 'a report on a report')
  })

  t.test('must have a status', async (t) => {
    for (const status of ['', 'A', 'a.b', 'a b', 'x'.repeat(51), 1, null, ['read'], 'ü'])
      expectProblem(t, await client.post(path, { status }), invalid('/status'), JSON.stringify(status))
    expectProblem(t, await client.post(path, {}), invalid('/status'), 'none')
    for (const body of ['[]', 'null', '"read"', ''])
      expectProblem(t, await client.post(path, body), invalid(''), body)
    expectProblem(t, await client.post(path, '{'), { status: 400, type: 'invalid-json' }, 'no JSON')
    for (const type of ['text/plain', 'application/cloudevents+json', 'application/cloudevents-batch+json']) {
      const answer = await client.post(path, '{"status":"read"}', { 'content-type': type })
      expectProblem(t, answer, { status: 415, type: 'unsupported-media-type' }, type)
    }
    t.equal((await client.get(`/events/${id}/children`)).body.data.length, 1)
  })

  t.test('may be as deep and as large as payloads', async (t) => {
    const nested = (depth: number): string =>
      `{"status":"deep","a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
    t.equal((await client.post(path, nested(100))).status, 201)
    expectProblem(t, await client.post(path, nested(101)), invalid(''), 'too deep')
    const sized = (bytes: number): string => `{"status":"large","x":"${'y'.repeat(bytes - 25)}"}`
    t.equal((await client.post(path, sized(2048))).status, 201)
    expectProblem(
      t,
      await client.post(path, sized(2049)),
      { status: 413, type: 'payload-too-large' },
      'too large',
    )
  })

  t.test('need an event of the app', async (t) => {
    const other = await createImporter(service.url)
    const unknown = { status: 404, type: 'not-found' }
    expectProblem(
      t,
      await client.post(`/events/${UNKNOWN_ID}/status`, { status: 'read' }),
      unknown,
      'unknown',
    )
    expectProblem(t, await other.post(path, { status: 'read' }), unknown, 'of another app')
    expectProblem(t, await client.post('/events/x/status', { status: 'read' }), invalid('/id'), 'no id')
    t.strictSame((await other.get('/events')).body.data, [])
  })

  t.test('may not make a type that there cannot be', async (t) => {
    const long = await append(client, 'x'.repeat(195))
    t.equal((await client.post(`/events/${long.id}/status`, { status: 'read' })).status, 201)
    expectProblem(
      t,
      await client.post(`/events/${long.id}/status`, { status: 'reads' }),
      invalid('/status'),
      'too long',
    )
    for (const type of ['message.delivered', 'user.merged', 'link_code.generated']) {
      const built = await append(client, type)
      const answer = await client.post(`/events/${built.id}/status`, { status: 'read' })
      expectProblem(t, answer, { status: 422, type: 'reserved-event-type' }, type)
    }
  })

  t.test('are checked against the schema of their type', async (t) => {
    await client.post('/event-types', {
      name: 'order.placed.weighed',
      enforceValidation: true,
      jsonSchema: { type: 'object', required: ['grams'], properties: { grams: { type: 'integer' } } },
    })
    const refused = await client.post(path, { status: 'weighed', grams: 1.5 })
    t.equal(refused.status, 422)
    t.match(refused.body, { type: 'urn:heliograph:problem:schema-violation' })
    t.equal((await client.post(path, { status: 'weighed', grams: 2 })).body.schemaValid, true)
  })
})

t.test('a report of an unknown type where types are not registered by use', async (t) => {
  const service = await startService(t, { worker: false, settings: { AUTO_REGISTER_EVENT_TYPES: 'false' } })
  const client = await createImporter(service.url)
  await client.post('/event-types', { name: 'order.placed' })
  await client.post('/event-types', { name: 'order.placed.shipped' })
  const { id } = await append(client, 'order.placed')
  const answer = await client.post(`/events/${id}/status`, { status: 'lost' })
  expectProblem(t, answer, { status: 422, type: 'unknown-event-type' }, 'not registered')
  t.equal((await client.post(`/events/${id}/status`, { status: 'shipped' })).status, 201)
  const message = await append(client, 'message.outbound', MESSAGE)
  t.equal((await client.post(`/events/${message.id}/status`, { status: 'read' })).status, 201)
})
