import { CloudEvent, HTTP, type Message } from 'cloudevents'
import t from 'tap'
import { request } from 'undici'
import { BATCH, FULL, getAs, readWithSdk, STRUCTURED } from '../../helpers/cloud-events.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { call, startService, type Answer, type Client } from '../../helpers/service.ts'

/**
 * What CloudEvents 1.0.2 states, with its JSON format and HTTP protocol binding, a case for each statement that a receiver
 * or a sender can break. `cloud-events-refused.test.ts` has more of what is refused.
 */

const BASE = { specversion: '1.0', source: '/s', type: 'a.b' }

/** What is sent beside the basic attributes, and what is read of it again: the same, or what is given here. */
type Taken = [section: string, statement: string, attributes: object, read?: object]
const text = (json: string): object => JSON.parse(json) as object

const TAKEN: Taken[] = [
  ['Naming Conventions', 'names of letters and digits', { a: 'x', a1: 'x', '1a': 'x' }],
  ['Naming Conventions', 'a name should be short, and may be longer', { [`x${'y'.repeat(40)}`]: 'x' }],
  ['Type System', 'Boolean', { on: true, off: false }],
  ['Type System', 'Integer: the limits of 32 bits', { low: -2147483648, high: 2147483647, zero: 0 }],
  ['Type System', 'String: an empty one', { empty: '' }],
  [
    'Type System',
    'String: characters beside the disallowed ones',
    { s: '\u0020\u007e\u00a0\ufdcf\ufdf0\ufffd\u{1fffd}' },
  ],
  ['Type System', 'String: surrogates in pairs', text('{"s":"\\uD800\\uDEAD"}')],
  ['Type System', 'Binary: Base64 as a string', { bytes: 'AAEC/w==' }],
  ['Type System', 'URI and URI-reference as strings', { uri: 'urn:x:y', ref: '../a?b#c' }],
  ['Type System', 'Timestamp: RFC 3339', { time: '2018-04-05t17:31:00.5-00:00' }],
  ...[
    'https://github.com/cloudevents',
    'mailto:cncf-wg-serverless@lists.cncf.io',
    'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
    '/cloudevents/spec/pull/123',
    '1-555-123-4567',
  ].map((source): Taken => ['source', 'examples', { source }]),
  ['datacontenttype', 'may be there without data', { datacontenttype: 'application/json' }, { data: {} }],
  ...['application/json', 'application/json; charset=utf-8', 'text/json', 'Application/VND.x+JSON;a="b"'].map(
    (datacontenttype): Taken => [
      'JSON format 3.1.1',
      'JSON is what is called */json or */*+json',
      { datacontenttype, data: { a: 1 } },
    ],
  ),
  ['dataschema', 'a URI', { dataschema: 'https://example.com/schema#/definitions/a' }],
  ['subject', 'a string', { subject: 'partnerid/5/clientid/100' }],
  [
    'Extension Context Attributes',
    'documented extensions',
    { sequence: '0001', sequencetype: 'Integer', sampledrate: 30 },
  ],
  ['Extension Context Attributes', 'a sequence that is an integer', { sequence: 7 }],
  [
    'Extension Context Attributes',
    'names that were ours once',
    { edges: 3, edgelist: false, orgid: '', originid: 'x', externalid: 1 },
  ],
  ['Size Limits', 'an event of 64 KiB', { long: 'x'.repeat(65_000) }],
  [
    'JSON format 2.2',
    'null is unset',
    { subject: null, time: null, own: null },
    { subject: undefined, time: undefined, own: undefined },
  ],
  [
    'JSON format 3.1.2',
    'data_base64 is data',
    { data_base64: btoa('{"a": 1e400}') },
    { data: { a: Infinity }, data_base64: undefined },
  ],
  ['JSON format 3.1.2', 'no datacontenttype means JSON', { data: { a: [null] } }],
  [
    'our names',
    'what is answered only is passed over',
    { heliographid: 'x', heliographposition: '9' },
    { heliographid: /^[0-9a-f-]{36}$/, heliographposition: /^\d+$/ },
  ],
]

