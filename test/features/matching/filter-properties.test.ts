import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { compileFilter } from '../../../src/features/matching/filter.ts'
import { jsonText } from '../../helpers/json-text.ts'
import { filterHolds, isObject, memberHolds, OPERATORS, type Json } from '../../helpers/plain-filter.ts'

const NAME = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('a', 'b', '0') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '1',
      'payload',
      'any',
      'eq',
      'length',
      '__proto__',
      'constructor',
      'toString',
      'ß~/',
    ),
  },
)
const TEXT = fc.constantFrom('', 'a', 'b', 'ab', 'abab', 'ß', '\u{1F600}', '\uFFFD', '1')
const SCALAR = fc.oneof(TEXT, fc.constantFrom(null, true, false, 0, -0, 1, 1.5, -1, 1e300))

/** Own members, also of names such as `__proto__`. */
const objectOf = <T>(name: fc.Arbitrary<string>, value: fc.Arbitrary<T>, maxLength = 3): fc.Arbitrary<Json> =>
  fc.array(fc.tuple(name, value), { maxLength }).map((members) => Object.fromEntries(members))

const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 2, depthSize: 'medium' },
    SCALAR,
    fc.array(tie('json'), { maxLength: 3 }),
    objectOf(NAME, tie('json')),
  ),
}))
const PAYLOAD = fc.oneof({ weight: 4, arbitrary: objectOf(NAME, json, 5) }, { weight: 1, arbitrary: json })

const PATH = fc
  .array(NAME, { minLength: 1, maxLength: 3 })
  .map((segments) => segments.join('.'))
  .map((path) => (OPERATORS.has(path) ? `a.${path}` : path))

const { filter, value } = fc.letrec<{ filter: Json; value: unknown; condition: Json }>((tie) => {
  const parts = <T>(part: fc.Arbitrary<T>) => fc.array(part, { minLength: 1, maxLength: 2 })
  const comparable = fc.oneof(TEXT, fc.constantFrom(-1, 0, 1, 1.5))
  return {
    condition: fc.oneof(
      { maxDepth: 2, depthSize: 'small' },
      fc.record(
        { eq: json, ne: json, in: fc.array(json, { maxLength: 3 }), nin: fc.array(json, { maxLength: 3 }) },
        { requiredKeys: [] },
      ),
      fc.record({ gt: comparable, gte: comparable, lt: comparable, lte: comparable }, { requiredKeys: [] }),
      fc.record(
        { exists: fc.boolean(), startsWith: TEXT, endsWith: TEXT, contains: fc.oneof(TEXT, json) },
        { requiredKeys: [] },
      ),
      fc.record(
        { any: parts(tie('value')), all: parts(tie('value')), not: tie('value') },
        { requiredKeys: [] },
      ),
    ),
    value: fc.oneof(
      { maxDepth: 2, depthSize: 'small' },
      SCALAR,
      fc.array(json, { maxLength: 2 }),
      tie('condition'),
      objectOf(PATH, tie('value'), 2),
    ),
    filter: fc.oneof(
      { maxDepth: 2, depthSize: 'small' },
      objectOf(PATH, tie('value'), 2),
      fc
        .tuple(
          objectOf(PATH, tie('value'), 1),
          fc.record(
            { any: parts(tie('filter')), all: parts(tie('filter')), not: tie('filter') },
            { requiredKeys: [] },
          ),
        )
        .map(([members, logic]) =>
          Object.fromEntries([...Object.entries(members), ...Object.entries(logic)]),
        ),
    ),
  }
})

/** A path that never is an operator, in segments. */
const SEGMENTS = fc.array(
  NAME.filter((name) => !OPERATORS.has(name)),
  { minLength: 1, maxLength: 3 },
)

const RUNS = { numRuns: 2_000 }

t.test('a filter means what it means to an evaluator that is written plainly', async (t) => {
  const seen = { true: 0, false: 0 }
  fc.assert(
    fc.property(filter, fc.array(PAYLOAD, { minLength: 1, maxLength: 4 }), (anyFilter, payloads) => {
      const matches = compileFilter(anyFilter)
      for (const payload of payloads) {
        const expected = filterHolds(anyFilter, payload)
        assert.equal(matches(payload), expected)
        seen[`${expected}`]++
      }
    }),
    RUNS,
  )
  t.ok(seen.true > 200 && seen.false > 200, 'of both kinds')
})

t.test('a single condition means that, too', async (t) => {
  fc.assert(
    fc.property(value, json, json, (condition, own, other) => {
      for (const payload of [own, other]) {
        assert.equal(
          compileFilter({ payload: condition })(payload),
          memberHolds(condition, payload, ['payload']),
        )
        assert.equal(
          compileFilter({ 'a.0': condition })({ a: [payload] }),
          memberHolds(condition, payload, ['payload']),
        )
      }
    }),
    RUNS,
  )
  t.pass('of any value')
})

