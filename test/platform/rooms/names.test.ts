import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { isRoom, isSegment, WebSocketRooms, WebSocketTopics } from '../../../src/platform/rooms/names.ts'

const LETTERS = 'ABCXYZabcxyz019_.:@~-'
const long = (length: number): string => 'x'.repeat(length)

t.test('topics and rooms are built of segments', async (t) => {
  const paths = ['observation', 'outreach', 'inquiry', 'submitted']
  t.equal(WebSocketTopics.build({ paths }), 'observation/outreach/inquiry/submitted')
  t.equal(WebSocketRooms.build({ paths: ['outreach', 'inquiries'] }), 'outreach/inquiries')
  t.equal(WebSocketRooms.build({ paths: ['outreach', 'inquiries', '42'] }), 'outreach/inquiries/42')
  t.equal(WebSocketRooms.build({ paths: ['..', '.', '~', LETTERS] }), `.././~/${LETTERS}`, 'no path of files')
  t.equal(WebSocketRooms.build({ paths: Array.from('12345678') }), '1/2/3/4/5/6/7/8')
  t.equal(WebSocketRooms.build({ paths: [long(128), long(126)] }).length, 255)
})

t.test('what is wrong with a segment is said', async (t) => {
  const cases: [paths: unknown[], says: string][] = [
    [[], 'has 0 segments'],
    [Array.from('123456789'), 'has 9 segments'],
    [['a', ''], '"" as segment 2'],
    [['a/b'], '"a/b" as segment 1'],
    [['a', 'b c'], '"b c"'],
    [['*'], '"*"'],
    [['**'], '"**"'],
    [['a,b'], '"a,b"'],
    [['{payload.id}'], '"{payload.id}"'],
    [['ü'], '"ü"'],
    [['a\n'], '"a\\n"'],
    [['a\0'], '"a\\u0000"'],
    [['\ud800'], '"\\ud800"'],
    [['a', long(129)], 'as segment 2'],
    [['a', long(1_000_000)], 'as segment 2'],
    [[long(128), long(127)], 'has 256 characters'],
    [['a', undefined], '"undefined" as segment 2'],
    [['a', null], '"null" as segment 2'],
    [['a', 5], '"5" as segment 2'],
    [[{ toString: () => 'a' }], 'as segment 1'],
  ]
  for (const [paths, says] of cases) {
    for (const { build } of [WebSocketTopics, WebSocketRooms]) {
      try {
        build({ paths: paths as string[] })
        t.fail(`${says}: was built`)
      } catch (error) {
        assert.ok(error instanceof RangeError)
        t.ok(error.message.includes(says), error.message)
        t.ok(error.message.length < 200)
      }
    }
  }
})

t.test('a text is a room when it is built of segments', async (t) => {
  const anyText = fc.oneof(
    fc.string({ unit: fc.constantFrom(...Array.from(LETTERS), '/', ' ', '*', 'ü', '\n'), maxLength: 12 }),
    fc
      .array(fc.string({ unit: fc.constantFrom('a', '9'), maxLength: 130 }), { maxLength: 10 })
      .map((parts) => parts.join('/')),
  )
  fc.assert(
    fc.property(anyText, (text) => {
      let built: string | undefined
      try {
        built = WebSocketRooms.build({ paths: text.split('/') })
      } catch (error) {
        assert.ok(error instanceof RangeError)
      }
      assert.equal(isRoom(text), built === text)
      assert.equal(isSegment(text), isRoom(text) && !text.includes('/'))
    }),
    { numRuns: 5_000 },
  )
  for (const text of [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'a\n',
    '\na',
    'a b',
    long(129),
    `a/${'b/'.repeat(200_000)}`,
  ])
    t.equal(isRoom(text), false, JSON.stringify(text.slice(0, 20)))
})
