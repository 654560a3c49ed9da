import t from 'tap'
import { expectEmptyLog, expectProblem, type ExpectedProblem } from '../../helpers/problems.ts'
import { call, startService } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const MAX_PAYLOAD_BYTES = 2048

const event = { type: 'order.shipped', payload: { a: 1 } }
const edge = { type: 'sent_by', targetType: 'user', targetId: '1' }
const edges = (count: number) => Array.from({ length: count }, () => edge)
const invalidJson: ExpectedProblem = { status: 400, type: 'invalid-json' }
const invalid = (...pointers: string[]): ExpectedProblem => ({
  status: 400,
  type: 'validation-failed',
  pointers,
})
const notJson: ExpectedProblem = { status: 415, type: 'unsupported-media-type' }
const tooLarge: ExpectedProblem = { status: 413, type: 'payload-too-large' }
const reserved: ExpectedProblem = { status: 422, type: 'reserved-event-type' }
const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
const holding = (...bytes: number[]): Buffer =>
  Buffer.concat([Buffer.from('{"type":"a","payload":{"x":"'), Buffer.from(bytes), Buffer.from('"}}')])

interface Case {
  what: string
  body: unknown
  headers?: Record<string, string>
  expected: ExpectedProblem
}

const NOT_JSON: Case[] = [
  ...[
    '{',
    '{"type":"a","payload":{}',
    '{"type":"a","payload":{},}',
    '{"type":"a","payload":{}}}',
    '{"type":"a","payload":{}} {}',
    "{'type':'a','payload':{}}",
    '{type:"a","payload":{}}',
    '{"type":"a","payload":{"n":01}}',
    '{"type":"a","payload":{"n":.5}}',
    '{"type":"a","payload":{"n":NaN}}',
    '{"type":"a","payload":{"s":"\\x41"}}',
    '{"type":"a","payload":{"s":"\u0000"}}',
    '{"type":"a","payload":{"s":"a\nb"}}',
    '{"type":"a",/* no */"payload":{}}',
    ' ',
    'undefined',
  ].map((body) => ({ what: `not JSON: ${JSON.stringify(body)}`, body, expected: invalidJson })),
  { what: 'a byte that UTF-8 has not', body: holding(0xff), expected: invalidJson },
  { what: 'a zero in two bytes', body: holding(0xc0, 0x80), expected: invalidJson },
  { what: 'half of a character', body: holding(0xe2, 0x82), expected: invalidJson },
  { what: 'half a surrogate pair', body: holding(0xed, 0xa0, 0x80), expected: invalidJson },
  { what: 'a character beyond the last', body: holding(0xf4, 0x90, 0x80, 0x80), expected: invalidJson },
  { what: 'UTF-16', body: Buffer.from('{"type":"a","payload":{}}', 'utf16le'), expected: invalidJson },
  ...[
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    '',
  ].map((type) => ({
    what: `content type "${type}"`,
    body: JSON.stringify(event),
    headers: { 'content-type': type },
    expected: notJson,
  })),
]

const WRONG_FORM: Case[] = [
  { what: 'an empty body', body: '', expected: invalid('') },
  ...['null', '[]', '"a"', '1', 'true'].map((body) => ({ what: body, body, expected: invalid('') })),
  { what: 'nothing in it', body: {}, expected: invalid('/type', '/payload') },
  ...[
    1,
    true,
    null,
    [],
    ['a.b'],
    {},
    '',
    'A.b',
    'a b',
    'a-b',
    'a/b',
    'a.*',
    'ü',
    'a\n',
    ' a',
    'x'.repeat(201),
  ].map((type) => ({
    what: `type ${JSON.stringify(type).slice(0, 20)}`,
    body: { ...event, type },
    expected: invalid('/type'),
  })),
  ...[null, 'x', '{}', 1, true, [], [{}]].map((payload) => ({
    what: `payload ${JSON.stringify(payload)}`,
    body: { ...event, payload },
    expected: invalid('/payload'),
  })),
  ...[null, {}, 'x', edge].map((wrong) => ({
    what: `edges ${JSON.stringify(wrong)}`,
    body: { ...event, edges: wrong },
    expected: invalid('/edges'),
  })),
  ...[null, 1, 'sent_by', []].map((first) => ({
    what: `an edge that is ${JSON.stringify(first)}`,
    body: { ...event, edges: [first] },
    expected: invalid('/edges/0'),
  })),
  {
    what: 'an empty edge',
    body: { ...event, edges: [edge, {}] },
    expected: invalid('/edges/1/type', '/edges/1/targetType', '/edges/1/targetId'),
  },
  ...['type', 'targetType', 'targetId'].flatMap((name) =>
    [1, null, '', 'a\0b', '\ud800', 'x'.repeat(201)].map((value) => ({
      what: `an edge with the ${name} ${JSON.stringify(value).slice(0, 20)}`,
      body: { ...event, edges: [{ ...edge, [name]: value }] },
      expected: invalid(`/edges/0/${name}`),
    })),
  ),
  {
    what: 'an edge with more to it',
    body: { ...event, edges: [{ ...edge, weight: 1 }] },
    expected: invalid('/edges/0/weight'),
  },
  { what: '51 edges', body: { ...event, edges: edges(51) }, expected: invalid('/edges') },
  ...['externalId', 'orgid'].flatMap((name) =>
    [5, true, null, '', [], ['x'], 'a\0b', '\udc00x', 'x'.repeat(201)].map((value) => ({
      what: `${name} ${JSON.stringify(value).slice(0, 20)}`,
      body: { ...event, [name]: value },
      expected: invalid(`/${name}`),
    })),
  ),
  ...[5, null, '', 'x', `urn:uuid:${UNKNOWN_ID}`, `{${UNKNOWN_ID}}`, UNKNOWN_ID.replaceAll('-', '')].map(
    (originEventId) => ({
      what: `originEventId ${JSON.stringify(originEventId)}`,
      body: { ...event, originEventId },
      expected: invalid('/originEventId'),
    }),
  ),
  ...['id', 'appId', 'position', 'status', 'createdAt', 'extra', 'a/b~c'].map((name) => ({
    what: `the unknown property ${name}`,
    body: { ...event, [name]: 1 },
    expected: invalid(`/${name.replace('~', '~0').replace('/', '~1')}`),
  })),
  {
    what: 'the unknown property __proto__',
    body: '{"type":"a.b","payload":{},"__proto__":{"externalId":"x"}}',
    expected: invalid('/__proto__'),
  },
  ...['', 'x'.repeat(201)].map((key) => ({
    what: `an Idempotency-Key of ${key.length} characters`,
    body: event,
    headers: { 'idempotency-key': key },
    expected: invalid('/idempotency-key'),
  })),
]