t.test('not is the complement', async (t) => {
  fc.assert(
    fc.property(filter, PATH, value, PAYLOAD, (anyFilter, path, condition, payload) => {
      assert.notEqual(compileFilter({ not: anyFilter })(payload), compileFilter(anyFilter)(payload))
      assert.notEqual(
        compileFilter({ [path]: { not: condition } })(payload),
        compileFilter({ [path]: condition })(payload),
      )
    }),
    RUNS,
  )
  t.pass('of any filter and condition')
})

t.test('ne and nin are the complements of eq and in', async (t) => {
  fc.assert(
    fc.property(PATH, fc.array(json, { maxLength: 4 }), PAYLOAD, (path, operands, payload) => {
      const holds = (condition: Json): boolean => compileFilter({ [path]: condition })(payload)
      assert.notEqual(holds({ in: operands }), holds({ nin: operands }))
      for (const operand of operands) assert.notEqual(holds({ eq: operand }), holds({ ne: operand }))
      assert.equal(
        holds({ in: operands }),
        operands.some((operand) => holds({ eq: operand })),
      )
    }),
    RUNS,
  )
  t.pass('of any operand')
})

t.test('a value is equal to itself, whatever the order of its members', async (t) => {
  const turned = (from: unknown): unknown => {
    if (Array.isArray(from)) return from.map(turned)
    if (!isObject(from)) return from
    return Object.fromEntries(
      Object.entries(from)
        .map(([name, member]) => [name, turned(member)])
        .toReversed(),
    )
  }
  fc.assert(
    fc.property(json, (own) => {
      assert.equal(compileFilter({ a: { eq: own } })({ a: turned(own) }), true)
      assert.equal(compileFilter({ a: { contains: own } })({ a: [1, turned(own)] }), true)
      assert.equal(compileFilter({ a: { in: ['x', {}, own] } })({ a: turned(own) }), true)
    }),
  )
  t.pass('for any value')
})

t.test('dotted, nested and prefixed paths are the same', async (t) => {
  fc.assert(
    fc.property(SEGMENTS, value, fc.nat(), PAYLOAD, (segments, condition, cut, payload) => {
      const nested = (names: readonly string[]): unknown =>
        names.reduceRight((inner, name) => ({ [name]: inner }), condition)
      const path = segments.join('.')
      const at = 1 + (cut % segments.length)
      const [head, tail] = [segments.slice(0, at), segments.slice(at)]
      const forms: Json[] = [
        { [`payload.${path}`]: condition },
        { payload: { [path]: condition } },
        { payload: nested(segments) },
        { payload: { [head.join('.')]: nested(tail) } },
        { [`payload.${head.join('.')}`]: nested(tail) },
      ]
      if (segments[0] !== 'payload') forms.push({ [path]: condition }, nested(segments) as Json)
      const results = forms.map((form) => compileFilter(form)(payload))
      assert.equal(new Set(results).size, 1, JSON.stringify(results))
    }),
    RUNS,
  )
  t.pass('for any path')
})

t.test('matching never throws, whatever the payload', async (t) => {
  fc.assert(
    fc.property(filter, jsonText, (anyFilter, text) => {
      assert.equal(typeof compileFilter(anyFilter)(JSON.parse(text)), 'boolean')
    }),
    RUNS,
  )
  t.pass('for any JSON')
})

t.test('any JSON object compiles, or is refused with pointers to what is in it', async (t) => {
  const pointsInto = (from: unknown, pointer: string): boolean =>
    pointer === '' ||
    pointer
      .slice(1)
      .split('/')
      .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
      .reduce<{ value: unknown } | undefined>(
        (holder, token) => {
          if (holder === undefined || typeof holder.value !== 'object' || holder.value === null)
            return undefined
          const entry = Object.entries(holder.value).find(([name]) => name === token)
          return entry && { value: entry[1] as unknown }
        },
        { value: from },
      ) !== undefined

  fc.assert(
    fc.property(
      fc.oneof(
        jsonText.map((text) => JSON.parse(text) as unknown),
        objectOf(fc.oneof(NAME, fc.constantFrom(...OPERATORS)), json),
      ),
      (from) => {
        if (!isObject(from)) return
        try {
          compileFilter(from)
        } catch (error) {
          const { problem, errors } = error as { problem?: string; errors?: { pointer: string }[] }
          assert.equal(problem, 'invalid-filter')
          assert(errors && errors.length > 0)
          for (const { pointer } of errors) assert(pointsInto({ filter: from }, pointer), pointer)
        }
      },
    ),
    RUNS,
  )
  t.pass('always')
})