type Refused = [section: string, statement: string, attributes: object, pointer: string]
const REFUSED: Refused[] = [
  ...[
    '\u0000',
    '\n',
    '\u001f',
    '\u007f',
    '\u009f',
    '\ufdd0',
    '\ufffe',
    '\uffff',
    '\u{1fffe}',
    '\u{10ffff}',
    '\udead',
    '\ud800',
  ].flatMap((character): Refused[] =>
    ['id', 'subject', 'own'].map((name) => [
      'Type System',
      `String: not ${JSON.stringify(character)}`,
      { [name]: `a${character}b` },
      `/${name}`,
    ]),
  ),
  ['Type System', 'Integer: 32 bits', { own: 2147483648 }, '/own'],
  ['Type System', 'no other types', { own: 1.5 }, '/own'],
  ['Type System', 'no other types', { own: {} }, '/own'],
  ['Type System', 'Timestamp: RFC 3339', { time: '2018-04-05 17:31:00Z' }, '/time'],
  ['Naming Conventions', 'lower-case letters and digits', { Own: 'x' }, '/Own'],
  ['Naming Conventions', 'lower-case letters and digits', { 'a/b': 'x' }, '/a~1b'],
  ['id', 'not empty', { id: '' }, '/id'],
  ['source', 'a URI-reference that is not empty', { source: '' }, '/source'],
  ['specversion', '1.0', { specversion: '0.3' }, '/specversion'],
  ['subject', 'not empty', { subject: '' }, '/subject'],
  ['dataschema', 'a URI that is not empty', { dataschema: '' }, '/dataschema'],
  [
    'JSON format 3.1.1',
    'data and data_base64 exclude each other',
    { data: {}, data_base64: 'e30=' },
    '/data_base64',
  ],
  ['JSON format 3.1.1', 'null data is a value, and no object', { data: null }, '/data'],
  ['JSON format 3.1.2', 'data_base64 is Base64', { data_base64: 'e30' }, '/data_base64'],
  ...['', 'x', '[]', '{', 'null'].map((bytes): Refused => [
    'payloads are objects',
    'data_base64',
    { data_base64: Buffer.from(bytes).toString('base64') },
    '/data_base64',
  ]),
  [
    'payloads are objects',
    'bytes that are not UTF-8',
    { data_base64: Buffer.from([0x7b, 0xff, 0x7d]).toString('base64') },
    '/data_base64',
  ],
  ['payloads are objects', 'XML', { datacontenttype: 'text/xml' }, '/datacontenttype'],
  ['our names', 'others that begin like ours', { heliographorigin: 'x' }, '/heliographorigin'],
]

const append = (client: Client, event: unknown, type = STRUCTURED): Promise<Answer> =>
  client.post('/events', event, { 'content-type': type })

t.test('the structured mode, statement by statement', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const [index, [section, statement, attributes, read = attributes]] of TAKEN.entries()) {
    const event = { id: String(index), ...BASE, ...attributes }
    const sent = await append(client, event)
    t.equal(sent.status, 201, `${section}: ${statement} ${sent.text}`)
    const answer = await getAs(service.url, client, `/events/${sent.body.id}`, STRUCTURED)
    t.match(answer.body, { ...event, ...read }, `${section}: ${statement}`)
    readWithSdk(answer)
  }
  const expected = { status: 400, type: 'validation-failed' }
  for (const [section, statement, attributes, pointer] of REFUSED) {
    const event = { id: 'refused', ...BASE, ...attributes }
    const what = `${section}: ${statement} ${JSON.stringify(attributes)}`
    expectProblem(t, await append(client, event), { ...expected, pointers: [pointer] }, what)
    const batch = await append(client, [{ ...BASE, id: 'first' }, event], BATCH)
    expectProblem(t, batch, { ...expected, pointers: [`/1${pointer}`] }, `in a batch: ${what}`)
  }
  const { body: page } = await client.get('/events?limit=1')
  t.equal(page.data[0].position, TAKEN.length, 'nothing that was refused is stored')
})

