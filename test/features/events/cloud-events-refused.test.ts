import t from 'tap'
import { BATCH, STRUCTURED } from '../../helpers/cloud-events.ts'
import { expectEmptyLog, expectProblem, type ExpectedProblem } from '../../helpers/problems.ts'
import { call, startService } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const event = { specversion: '1.0', id: '1', source: '/s', type: 'a.b', data: { a: 1 } }
const without = (name: string) => Object.fromEntries(Object.entries(event).filter(([own]) => own !== name))
const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
const invalid = (...pointers: string[]): ExpectedProblem => ({
  status: 400,
  type: 'validation-failed',
  ...(pointers.length > 0 && { pointers }),
})
const reserved: ExpectedProblem = { status: 422, type: 'reserved-event-type' }

/** What is wrong with each: the body, and what it is refused for. */
const REFUSED: [string, unknown, ExpectedProblem][] = [
  ...['specversion', 'id', 'source', 'type'].map((name): [string, unknown, ExpectedProblem] => [
    `no ${name}`,
    without(name),
    invalid(`/${name}`),
  ]),
  ...['0.3', '1', '1.1', 1, null].map((specversion): [string, unknown, ExpectedProblem] => [
    `specversion ${specversion}`,
    { ...event, specversion },
    invalid('/specversion'),
  ]),
  ...['', 1, null, 'a\nb', 'x'.repeat(65_537)].map((id): [string, unknown, ExpectedProblem] => [
    'id',
    { ...event, id },
    invalid('/id'),
  ]),
  ...['', 1, 'a b', '%zz', `/${'x'.repeat(2048)}`].map((source): [string, unknown, ExpectedProblem] => [
    `source ${source}`.slice(0, 30),
    { ...event, source },
    invalid('/source'),
  ]),
  ...['', 'A.b', 'com.example/order', 'a-b', 'a b', 'x'.repeat(201)].map(
    (type): [string, unknown, ExpectedProblem] => [
      `type ${type}`.slice(0, 30),
      { ...event, type },
      invalid('/type'),
    ],
  ),
  ...['yesterday', '2026-01-01', '2026-02-30T00:00:00Z', 5].map(
    (time): [string, unknown, ExpectedProblem] => [`time ${time}`, { ...event, time }, invalid('/time')],
  ),
  ...[
    'text/plain',
    'application/xml',
    'application/octet-stream',
    'json',
    '',
    'application/json\n',
    'application/jsonx',
  ].map((datacontenttype): [string, unknown, ExpectedProblem] => [
    `datacontenttype ${datacontenttype}`,
    { ...event, datacontenttype },
    invalid('/datacontenttype'),
  ]),
  ...['relative', '', 5].map((dataschema): [string, unknown, ExpectedProblem] => [
    `dataschema ${dataschema}`,
    { ...event, dataschema },
    invalid('/dataschema'),
  ]),
  ...[[], 'x', 1, true, [{}], null].map((data): [string, unknown, ExpectedProblem] => [
    `data ${JSON.stringify(data)}`,
    { ...event, data },
    invalid('/data'),
  ]),
  ['data and data_base64', { ...event, data_base64: 'e30=' }, invalid('/data_base64')],
  ...['Upper', 'camelCase', 'snake_case', 'with-dash', 'a.b', '', 'ü', '__proto__', 'x'.repeat(101)].map(
    (name): [string, unknown, ExpectedProblem] => [
      `the attribute ${name}`.slice(0, 40),
      `${JSON.stringify(event).slice(0, -1)},${JSON.stringify(name)}:"x"}`,
      invalid(),
    ],
  ),
  ...[{}, [], 1.5, ['x'], 'x'.repeat(65_537)].map((value): [string, unknown, ExpectedProblem] => [
    `an attribute that is ${JSON.stringify(value)}`.slice(0, 40),
    { ...event, extension: value },
    invalid('/extension'),
  ]),
  ...['12345678901234567890', '2147483648', '-2147483649', '1e400'].map(
    (value): [string, unknown, ExpectedProblem] => [
      `an attribute that is ${value}, no 32-bit integer`,
      `${JSON.stringify(event).slice(0, -1)},"extension":${value}}`,
      invalid('/extension'),
    ],
  ),
  ...[
    '',
    'x',
    '{}',
    '[{}]',
    '[1]',
    'null',
    '"[]"',
    JSON.stringify([{ type: 'a', targetType: 'b', targetId: '' }]),
    JSON.stringify([{ type: 'a', targetType: 'b', targetId: 'c', more: 1 }]),
    JSON.stringify([{ type: 'a', targetType: 'b', targetId: 'a\0b' }]),
    JSON.stringify([{ type: 'a', targetType: 'b', targetId: '\ud800' }]),
  ].map((edges): [string, unknown, ExpectedProblem] => [
    `edges ${edges}`,
    { ...event, heliographedges: edges },
    invalid('/heliographedges'),
  ]),
  ['edges that are no text', { ...event, heliographedges: [] }, invalid('/heliographedges')],
  ...['x', UNKNOWN_ID.replaceAll('-', '')].map((heliographoriginid): [string, unknown, ExpectedProblem] => [
    `heliographoriginid ${heliographoriginid}`,
    { ...event, heliographoriginid },
    invalid('/heliographoriginid'),
  ]),
  [
    'an unknown origin',
    { ...event, heliographoriginid: UNKNOWN_ID },
    { status: 422, type: 'unknown-origin', pointers: ['/heliographoriginid'] },
  ],
  ...['heliographexternalid', 'heliographorgid'].flatMap((name) =>
    ['', 5, 'x'.repeat(201), 'a\0b', '\ud800'].map((value): [string, unknown, ExpectedProblem] => [
      `${name} ${JSON.stringify(value)}`.slice(0, 30),
      { ...event, [name]: value },
      invalid(`/${name}`),
    ]),
  ),
  ...['message.foo', 'user.x', 'system.collection.create', 'link_code.x'].map(
    (type): [string, unknown, ExpectedProblem] => [type, { ...event, type }, reserved],
  ),
  ['too deep', `${JSON.stringify(without('data')).slice(0, -1)},"data":${nested(101)}}`, invalid('/data')],
  [
    'too large',
    { ...event, data: { x: 'y'.repeat(2048) } },
    { status: 413, type: 'payload-too-large', pointers: ['/data'] },
  ],
  ['an empty body', '', invalid()],
  ['no JSON', '{', { status: 400, type: 'invalid-json' }],
  ...['null', '[]', '"x"', '1'].map((body): [string, unknown, ExpectedProblem] => [body, body, invalid('')]),
]