const REFUSED: Case[] = [
  ...[
    'message.foo',
    'message.',
    'user.x',
    'system.x',
    'link_code.x',
    'system.collection.create',
    'message.inbound',
    'user.merged',
  ].map((type) => ({ what: `type ${type}`, body: { ...event, type }, expected: reserved })),
  {
    what: 'an unknown origin',
    body: { ...event, originEventId: UNKNOWN_ID },
    expected: { status: 422, type: 'unknown-origin', pointers: ['/originEventId'] },
  },
  {
    what: 'a payload one byte too large',
    body: `{"type":"a.b","payload":{"x":"${'y'.repeat(MAX_PAYLOAD_BYTES - 7)}"}}`,
    expected: { ...tooLarge, pointers: ['/payload'] },
  },
  {
    what: 'a payload of few characters but too many bytes',
    body: { ...event, payload: { x: '店'.repeat(MAX_PAYLOAD_BYTES / 2) } },
    expected: { ...tooLarge, pointers: ['/payload'] },
  },
  {
    what: 'a body beyond the limit of the route',
    body: { ...event, payload: { x: 'y'.repeat(MAX_PAYLOAD_BYTES + 70_000) } },
    expected: tooLarge,
  },
  ...[101, 300].map((depth) => ({
    what: `a payload ${depth} deep`,
    body: `{"type":"a.b","payload":${nested(depth)}}`,
    expected: invalid('/payload'),
  })),
  {
    what: 'a payload so deep that a parser could overflow',
    body: `{"type":"a.b","payload":{"a":${'['.repeat(900)}${']'.repeat(900)}}}`,
    expected: invalid('/payload'),
  },
  {
    what: 'nesting in another place',
    body: `{"type":"a.b","payload":{},"edges":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
    expected: invalid('/edges/0'),
  },
]

t.test('what cannot be an event is refused and leaves no trace', async (t) => {
  const service = await startService(t, {
    worker: false,
    settings: { MAX_PAYLOAD_BYTES: String(MAX_PAYLOAD_BYTES) },
  })
  for (const [group, cases] of Object.entries({ NOT_JSON, WRONG_FORM, REFUSED })) {
    t.test(group, async (t) => {
      for (const { what, body, headers, expected } of cases) {
        // An app of its own, so that one event too many is put down to what caused it.
        const client = await service.client()
        expectProblem(t, await client.post('/events', body, headers), expected, what)
        await expectEmptyLog(t, client, what)
      }
      t.pass(`${cases.length} cases`)
    })
  }

  t.test('no body at all', async (t) => {
    const client = await service.client()
    const answer = await call(service.url, 'POST', '/events', { key: client.key })
    expectProblem(t, answer, { status: 400, type: 'validation-failed' }, 'without a body')
    await expectEmptyLog(t, client, 'without a body')
    t.equal(answer.status, 400)
  })

  t.test('a body with very many faults gets a short answer', async (t) => {
    const client = await service.client()
    const faults = Array.from({ length: 5_000 }, (_, index) => `"a${index}":1`)
    const answer = await client.post('/events', `{${faults.join(',')}}`)
    expectProblem(t, answer, { status: 400, type: 'validation-failed' }, '5,000 unknown properties')
    t.ok(answer.text.length < 65_536, `${answer.text.length} characters`)
  })

  t.test('what is just within the limits is taken', async (t) => {
    const client = await service.client()
    const taken: Record<string, unknown> = {
      'the longest type': { ...event, type: 'x'.repeat(200) },
      'a type that only looks reserved': { ...event, type: 'messages.foo' },
      'a built-in type of no reserved kind': { ...event, type: 'order.placed' },
      'no edges': { ...event, edges: [] },
      '50 edges': { ...event, edges: edges(50) },
      'long ids of any characters': { ...event, externalId: '😀'.repeat(200), orgid: '"\\{},\t'.repeat(20) },
      'the largest payload': `{"type":"a.b","payload":{"x":"${'y'.repeat(MAX_PAYLOAD_BYTES - 8)}"}}`,
      'the deepest payload': `{"type":"a.b","payload":${nested(100)}}`,
      'brackets in strings, which are no nesting': {
        ...event,
        payload: { x: '[{'.repeat(200), '{"[': '\\"[{' },
      },
      'an empty payload': { ...event, payload: {} },
    }
    for (const [what, body] of Object.entries(taken)) {
      const { status, text } = await client.post('/events', body)
      t.equal(status, 201, `${what}: ${text.slice(0, 200)}`)
    }
    const charset = { 'content-type': 'application/json; charset=utf-8' }
    t.equal((await client.post('/events', JSON.stringify(event), charset)).status, 201, 'a named charset')
  })
})