t.test('batches, statement by statement', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const path of ['/events', '/events/batch']) {
    const empty = await client.post(path, [], { 'content-type': BATCH })
    t.equal(empty.status, 200, 'HTTP 3.3.2: a batch may be empty')
    t.strictSame(empty.body, { data: [] })
  }
  const two = [
    { ...FULL, data: { a: 1 } },
    { ...BASE, id: '2', datacontenttype: 'application/x+json', data_base64: btoa('{"b": 1}') },
  ]
  const sent = await append(client, two, `${BATCH}; charset=UTF-8`)
  t.strictSame(
    sent.body.data.map(({ payload }: { payload: object }) => payload),
    [{ a: 1 }, { b: 1 }],
  )
  const list = await getAs(service.url, client, '/events?order=asc', BATCH)
  t.equal(list.headers['content-type'], `${BATCH}; charset=utf-8`)
  t.match(list.body, [FULL, { id: '2', datacontenttype: 'application/x+json', data: { b: 1 } }])
  const single = await getAs(service.url, client, '/events', STRUCTURED)
  t.match(
    single.headers['content-type'],
    /^application\/json/,
    'JSON 4: no batch for who wants single events',
  )
})

/** Headers beside the required ones, and the attributes that they stand for. */
type Headers = [section: string, statement: string, headers: Record<string, string>, attributes: object]
const JSON_TYPE = { 'content-type': 'application/json' }
const HEADERS: Headers[] = [
  [
    '3.1.1',
    'Content-Type is datacontenttype',
    { 'content-type': 'application/json; charset=UTF-8' },
    { datacontenttype: 'application/json; charset=UTF-8' },
  ],
  [
    '3.1.1',
    'of any JSON',
    { 'content-type': 'application/vnd.acme.order+json' },
    { datacontenttype: 'application/vnd.acme.order+json' },
  ],
  [
    '3.1.3.1',
    'names are case-insensitive',
    { 'CE-Subject': 'x', 'Ce-Time': '2018-04-05T03:56:24Z' },
    { subject: 'x', time: '2018-04-05T03:56:24Z' },
  ],
  [
    '3.1.3',
    'extensions too',
    { 'ce-own': 'x', 'ce-sequence': '5', 'ce-orgid': 'y' },
    { own: 'x', sequence: '5', orgid: 'y' },
  ],
  ['3.1.3.2', 'percent-encoded UTF-8', { 'ce-own': 'Euro%20%E2%82%AC%20%F0%9F%98%80' }, { own: 'Euro € 😀' }],
  ['3.1.3.2', 'in lower case', { 'ce-own': '%e2%82%ac' }, { own: '€' }],
  ['3.1.3.2', 'encoded without need', { 'ce-own': '%41%2d' }, { own: 'A-' }],
  ['3.1.3.2', 'decoded once', { 'ce-own': '%2541' }, { own: '%41' }],
  ['3.1.3.2', 'double-quoted strings', { 'ce-own': '"a b \\"c\\" \\\\"' }, { own: 'a b "c" \\' }],
  ['3.1.3.2', 'a space that is not encoded', { 'ce-own': 'a b' }, { own: 'a b' }],
  [
    'our names',
    'as headers',
    { 'ce-heliographexternalid': '%C3%BC', 'ce-heliographid': 'x' },
    { heliographexternalid: 'ü' },
  ],
  [
    'other headers',
    'are no attributes',
    { 'x-other': '1', ceother: '2' },
    { other: undefined, xother: undefined },
  ],
]