t.test('what is no CloudEvent is refused and leaves no trace', async (t) => {
  const service = await startService(t, { worker: false, settings: { MAX_PAYLOAD_BYTES: '2048' } })

  t.test('in the structured form', async (t) => {
    for (const [what, body, expected] of REFUSED) {
      const client = await service.client()
      expectProblem(t, await client.post('/events', body, { 'content-type': STRUCTURED }), expected, what)
      await expectEmptyLog(t, client, what)
    }
    t.pass(`${REFUSED.length} cases`)
  })

  t.test('in a batch, with a pointer to it', async (t) => {
    const cases: [string, string, ExpectedProblem][] = [
      ['0.3', JSON.stringify({ ...event, specversion: '0.3' }), invalid('/1/specversion')],
      ['no id', JSON.stringify(without('id')), invalid('/1/id')],
      [
        'too deep',
        `${JSON.stringify(without('data')).slice(0, -1)},"data":${nested(101)}}`,
        invalid('/1/data'),
      ],
      ['edges', JSON.stringify({ ...event, heliographedges: 'x' }), invalid('/1/heliographedges')],
      [
        'origin',
        JSON.stringify({ ...event, heliographoriginid: UNKNOWN_ID }),
        { status: 422, type: 'unknown-origin', pointers: ['/1/heliographoriginid'] },
      ],
    ]
    for (const path of ['/events', '/events/batch']) {
      for (const [what, text, expected] of cases) {
        const client = await service.client()
        const batch = `[${JSON.stringify({ ...event, id: 'good' })},${text}]`
        expectProblem(
          t,
          await client.post(path, batch, { 'content-type': BATCH }),
          expected,
          `${path} ${what}`,
        )
        await expectEmptyLog(t, client, what)
      }
      for (const body of ['', '{}', JSON.stringify(event), '[1]', '[[]]', 'null']) {
        const client = await service.client()
        expectProblem(
          t,
          await client.post(path, body, { 'content-type': BATCH }),
          invalid(),
          `${path} ${body}`,
        )
        await expectEmptyLog(t, client, body)
      }
    }
    t.pass('all of them')
  })

  t.test('data that does not match its schema, with a pointer to what is wrong', async (t) => {
    const client = await service.client()
    const jsonSchema = { type: 'object', properties: { a: { type: 'string' } } }
    await client.post('/event-types', { name: 'a.b', enforceValidation: true, jsonSchema })
    const one = await client.post('/events', event, { 'content-type': STRUCTURED })
    expectProblem(t, one, { status: 422, type: 'schema-violation', pointers: ['/data/a'] }, 'one')
    const batch = await client.post(
      '/events',
      [
        { ...event, data: {} },
        { ...event, id: '2' },
      ],
      { 'content-type': BATCH },
    )
    expectProblem(t, batch, { status: 422, type: 'schema-violation', pointers: ['/1/data/a'] }, 'a batch')
    t.strictSame((await client.get('/events')).body.data, [])
  })

  t.test('in another media type', async (t) => {
    const client = await service.client()
    const unsupported: ExpectedProblem = { status: 415, type: 'unsupported-media-type' }
    const types = [
      'application/cloudevents',
      'application/cloudevents+xml',
      'application/cloudevents+avro',
      'text/plain',
      'application/cloudevents-batch',
      'application/cloudevents+jsonx',
    ]
    for (const type of types)
      expectProblem(
        t,
        await client.post('/events', JSON.stringify(event), { 'content-type': type }),
        unsupported,
        type,
      )
    expectProblem(
      t,
      await client.post('/events/batch', event, { 'content-type': STRUCTURED }),
      unsupported,
      'one as a batch',
    )
    for (const path of ['/event-types', '/subscriptions'])
      expectProblem(t, await client.post(path, event, { 'content-type': STRUCTURED }), unsupported, path)
    await expectEmptyLog(t, client, 'other media types')
    t.pass('all of them')
  })

  t.test('in a media type that is written in a strange way, never unchecked', async (t) => {
    for (const type of [STRUCTURED, BATCH, 'application/json']) {
      for (const end of [
        '\t; charset=utf-8',
        ',application/json',
        ' x',
        ';',
        '; ;',
        ' ',
        ';charset=latin1',
      ]) {
        const client = await service.client()
        const { status } = await client.post('/events', '{"type":5}', { 'content-type': type + end })
        t.ok(status === 400 || status === 415, `${JSON.stringify(type + end)}: ${status}`)
        await expectEmptyLog(t, client, end)
      }
    }
  })

  t.test('without any body', async (t) => {
    const client = await service.client()
    for (const type of [STRUCTURED, BATCH, 'application/json']) {
      const answer = await call(service.url, 'POST', '/events', {
        key: client.key,
        headers: { 'content-type': type },
      })
      expectProblem(t, answer, invalid(), type)
    }
    await expectEmptyLog(t, client, 'no body')
    t.pass('each media type')
  })
})
