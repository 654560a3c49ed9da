import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { compilePatterns, PATTERN_FORM } from '../../../src/features/matching/patterns.ts'

const form = new RegExp(PATTERN_FORM)

t.test('what a pattern matches', async (t) => {
  const cases: [string, matched: string[], others: string[]][] = [
    [
      'order.placed',
      ['order.placed'],
      ['order', 'order.placed.twice', 'order_placed', 'orderXplaced', 'an.order.placed'],
    ],
    [
      'order.*',
      ['order.placed', 'order.'],
      ['order', 'order.item.added', 'orders.placed', 'an.order.placed'],
    ],
    ['*.placed', ['order.placed'], ['placed', 'an.order.placed', 'order.placed.twice']],
    ['order.*.added', ['order.item.added'], ['order.added', 'order.item.part.added']],
    ['*.*', ['order.placed'], ['order', 'order.item.added']],
    ['order.**', ['order.placed', 'order.item.added', 'order.'], ['order', 'orders.placed']],
    ['**.added', ['item.added', 'order.item.added'], ['added']],
    ['order.**.added', ['order.item.added', 'order.item.part.added'], ['order.added', 'order.item']],
    ['**.item.**', ['order.item.added', 'a.b.item.item.c'], ['item.added', 'order.item']],
    ['**', ['order', 'order.placed', 'order.item.added', '.'], []],
    ['*', ['order', 'order.placed', 'order.item.added', '.'], []],
    ['*.**', ['order.placed', 'order.item.added'], ['order']],
    ['order..placed', ['order..placed'], ['order.placed']],
  ]
  for (const [pattern, matched, others] of cases) {
    const matches = compilePatterns([pattern])
    t.match(pattern, form)
    for (const type of matched) t.equal(matches(type), true, `${pattern} matches ${type}`)
    for (const type of others) t.equal(matches(type), false, `${pattern} does not match ${type}`)
  }
})

t.test('several patterns match what any of them matches', async (t) => {
  const matches = compilePatterns(['order.placed', 'user.*'])
  t.equal(matches('order.placed'), true)
  t.equal(matches('user.merged'), true)
  t.equal(matches('order.shipped'), false)
  t.equal(compilePatterns(['order.placed', '*'])('user.merged'), true)
  t.equal(compilePatterns([])('order.placed'), false, 'none of none')
})

t.test('what is a pattern', async (t) => {
  for (const right of ['order', 'order.placed', 'a_1.b', '*', '**', '*.a', 'a.**', '.', 'a.'])
    t.match(right, form)
  const wrong = [
    'ord*',
    '*er',
    'o*r.a',
    '***',
    'a.***',
    'Order',
    'a b',
    'a-b',
    'é',
    'a.*b',
    'a,b',
    'a\n',
    '.+',
    'a.(b)',
  ]
  for (const pattern of wrong) t.notMatch(pattern, form)
})

const segment = fc.string({ unit: fc.constantFrom('a', 'b', '_', '1'), maxLength: 2 })
const joined = (part: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.'))
const anyType = joined(segment).filter((type) => type !== '')
const anyPattern = joined(fc.oneof(segment, fc.constantFrom('*', '**')))

/** The rules as a regular expression. */
function reference(pattern: string): RegExp {
  if (pattern === '*') return /^.*$/
  const parts = pattern.split('.').map((part) => {
    if (part === '*') return '[^.]*'
    return part === '**' ? '[^.]*(?:\\.[^.]*)*' : part
  })
  return new RegExp(`^${parts.join('\\.')}$`)
}

t.test('patterns match what the rules say', async (t) => {
  fc.assert(
    fc.property(fc.array(anyPattern, { maxLength: 4 }), anyType, (patterns, type) => {
      const expected = patterns.some((pattern) => reference(pattern).test(type))
      assert.equal(compilePatterns(patterns)(type), expected)
    }),
    { numRuns: 5_000 },
  )
  t.pass('for arbitrary patterns and types')
})

t.test('a type matches itself and itself with any segments made stars', async (t) => {
  fc.assert(
    fc.property(
      anyType,
      fc.array(fc.constantFrom('as it is', '*', '**'), { minLength: 5 }),
      (type, choices) => {
        const pattern = type
          .split('.')
          .map((part, index) => (choices[index] === 'as it is' ? part : choices[index]))
          .join('.')
        assert.match(pattern, form)
        assert.equal(compilePatterns([pattern])(type), true)
      },
    ),
    { numRuns: 1_000 },
  )
  t.pass('for arbitrary types')
})

t.test('a pattern with many stars takes no longer than others', async (t) => {
  // Matched by trying out, this would go on for longer than anyone waits.
  const matches = compilePatterns([`${'**.'.repeat(60)}end`])
  t.equal(matches(`${'a.'.repeat(120)}no`), false)
  t.equal(matches(`${'a.'.repeat(120)}end`), true)
})