const WRONG_HEADERS: [
  section: string,
  statement: string,
  headers: Record<string, string>,
  pointer: string,
][] = [
  ['3.1.1', 'no ce-datacontenttype', { 'ce-datacontenttype': 'application/json' }, '/ce-datacontenttype'],
  ['Naming Conventions', 'no attribute called data', { 'ce-data': '{}' }, '/ce-data'],
  ['Naming Conventions', 'names', { 'ce-data_base64': 'e30=' }, '/ce-data_base64'],
  ['Naming Conventions', 'names', { 'ce-a-b': 'x' }, '/ce-a-b'],
  ['Naming Conventions', 'names', { 'ce-__proto__': 'x' }, '/ce-__proto__'],
  ['3.1.3.2', 'bytes that are no UTF-8', { 'ce-own': '%C0%A0' }, '/ce-own'],
  ['3.1.3.2', 'bytes that are no UTF-8', { 'ce-own': 'caf\u00e9' }, '/ce-own'],
  ['3.1.3.2', 'what is not encoded', { 'ce-own': '100%' }, '/ce-own'],
  ['Type System', 'String: control characters', { 'ce-subject': 'a%0Ab' }, '/subject'],
  ['Type System', 'String: surrogates', { 'ce-subject': '%ED%A0%80' }, '/ce-subject'],
  ['specversion', '1.0', { 'ce-specversion': '0.3' }, '/specversion'],
  ['time', 'RFC 3339', { 'ce-time': 'now' }, '/time'],
  ['our names', 'others that begin like ours', { 'ce-heliographx': 'x' }, '/ce-heliographx'],
]

