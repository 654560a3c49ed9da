import t from 'tap'
import fc from 'fast-check'
import { readClientFrame } from '../../../src/features/observation/frames.ts'
import { clientMessages } from '../../../src/features/observation/asyncapi/messages.ts'

const read = (frame: unknown) => readClientFrame(JSON.stringify(frame))
const isBad = (frame: object): boolean => 'code' in frame

t.test('every form of frame is taken as it is', async (t) => {
  for (const { examples } of Object.values(clientMessages))
    for (const { payload } of examples) {
      t.strictSame(read(payload), payload)
      const { ref, ...bare } = payload as { ref?: unknown }
      t.ok(ref)
      t.strictSame(read(bare), bare, 'a ref need not be')
    }
  for (const data of [null, 0, '', false, [], {}, { a: [{ b: 1 }] }])
    t.strictSame(read({ action: 'publish', room: 'a', topic: 'b', data }), {
      action: 'publish',
      room: 'a',
      topic: 'b',
      data,
    })
  const eight = Array(8).fill('a'.repeat(30)).join('/')
  for (const room of [
    'a',
    'A-Z_0:9.@~-',
    '128'.padEnd(128, '0'),
    eight,
    `${'a'.repeat(128)}/${'b'.repeat(126)}`,
  ])
    t.notOk(isBad(read({ action: 'join', room })), room)
})

t.test('anything else is refused, and it is told what is wrong', async (t) => {
  const room = 'orders'
  const cases: [unknown, RegExp][] = [
    [[], /not a JSON object/],
    [null, /not a JSON object/],
    ['ping', /not a JSON object/],
    [{}, /"action" must be one of join, leave, publish, presence, auth, ping\./],
    [{ action: 'Join', room }, /"action" must be one of/],
    [{ action: 'constructor' }, /"action" must be one of/],
    [{ action: ['ping'] }, /"action" must be one of/],
    [{ action: 'join' }, /"room" is required/],
    [{ action: 'join', room: 1 }, /"room" must be a string/],
    [{ action: 'join', room, after: '1' }, /"after" must be an integer/],
    [{ action: 'join', room, after: -1 }, /"after" must be at least 0/],
    [{ action: 'join', room, after: 1.5 }, /"after" must be an integer/],
    [{ action: 'join', room, after: 2 ** 53 }, /"after" must be at most /],
    [{ action: 'join', room, presence: 'yes' }, /"presence" must be a boolean/],
    [{ action: 'join', room, rooms: [] }, /"rooms" is not a known property/],
    [{ action: 'publish', room, topic: 'a' }, /"data" is required/],
    [{ action: 'publish', room, topic: 'a b', data: 1 }, /"topic" does not have the form/],
    [{ action: 'auth', token: '' }, /"token" must not be empty/],
    [{ action: 'ping', ref: 1.5 }, /"ref" must be a string of at most 64 characters or an integer/],
    [{ action: 'ping', ref: 2 ** 53 }, /"ref" must be/],
    [{ action: 'ping', ref: null }, /"ref" must be/],
    [{ action: 'ping', ref: 'x'.repeat(65) }, /"ref" must be/],
  ]
  for (const name of [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'a b',
    'ä',
    '*',
    'a\n',
    'a/b/c/d/e/f/g/h/i',
    '0'.repeat(129),
  ])
    cases.push([{ action: 'join', room: name }, /"room" does not have the form/])
  cases.push([{ action: 'join', room: `${'a'.repeat(128)}/${'b'.repeat(127)}` }, /"room" must have at most/])
  for (const [frame, detail] of cases) {
    const answer = read(frame)
    t.match(answer, { code: 'bad-frame', detail }, JSON.stringify(frame))
    t.notOk('ref' in answer)
  }
  t.match(readClientFrame('{"action":'), { code: 'bad-frame', detail: /not JSON/ })
  t.match(readClientFrame(''), { code: 'bad-frame', detail: /not JSON/ })
  t.match(readClientFrame('{"action":"ping","__proto__":{}}'), { detail: /"__proto__" is not a known/ })
})

t.test('the ref is repeated where it could be read', async (t) => {
  for (const ref of ['', 'x'.repeat(64), 0, -5, Number.MAX_SAFE_INTEGER])
    for (const frame of [{ ref }, { action: 'join', ref }, { action: 'ping', more: 1, ref }])
      t.equal((read(frame) as { ref?: unknown }).ref, ref)
})

t.test('no text makes it throw', async (t) => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.jsonValue().map((value) => JSON.stringify(value)),
  )
  const members = fc.dictionary(
    fc.constantFrom('action', 'room', 'after', 'ref', 'topic', 'data', 'token', 'presence'),
    fc.oneof(fc.jsonValue(), fc.constantFrom('join', 'publish', 'ping', 'orders/1', 41)),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        texts,
        members.map((value) => JSON.stringify(value)),
      ),
      (text) => {
        const frame = readClientFrame(text)
        return 'code' in frame
          ? frame.detail !== ''
          : JSON.stringify(frame) === JSON.stringify(JSON.parse(text))
      },
    ),
    { numRuns: 1000 },
  )
  const deep = `{"action":"publish","room":"a","topic":"b","data":${'['.repeat(30_000)}${']'.repeat(30_000)}}`
  t.notOk(isBad(readClientFrame(deep)))
})
