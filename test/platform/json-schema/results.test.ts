import assert from 'node:assert/strict'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import fc from 'fast-check'
import t from 'tap'
import { compileSchema, SchemaError, toViolation } from '../../../src/platform/json-schema/json-schema.ts'
import { same } from '../../helpers/big-schemas.ts'

const TOO_SLOW = 'evaluating the schema on this value takes too long'

t.test('a list whose every item fails behind a reference is told so', async (t) => {
  const schema = {
    items: { $ref: '#/$defs/a' },
    $defs: { a: { required: ['a'], properties: { b: { $ref: '#/$defs/b' } } }, b: { type: 'string' } },
  }
  const found = compileSchema(schema)(same(20_000, { b: 1 }))
  t.equal(found.length, 100)
  t.same(
    found
      .slice(0, 2)
      .map(({ pointer }) => pointer)
      .toSorted(),
    ['/0/a', '/0/b'],
  )
})

t.test('a reference that fails within not or if loses no error from before', async (t) => {
  const a = { required: ['x'] }
  for (const within of [{ not: { $ref: '#/$defs/a' } }, { if: { $ref: '#/$defs/a' } }]) {
    const schema = { allOf: [{ required: ['y'] }, within, { required: ['z'] }], $defs: { a } }
    t.same(
      compileSchema(schema)({}).map(({ pointer }) => pointer),
      ['/y', '/z'],
    )
  }
})

t.test('formats that take the square of the length have a longest text', async (t) => {
  const fits = (format: string, text: string): boolean => compileSchema({ format })(text).length === 0
  const url = (length: number): string => `https://example.com/${'a'.repeat(length - 20)}`
  t.equal(fits('url', url(2_048)), true)
  t.equal(fits('url', url(2_049)), false)
  t.equal(fits('regex', 'a'.repeat(4_096)), true)
  t.equal(fits('regex', 'a'.repeat(4_097)), false)
  t.equal(fits('uri', url(100_000)), true)
  t.equal(fits('constructor', 'a'), true, 'what objects have anyway is no format')
  t.equal(fits('__proto__', 'a'), true)
  t.equal(compileSchema({ format: 'date', formatMinimum: '2026-01-01' })('2025-12-31').length, 1)
  t.equal(compileSchema({ format: 'date', formatMinimum: '2026-01-01' })('2026-01-01').length, 0)
})

t.test('values are compared as JSON', async (t) => {
  const cases: [object, fitting: unknown[], others: unknown[]][] = [
    [
      { const: { a: [1, { b: null }], c: 'x' } },
      [{ c: 'x', a: [1, { b: null }] }],
      [{ a: [1, { b: null }] }, null],
    ],
    [{ enum: [1, 'a', null, [], {}] }, [1, 'a', null, [], {}], ['1', true, [1], { a: 1 }, 0]],
    [{ const: [] }, [[]], [{}, null, 0, '']],
    [{ const: JSON.parse('{"__proto__":1}') }, [JSON.parse('{"__proto__":1}')], [{}, JSON.parse('{"a":1}')]],
    [{ const: 0 }, [0, -0], [false, null, '']],
  ]
  for (const [schema, fitting, others] of cases) {
    for (const value of fitting) t.same(compileSchema(schema)(value), [], JSON.stringify([schema, value]))
    for (const value of others)
      t.equal(compileSchema(schema)(value).length, 1, JSON.stringify([schema, value]))
  }
})

/** Pointers to what is wrong, or that it took too much stack or budget to say. */
type Verdict = (value: unknown) => string[] | 'endless'

/** What Ajv says when nobody counts; with references as functions or in the place of what refers to them. */
function plainly(schema: object, inlineRefs: boolean): Verdict | 'refused' {
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    ownProperties: true,
    multipleOfPrecision: 9,
    logger: false,
    meta: false,
    validateSchema: false,
    inlineRefs,
  })
  addFormats.default(ajv)
  let check: ReturnType<typeof ajv.compile>
  try {
    check = ajv.compile(schema)
  } catch {
    return 'refused'
  }
  return (value) => {
    try {
      if (check(value)) return []
    } catch {
      return 'endless'
    }
    return (check.errors ?? [])
      .slice(0, 100)
      .map((error) => toViolation(error).pointer)
      .toSorted()
  }
}