const binary = (id: string) => ({ 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/s', 'ce-type': 'a.b' })

t.test('the binary mode, statement by statement', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const data = '{ "n":1.10, "big":12345678901234567890 }'
  for (const [index, [section, statement, headers, attributes]] of HEADERS.entries()) {
    const sent = await client.post('/events', data, { ...JSON_TYPE, ...binary(String(index)), ...headers })
    t.equal(sent.status, 201, `${section}: ${statement} ${sent.text}`)
    const answer = await getAs(service.url, client, `/events/${sent.body.id}`, STRUCTURED)
    t.match(answer.body, { id: String(index), ...BASE, ...attributes }, `${section}: ${statement}`)
    t.ok(answer.text.endsWith(`"data":${data}}`), '3.1.2: the body is the data, to the letter')
    readWithSdk(answer)
  }
  const expected = { status: 400, type: 'validation-failed' }
  for (const [section, statement, headers, pointer] of WRONG_HEADERS) {
    const answer = await client.post('/events', data, { ...JSON_TYPE, ...binary('refused'), ...headers })
    expectProblem(t, answer, { ...expected, pointers: [pointer] }, `${section}: ${statement}`)
  }

  t.test('each required attribute', async (t) => {
    for (const name of ['specversion', 'id', 'source', 'type']) {
      const { [`ce-${name}`]: _left, ...headers } = binary('refused') as Record<string, string>
      const answer = await client.post('/events', data, headers)
      expectProblem(t, answer, { ...expected, pointers: [`/${name}`] }, `without ${name}`)
    }
    t.pass('is missed')
  })

  t.test('an attribute that stands there twice', async (t) => {
    const raw = await request(`${service.url}/events`, {
      method: 'POST',
      headers: {
        ...JSON_TYPE,
        ...binary('twice'),
        authorization: `Bearer ${client.key}`,
        'ce-subject': ['a', 'b'],
      },
      body: data,
    })
    t.equal(raw.statusCode, 400)
    t.match(await raw.body.json(), { errors: [{ pointer: '/ce-subject', detail: 'stands there twice' }] })
  })

  t.test('data that is not JSON, or no object', async (t) => {
    for (const type of ['text/xml', 'application/octet-stream', 'application/cbor', 'application/jsonx']) {
      const answer = await client.post('/events', data, { ...binary('refused'), 'content-type': type })
      expectProblem(t, answer, { status: 415, type: 'unsupported-media-type' }, type)
    }
    for (const body of ['[]', 'null', '"{}"', '1'])
      expectProblem(
        t,
        await client.post('/events', body, binary('refused')),
        { ...expected, pointers: ['/data'] },
        body,
      )
    expectProblem(
      t,
      await client.post('/events', '{"a"', binary('refused')),
      { status: 400, type: 'invalid-json' },
      'no JSON',
    )
    t.pass('is refused')
  })

  t.test('no data at all', async (t) => {
    for (const [id, type] of Object.entries({ none: undefined, typed: 'application/json' })) {
      const headers = { ...binary(id), ...(type && { 'content-type': type }) }
      const answer = await call(service.url, 'POST', '/events', { key: client.key, headers })
      t.equal(answer.status, 201, answer.text)
      t.strictSame(answer.body.payload, {})
    }
  })

  t.test('a body that is a CloudEvent already counts, not the headers', async (t) => {
    const sent = await client.post(
      '/events',
      { ...BASE, id: 'body', data: { from: 'body' } },
      { ...binary('headers'), 'content-type': STRUCTURED },
    )
    const answer = await getAs(service.url, client, `/events/${sent.body.id}`, STRUCTURED)
    t.match(answer.body, { id: 'body', data: { from: 'body' } })
  })

  t.test('other requests have no use for the headers', async (t) => {
    const batch = { events: [{ type: 'a.b', payload: {} }] }
    t.equal((await client.post('/events/batch', batch, binary('batch'))).status, 201)
    t.equal((await client.post('/events', { type: 'a.b', payload: {} }, { 'ce-own': 'x' })).status, 201)
  })
})

t.test('the CloudEvents SDK as the sender', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { datacontenttype: _implied, ...attributes } = FULL
  const event = new CloudEvent({
    ...attributes,
    id: 'sdk-1',
    subject: 'order-1',
    text: 'plain',
    orgid: 'own',
    data: { total: 1.1, list: [null] },
  })
  const send = ({ headers, body }: Message) => client.post('/events', body, headers as Record<string, string>)

  const structured = await send(HTTP.structured(event))
  t.equal(structured.status, 201, structured.text)
  const again = await send(HTTP.binary(event))
  t.equal(again.status, 200, `the same in the binary mode is the same event: ${again.text}`)
  t.strictSame(again.body, structured.body)
  const other = await send(HTTP.binary(event.cloneWith({ id: 'sdk-2' })))
  t.equal(other.status, 201, other.text)

  for (const [{ body }, id] of [
    [structured, 'sdk-1'],
    [other, 'sdk-2'],
  ] as const) {
    const [read] = readWithSdk(await getAs(service.url, client, `/events/${body.id}`, STRUCTURED))
    const { id: own, source, type, subject, time, data, sequence } = read as CloudEvent<unknown>
    t.strictSame(
      { own, source, type, subject, data },
      { own: id, source: event.source, type: event.type, subject: event.subject, data: event.data },
    )
    t.equal(Date.parse(time as string), Date.parse(event.time as string))
    t.equal(String(sequence), '12')
  }
  const changed = await send(HTTP.binary(event.cloneWith({ data: { total: 2 } })))
  expectProblem(t, changed, { status: 409, type: 'idempotency-conflict' }, 'other data in the binary mode')
})

t.test('what goes out is valid, whatever the event was', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const odd = 'a\u0001\u007f\u0085\ufdd0\u{1ffff}ü'
  const { body: event } = await client.post('/events', {
    type: 'a.b',
    payload: { odd },
    externalId: odd,
    orgid: odd,
    edges: [{ type: odd, targetType: 'thing', targetId: odd }],
  })
  const answer = await getAs(service.url, client, `/events/${event.id}`, STRUCTURED)
  const { data, ...attributes } = answer.body
  t.strictSame(data, { odd })
  for (const [name, value] of Object.entries(attributes)) {
    t.match(name, /^[a-z0-9]{1,20}$/)
    t.match(value, /^[^\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]+$/u, name)
  }
  t.strictSame(JSON.parse(attributes.heliographedgelist), [
    { edge_type: odd, target_type: 'thing', target_id: odd },
  ])
  t.notOk(
    'heliographorgid' in attributes || 'heliographexternalid' in attributes,
    'what no attribute can hold',
  )
  readWithSdk(answer)
})
