import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { compileRoomPatterns, isRoomPattern } from '../../../src/features/observation/patterns.ts'

t.test('what a pattern matches', async (t) => {
  const cases: [pattern: string, matched: string[], others: string[]][] = [
    ['orders', ['orders'], ['order', 'orders/17', 'Orders', 'orders/']],
    ['orders/*', ['orders/17', 'orders/..'], ['orders', 'orders/17/items', 'an/orders/17']],
    ['*', ['orders'], ['orders/17', '']],
    ['*/17', ['orders/17'], ['17', 'an/orders/17']],
    ['orders/*/items', ['orders/17/items'], ['orders/items', 'orders/1/2/items']],
    ['orders/**', ['orders', 'orders/17', 'orders/17/items'], ['order', 'orders2', 'an/orders']],
    ['**', ['orders', 'orders/17', '1/2/3/4/5/6/7/8'], ['', '/', 'a//b', '1/2/3/4/5/6/7/8/9', 'a b']],
    ['**/items', ['items', 'orders/items', 'orders/17/items'], ['items/1', 'orderitems']],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b', 'a/b/b'], ['a', 'b', 'a/b/c']],
    ['**/a/**', ['a', 'x/a', 'a/x', 'x/a/y', 'a/a'], ['x', 'x/y', 'aa']],
    ['*/**', ['a', 'a/b', 'a/b/c'], ['']],
    ['**/*/**/*', ['a/b', 'a/b/c'], ['a']],
    ['a.*', [], ['a.b', 'a.*']],
  ]
  for (const [pattern, matched, others] of cases) {
    const matches = compileRoomPatterns([pattern])
    for (const room of matched) t.equal(matches(room), true, `${pattern} matches ${room}`)
    for (const room of others) t.equal(matches(room), false, `${pattern} does not match ${room}`)
  }
  const several = compileRoomPatterns(['chat', 'orders/*'])
  t.strictSame(['chat', 'orders/1', 'orders', 'chat/1'].map(several), [true, true, false, false])
  t.equal(compileRoomPatterns([])('chat'), false, 'none of none')
})

t.test('what is a pattern', async (t) => {
  const right = ['a', '*', '**', 'a/*', '**/a/**', '**/**', 'A.b:c@d~e-_', '*/*/*/*/*/*/*/*', 'x'.repeat(128)]
  for (const pattern of right) t.equal(isRoomPattern(pattern), true, pattern)
  const wrong = [
    '',
    '/',
    'a/',
    '/*',
    '***',
    'a*',
    '*a',
    'a/b*',
    '**/***',
    '* *',
    'a b',
    'ü',
    'a\n',
    '*\n',
    'a,b',
    '[a]',
  ]
  const long = [
    '*/'.repeat(8) + '*',
    'x'.repeat(129),
    `${'x'.repeat(128)}/${'y'.repeat(127)}`,
    '*/'.repeat(500_000),
  ]
  for (const pattern of [...wrong, ...long]) t.equal(isRoomPattern(pattern), false, pattern.slice(0, 30))
})

const segment = fc.constantFrom('a', 'b', 'ab', '.')
const anyRoom = fc.array(segment, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('/'))
const anyPattern = fc
  .array(fc.oneof(segment, fc.constantFrom('*', '**')), { minLength: 1, maxLength: 8 })
  .map((parts) => parts.join('/'))

/** The rules, by trying out everything. */
function takes([part, ...rest]: string[], segments: string[]): boolean {
  if (part === undefined) return segments.length === 0
  if (part === '**') return segments.some((_, used) => takes(rest, segments.slice(used))) || takes(rest, [])
  const [first, ...others] = segments
  return first !== undefined && (part === '*' || part === first) && takes(rest, others)
}

t.test('patterns match what the rules say', async (t) => {
  fc.assert(
    fc.property(fc.array(anyPattern, { maxLength: 4 }), anyRoom, (patterns, room) => {
      assert.ok(patterns.every(isRoomPattern))
      const expected = patterns.some((pattern) => takes(pattern.split('/'), room.split('/')))
      assert.equal(compileRoomPatterns(patterns)(room), expected)
    }),
    { numRuns: 10_000 },
  )
  t.pass('for arbitrary patterns and rooms')
})

t.test('a pattern with many stars takes no longer than others', async (t) => {
  // Matched by trying out, thousands of segments would go on for longer than anyone waits.
  const matches = compileRoomPatterns(Array.from({ length: 32 }, () => `${'**/'.repeat(2_000)}end`))
  t.equal(matches('a/a/a/a/a/a/a/no'), false)
  t.equal(matches('a/a/a/a/a/a/a/end'), true)
  t.equal(matches('a/'.repeat(100_000) + 'end'), false, 'and what is no room is not looked at')
})
