import fc from 'fast-check'
import t from 'tap'
import { fitted, indented } from '../../../src/features/destinations/text-of.ts'

t.test('indented JSON looks as JSON.stringify makes it, and says the same', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 1, '\t', ' \n'), (value, space) => {
      const json = JSON.stringify(value, null, space)
      return indented(json, Infinity) === JSON.stringify(value, null, 2)
    }),
  )
  t.equal(
    indented('{"n":1.00,"n":12345678901234567890,"e":{ },"a":[\n]}', 100),
    '{\n  "n": 1.00,\n  "n": 12345678901234567890,\n  "e": {},\n  "a": []\n}',
  )
  const long = JSON.stringify('x'.repeat(1_000))
  t.ok(indented(long, 50).length <= 60, 'no more is made than is needed')
})

t.test('a fitted text is never longer than it may be, nor torn', async () => {
  const escape = (character: string): string => (character === '&' ? '&amp;' : character)
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', '&', '😀', '\n') }),
      fc.integer({ min: 2, max: 30 }),
      (text, maxLength) => {
        const whole = text.replaceAll('&', '&amp;')
        const result = fitted(text, maxLength, escape)
        if (whole.length <= maxLength) return result === whole
        const kept = result.slice(0, -2)
        return (
          result.length <= maxLength &&
          result.length > maxLength - 5 &&
          result.endsWith('\n…') &&
          result.isWellFormed() &&
          whole.startsWith(kept) &&
          !kept.replaceAll('&amp;', '').includes('&')
        )
      },
    ),
    { numRuns: 1_000 },
  )
})
