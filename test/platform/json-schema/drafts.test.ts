import t from 'tap'
import { parseAsWritten } from '../../../src/platform/json/exact-numbers.ts'
import { compileSchema, SchemaError } from '../../../src/platform/json-schema/json-schema.ts'
import { warningsOf } from '../../../src/platform/json-schema/warnings.ts'

const DRAFT_07 = 'http://json-schema.org/draft-07/schema#'
const DRAFT_2019 = 'https://json-schema.org/draft/2019-09/schema'
const DRAFT_2020 = 'https://json-schema.org/draft/2020-12/schema'

const fits = (schema: object, value: unknown): boolean => compileSchema(schema)(value).length === 0

t.test('a schema is read as the draft that it declares', async (t) => {
  const cases: [what: string, $schema: string, schema: object, fitting: unknown[], others: unknown[]][] = [
    [
      'tuples, draft-07',
      DRAFT_07,
      { items: [{ type: 'string' }], additionalItems: { type: 'number' } },
      [['a'], ['a', 1, 2]],
      [[1], ['a', 'b']],
    ],
    ['tuples, 2019-09', DRAFT_2019, { items: [true], additionalItems: false }, [['a']], [['a', 'b']]],
    ['tuples, 2020-12', DRAFT_2020, { prefixItems: [true], items: false }, [['a']], [['a', 'b']]],
    [
      'what stands beside a reference, draft-07',
      DRAFT_07,
      { properties: { a: { $ref: '#/definitions/n', minimum: 5 } }, definitions: { n: { type: 'number' } } },
      [{ a: 1 }],
      [{ a: '1' }],
    ],
    [
      'what stands beside a reference, 2019-09',
      DRAFT_2019,
      { properties: { a: { $ref: '#/$defs/n', minimum: 5 } }, $defs: { n: { type: 'number' } } },
      [{ a: 5 }],
      [{ a: 1 }],
    ],
    [
      'dependencies',
      DRAFT_07,
      { dependencies: { a: ['b'], c: { minProperties: 2 } } },
      [{ b: 1 }],
      [{ a: 1 }, { c: 1 }],
    ],
    ['dependentRequired', DRAFT_2019, { dependentRequired: { a: ['b'] } }, [{ b: 1 }], [{ a: 1 }]],
    [
      'unevaluatedProperties',
      DRAFT_2019,
      { allOf: [{ properties: { a: true } }], unevaluatedProperties: false },
      [{ a: 1 }],
      [{ b: 1 }],
    ],
    [
      '$recursiveRef',
      DRAFT_2019,
      { type: 'object', additionalProperties: { $recursiveRef: '#' } },
      [{ a: { b: {} } }],
      [{ a: { b: 1 } }],
    ],
    // oxlint-disable-next-line unicorn/no-thenable -- it is a keyword of JSON Schema
    ['if and then', DRAFT_07, { if: { type: 'string' }, then: { minLength: 2 } }, ['ab', 1], ['a']],
    ['formats', DRAFT_07, { format: 'date-time' }, ['2026-01-01T00:00:00Z'], ['yesterday']],
    ['uniqueItems', DRAFT_07, { uniqueItems: true }, [[1, 2]], [[1, 1]]],
    [
      'patterns',
      DRAFT_07,
      { patternProperties: { '^x-': { type: 'string' } } },
      [{ 'x-a': '' }],
      [{ 'x-a': 1 }],
    ],
    [
      '$id',
      DRAFT_07,
      { $id: 'https://example.com/a', $ref: '#/definitions/a', definitions: { a: { type: 'null' } } },
      [null],
      [1],
    ],
  ]
  for (const [what, $schema, schema, fitting, others] of cases) {
    for (const value of fitting)
      t.ok(fits({ $schema, ...schema }, value), `${what}: ${JSON.stringify(value)}`)
    for (const value of others)
      t.notOk(fits({ $schema, ...schema }, value), `${what}: ${JSON.stringify(value)}`)
  }
})