function counted(schema: object): Verdict | 'refused' {
  let validate: ReturnType<typeof compileSchema>
  try {
    validate = compileSchema(schema)
  } catch (error) {
    if (error instanceof SchemaError) return 'refused'
    throw error
  }
  return (value) => {
    const found = validate(value)
    const isEndless = found.some(
      ({ detail }) => detail === TOO_SLOW || detail.includes('could not be evaluated'),
    )
    return isEndless ? 'endless' : found.map(({ pointer }) => pointer).toSorted()
  }
}

t.test('counting changes no result', async (t) => {
  const name = fc.constantFrom('a', 'b', 'c')
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.constantFrom<unknown>(0, 1, 2.5, '', 'a', 'ab', null, true, '2026-01-01'),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true }),
    ),
  }))
  const { schema } = fc.letrec<{ schema: object | boolean }>((tie) => {
    const list = fc.array(tie('schema'), { minLength: 1, maxLength: 3 })
    const map = fc.dictionary(name, tie('schema'), { maxKeys: 3, noNullPrototype: true })
    const applicators = {
      allOf: list,
      anyOf: list,
      oneOf: list,
      not: tie('schema'),
      if: tie('schema'),
      else: tie('schema'),
      properties: map,
      patternProperties: fc.dictionary(fc.constantFrom('a', '^b', '.'), tie('schema'), {
        maxKeys: 2,
        noNullPrototype: true,
      }),
      additionalProperties: tie('schema'),
      unevaluatedProperties: tie('schema'),
      unevaluatedItems: tie('schema'),
      propertyNames: tie('schema'),
      dependentSchemas: map,
      prefixItems: list,
      items: tie('schema'),
      contains: tie('schema'),
    }
    const assertions = {
      type: fc.constantFrom<unknown>('object', 'array', 'string', 'number', 'integer', [
        'null',
        'boolean',
        'object',
      ]),
      const: value,
      enum: fc.array(value, { minLength: 1, maxLength: 3 }),
      required: fc.uniqueArray(name),
      dependentRequired: fc.dictionary(name, fc.uniqueArray(name), { maxKeys: 2, noNullPrototype: true }),
      minimum: fc.constantFrom(1, 2),
      multipleOf: fc.constant(0.5),
      minLength: fc.constantFrom(1, 2),
      pattern: fc.constantFrom('a', '^b'),
      format: fc.constantFrom('date', 'uuid', 'none'),
      minItems: fc.constant(1),
      uniqueItems: fc.boolean(),
      minProperties: fc.constant(1),
      maxProperties: fc.constant(2),
      $ref: fc.constantFrom('#', '#/$defs/a', '#/$defs/b', '#here', 'x:own', '#/$defs/c/items'),
      $dynamicRef: fc.constant('#node'),
    }
    const some = (keywords: Record<string, fc.Arbitrary<unknown>>) =>
      fc
        .uniqueArray(fc.constantFrom(...Object.keys(keywords)), { minLength: 1, maxLength: 3 })
        .chain((chosen) =>
          fc.record(Object.fromEntries(chosen.map((keyword) => [keyword, keywords[keyword]!]))),
        )
    return {
      schema: fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        fc.boolean(),
        some(assertions),
        some(applicators),
        some({ ...assertions, ...applicators }),
      ),
    }
  })
  const object = schema.filter((one) => typeof one === 'object')
  const documents = fc
    .record({ root: object, a: schema, b: schema, c: schema, here: object, own: object, node: fc.boolean() })
    .map(({ root, a, b, c, here, own, node }) =>
      Object.assign({}, root, node && { $dynamicAnchor: 'node' }, {
        $defs: {
          a,
          b,
          c: { items: c },
          here: Object.assign({}, here, { $anchor: 'here' }),
          own: Object.assign({}, own, { $id: 'x:own' }),
        },
      }),
    )
  let told = 0
  fc.assert(
    fc.property(documents, fc.array(value, { minLength: 3, maxLength: 6 }), (document, values) => {
      const [expected, inlined, found] = [
        plainly(document, false),
        plainly(document, true),
        counted(document),
      ]
      if (expected === 'refused' || inlined === 'refused' || found === 'refused') {
        assert.deepEqual([found, inlined], [expected, expected])
        return
      }
      for (const one of values) {
        const verdict = expected(one)
        if (verdict !== 'endless') told++
        assert.deepEqual(found(one), verdict)
        // Ajv lists more or less beside a reference that failed anyway.
        assert.equal(inlined(one).length === 0, verdict.length === 0)
      }
    }),
    { numRuns: 500 },
  )
  t.ok(told > 500, 'most of them end')
})
