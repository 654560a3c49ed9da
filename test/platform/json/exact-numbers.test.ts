import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  compareNumbers,
  exactNumber,
  ExactNumber,
  InexactNumber,
  parseAsWritten,
  parseExactly,
  settled,
  writtenNumber,
} from '../../../src/platform/json/exact-numbers.ts'
import { jsonText } from '../../helpers/json-text.ts'
import { fractionOf, HARD_NUMBERS, NUMBER_TEXT, orderOf } from '../../helpers/numbers.ts'

const RUNS = { numRuns: 5_000 }

t.test('numbers are compared by their decimal values, as fractions of whole numbers are', async (t) => {
  const seen = { '-1': 0, '0': 0, '1': 0 }
  fc.assert(
    fc.property(NUMBER_TEXT, NUMBER_TEXT, (a, b) => {
      const order = orderOf(a, b) as -1 | 0 | 1
      seen[`${order}`]++
      for (const read of [exactNumber, writtenNumber]) {
        assert.equal(Math.sign(compareNumbers(read(a), exactNumber(b))), order, `${a} ${b}`)
        assert.equal(Math.sign(compareNumbers(settled(read(a)), exactNumber(b))), order)
      }
      assert.equal(
        String(exactNumber(a)) === String(writtenNumber(b)),
        order === 0,
        'the same text for the same value',
      )
    }),
    RUNS,
  )
  t.ok(Math.min(...Object.values(seen)) > 50, `of each kind: ${JSON.stringify(seen)}`)
})

t.test('a number of JavaScript stands only for the decimal that it is written as', async (t) => {
  fc.assert(
    fc.property(NUMBER_TEXT, (text) => {
      const number = exactNumber(text)
      const [up, down] = fractionOf(String(number).replace('+', ''))
      const [otherUp, otherDown] = fractionOf(text)
      assert.equal(up * otherDown, otherUp * down)
      if (number instanceof ExactNumber) assert.notEqual(orderOf(text, writtenAsDouble(text)), 0)
    }),
    RUNS,
  )
  t.equal(exactNumber('1e22'), 1e22)
  t.equal(exactNumber('9007199254740994.0'), 9007199254740994)
  t.type(exactNumber('9007199254740993'), ExactNumber)
  t.type(exactNumber(`1${'0'.repeat(400)}`), ExactNumber)
})

/** The shortest decimal that is read as the double of a number; of none at all a number that is far away. */
const writtenAsDouble = (text: string): string =>
  Number.isFinite(Number(text)) ? String(Number(text)).replace('+', '') : '17'

t.test('what is parsed as it is written is written as it was', async (t) => {
  fc.assert(
    fc.property(NUMBER_TEXT, fc.constantFrom('', ' ', '\n'), (number, space) => {
      for (const [before, after] of [
        ['', ''],
        ['[', ']'],
        ['[0,', ',1.50]'],
        ['{"a":', ',"b":"1.10"}'],
        ['{"a":{"__proto__":', '}}'],
      ]) {
        const text = `${before}${space}${number}${after}`
        assert.equal(JSON.stringify(parseAsWritten(text)), text.replace(space, ''))
      }
    }),
    RUNS,
  )
  t.pass('whatever the number is')
})

t.test('numbers are all that is parsed otherwise than JSON.parse does', async (t) => {
  const doubles = (value: unknown): unknown => {
    if (value instanceof ExactNumber) return Number(JSON.stringify(value))
    if (Array.isArray(value)) return value.map(doubles)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, doubles(member)]))
  }
  fc.assert(
    fc.property(jsonText, (text) => {
      const parsed: unknown = JSON.parse(text)
      assert.deepEqual(doubles(parseExactly(text)), parsed)
      assert.deepEqual(doubles(parseAsWritten(text)), parsed)
    }),
  )
  t.pass('of any text')
})

t.test('arithmetic takes what doubles are for, and nothing that they would change', async (t) => {
  const taken: [text: string, value: number][] = [
    ['1.10', 1.1],
    ['-0', -0],
    ['5.0', 5],
    ['1e3', 1000],
    ['6.02214076e23', 6.02214076e23],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['3.14159265358979323846', Math.PI],
    ['0e999', 0],
  ]
  for (const [text, value] of taken) t.equal(+new ExactNumber(text), value, text)
  const refused = [
    '9007199254740992',
    '813683310949021977',
    '-813683310949021977',
    '8.13683310949021977e17',
    '1e400',
  ]
  for (const text of [...refused, '1e-400', '-1e400', '100000000000000000000000']) {
    t.throws(() => +new ExactNumber(text), new InexactNumber(text), text)
  }
  t.ok(new InexactNumber('9'.repeat(100_000)).message.length < 200)
})

t.test('a number of any length costs time in proportion to it', async (t) => {
  const zeros = '0'.repeat(200_000)
  const long = [
    `1${zeros}`,
    `1${zeros}1`,
    `0.${zeros}1`,
    `1e${'9'.repeat(200_000)}`,
    `0.${zeros}${'1'.repeat(10)}${zeros}`,
  ]
  for (const a of long) {
    for (const b of long) t.equal(compareNumbers(exactNumber(a), exactNumber(b)) === 0, a === b)
  }
  t.equal(JSON.stringify(parseAsWritten(`[${long.join()}]`)), `[${long.join()}]`)
  t.equal(
    HARD_NUMBERS.filter((text) => writtenNumber(text) instanceof ExactNumber).length,
    HARD_NUMBERS.length,
  )
})