t.test('the name of a draft is taken as people write it', async (t) => {
  for (const draft of [DRAFT_07, DRAFT_2019, DRAFT_2020]) {
    const name = draft.replace(/#$/, '').replace(/^https?:/, '')
    for (const $schema of [`http:${name}`, `https:${name}`, `http:${name}#`, `https:${name}#`])
      t.ok(fits({ $schema, type: 'null' }, null), $schema)
  }
})

t.test('another draft is named in the error, with those that are taken', async (t) => {
  const others: unknown[] = [
    'http://json-schema.org/draft-04/schema#',
    'http://json-schema.org/draft-06/schema#',
    'http://json-schema.org/schema#',
    'https://spec.openapis.org/oas/3.1/dialect/base',
    '',
    7,
    null,
  ]
  for (const $schema of others) {
    t.throws(() => compileSchema({ $schema, type: 'null' }), SchemaError)
    t.throws(() => compileSchema({ $schema, type: 'null' }), {
      message: `The schema cannot be used: its $schema is ${JSON.stringify($schema)}; the drafts that are taken are 2020-12, 2019-09 and draft-07 (https://json-schema.org/draft/2020-12/schema, https://json-schema.org/draft/2019-09/schema, http://json-schema.org/draft-07/schema).`,
    })
  }
})

t.test('a schema is checked against its own draft', async (t) => {
  t.throws(() => compileSchema({ items: [true] }), SchemaError, 'a tuple of draft-07 without its $schema')
  t.throws(() => compileSchema({ $schema: DRAFT_07, definitions: { a: 5 } }), SchemaError)
  t.throws(() => compileSchema({ $schema: DRAFT_2019, dependentRequired: [] }), SchemaError)
})

t.test('what it costs is bounded in each draft', async (t) => {
  for (const $schema of [DRAFT_07, DRAFT_2019, DRAFT_2020]) {
    const definitions = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => {
        const $ref = `#/definitions/d${index + 1}`
        return [`d${index}`, index === 39 ? true : { allOf: [{ $ref }, { $ref }] }]
      }),
    )
    t.throws(() => compileSchema({ $schema, $ref: '#/definitions/d0', definitions }), { message: /unfold/ })
    const slow = { $schema, not: { contains: { anyOf: Array.from({ length: 200 }, () => ({ const: 1 })) } } }
    t.match(compileSchema(slow)(Array(200_000).fill(2)), [{ detail: /takes too long/ }], $schema)
  }
  const tuple = { $schema: DRAFT_07, items: [true], additionalItems: false }
  t.match(compileSchema(tuple)(Array(5_000_000).fill(1)), [{ detail: /takes too long|must NOT have more/ }])
})

t.test('a number that payloads are not compared with exactly is told, wherever it is compared', async (t) => {
  const warnings = warningsOf(
    parseAsWritten(`{
      "properties": {"id": {"const": 813683310949021977}, "const": {"enum": [1.10, [{"a": 1e400}]]}},
      "allOf": [{"maximum": 9007199254740993, "minimum": 9007199254740992}],
      "default": 813683310949021977, "examples": [813683310949021977], "multipleOf": 0.10
    }`),
  )
  t.strictSame(
    warnings.map(({ pointer }) => pointer),
    ['/properties/id/const', '/properties/const/enum/1/0/a', '/allOf/0/maximum'],
  )
  t.match(warnings[0]?.detail, /compared with 813683310949022000 here/)
})

t.test('`nullable` is told, wherever it is a keyword', async (t) => {
  const schema = {
    type: 'object',
    properties: {
      a: { type: 'string', nullable: true },
      nullable: { type: 'boolean' },
      'b/c': { items: { type: 'number', nullable: true } },
      off: { type: 'string', nullable: false },
    },
    $defs: { nullable: { type: 'null' } },
    default: { nullable: true },
  }
  const warnings = warningsOf(schema)
  t.strictSame(
    warnings.map(({ pointer }) => pointer),
    ['/properties/a/nullable', '/properties/b~1c/items/nullable'],
  )
  t.match(warnings[0]?.detail, /OpenAPI 3\.0.*"type": \["string", "null"\]/)
  t.ok(fits(schema, { a: null }), 'and does what it says')
  for (const none of [null, undefined, true, {}, { type: ['string', 'null'] }])
    t.strictSame(warningsOf(none), [])
})
