import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { compileSchema, SchemaError, type Violation } from '../../../src/platform/json-schema/json-schema.ts'

const violations = (schema: object | boolean, value: unknown): Violation[] => compileSchema(schema)(value)

const fits = (schema: object | boolean, value: unknown): boolean => violations(schema, value).length === 0

const pointers = (schema: object, value: unknown): string[] =>
  violations(schema, value).map(({ pointer }) => pointer)

t.test('what draft 2020-12 has', async (t) => {
  const cases: [string, object | boolean, fitting: unknown[], others: unknown[]][] = [
    ['true and false', true, [1, null], []],
    ['types', { type: ['integer', 'null'] }, [1, 1.0, null], [1.5, '1', []]],
    ['prefixItems', { prefixItems: [{ type: 'string' }], items: false }, [['a'], []], [[1], ['a', 1]]],
    [
      'contains',
      { contains: { const: 1 }, minContains: 2, maxContains: 3 },
      [[1, 1, 2]],
      [[1], [1, 1, 1, 1]],
    ],
    ['dependentRequired', { dependentRequired: { a: ['b'] } }, [{}, { a: 1, b: 2 }], [{ a: 1 }]],
    ['dependentSchemas', { dependentSchemas: { a: { minProperties: 2 } } }, [{ a: 1, b: 2 }], [{ a: 1 }]],
    [
      'unevaluatedProperties',
      { allOf: [{ properties: { a: true } }], properties: { b: true }, unevaluatedProperties: false },
      [{ a: 1, b: 2 }],
      [{ a: 1, c: 3 }],
    ],
    ['unevaluatedItems', { prefixItems: [true], unevaluatedItems: false }, [[1]], [[1, 2]]],
    ['propertyNames', { propertyNames: { maxLength: 1 } }, [{ a: 1 }], [{ ab: 1 }]],
    // oxlint-disable-next-line unicorn/no-thenable -- it is a keyword of JSON Schema
    ['if, then and else', { if: { type: 'string' }, then: { minLength: 2 }, else: false }, ['ab'], ['a', 1]],
    ['$defs', { $ref: '#/$defs/a', $defs: { a: { type: 'null' } } }, [null], [1]],
    ['a keyword beside $ref', { $ref: '#/$defs/a', minimum: 5, $defs: { a: { type: 'number' } } }, [5], [4]],
    ['$anchor', { $ref: '#a', $defs: { x: { $anchor: 'a', type: 'null' } } }, [null], [1]],
    [
      '$dynamicRef',
      { $dynamicAnchor: 'node', type: 'object', additionalProperties: { $dynamicRef: '#node' } },
      [{ a: { b: {} } }],
      [{ a: { b: 1 } }],
    ],
    ['$id within', { $ref: 'x:a', $defs: { x: { $id: 'x:a', type: 'null' } } }, [null], [1]],
    ['lengths in characters', { maxLength: 1 }, ['𝄞', 'é'], ['ab']],
    ['patterns anywhere in the text', { pattern: '\\d{2}' }, ['a12b'], ['a1b']],
    [
      'patternProperties',
      { patternProperties: { '^x-': { type: 'string' } } },
      [{ 'x-a': '' }],
      [{ 'x-a': 1 }],
    ],
    ['Unicode patterns', { pattern: '^\\p{L}+$' }, ['straße'], ['a1']],
    ['decimal fractions', { multipleOf: 0.01 }, [1.13, 4.35, 19.99], [1.135]],
    [
      'the declared draft',
      { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'null' },
      [null],
      [1],
    ],
  ]
  for (const [name, schema, fitting, others] of cases) {
    for (const value of fitting) t.equal(fits(schema, value), true, `${name}: ${JSON.stringify(value)} fits`)
    for (const value of others)
      t.equal(fits(schema, value), false, `${name}: ${JSON.stringify(value)} does not fit`)
  }
  t.equal(fits(false, 1), false)
})

t.test('formats are checked', async (t) => {
  const cases: [string, string, string][] = [
    ['date-time', '2026-11-21T17:32:56.188Z', '2026-13-21T17:32:56Z'],
    ['date', '2024-02-29', '2023-02-29'],
    ['email', 'a@example.com', 'example.com'],
    ['uri', 'https://example.com/a?b#c', 'example.com'],
    ['uuid', '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77', '019380f5'],
    ['ipv4', '192.0.2.1', '192.0.2.256'],
    ['ipv6', '2001:db8::1', '2001:db8'],
    ['hostname', 'example.com', '-example-.com'],
    ['duration', 'P1DT2H', '1 day'],
  ]
  for (const [format, right, wrong] of cases) {
    t.equal(fits({ format }, right), true, `${right} is a ${format}`)
    t.equal(fits({ format }, wrong), false, `${wrong} is no ${format}`)
  }
  t.equal(fits({ format: 'of our own' }, 'anything'), true, 'a format nobody knows says nothing')
})

t.test('every violation is listed where it is', async (t) => {
  const schema = {
    type: 'object',
    required: ['id', 'a/b', 'm~n'],
    properties: {
      id: {},
      'a/b': {},
      'm~n': {},
      lines: { items: { required: ['sku'], properties: { sku: { type: 'string' } } } },
    },
    additionalProperties: false,
  }
  const found = violations(schema, { id: 1, lines: [{ sku: 'a' }, {}, { sku: 5 }], 'no/such': 1, other: 2 })
  const byPointer = (a: Violation, b: Violation): number => (a.pointer < b.pointer ? -1 : 1)
  t.same(found.toSorted(byPointer), [
    { pointer: '/a~1b', detail: 'is required' },
    { pointer: '/lines/1/sku', detail: 'is required' },
    { pointer: '/lines/2/sku', detail: 'must be string' },
    { pointer: '/m~0n', detail: 'is required' },
    { pointer: '/no~1such', detail: 'is not a known property' },
    { pointer: '/other', detail: 'is not a known property' },
  ])
  t.same(violations({ type: 'object' }, 5), [{ pointer: '', detail: 'must be object' }])
  t.same(violations({ unevaluatedProperties: false }, { 'a/b': 1 }), [
    { pointer: '/a~1b', detail: 'is not a known property' },
  ])
  t.same(pointers({ dependentRequired: { a: ['b'] } }, { a: 1 }), ['/b'])
})

t.test('names that objects have anyway are names like any other', async (t) => {
  const names = ['constructor', 'toString', '__proto__']
  t.equal(violations({ required: names }, {}).length, 3)
  t.same(violations({ required: names }, JSON.parse('{"constructor":1,"toString":2,"__proto__":3}')), [])
  t.same(pointers({ additionalProperties: false }, JSON.parse('{"__proto__":3}')), ['/__proto__'])
})

t.test('at most 100 violations are listed', async (t) => {
  t.equal(violations({ items: { type: 'string' } }, new Array(100).fill(1)).length, 100)
  t.equal(violations({ items: { type: 'string' } }, new Array(5_000).fill(1)).length, 100)
})

t.test('schemas that cannot be used are refused', async (t) => {
  const cases: [string, object][] = [
    ['an unknown type', { type: 'text' }],
    ['a keyword of the wrong type', { minLength: -1 }],
    ['a keyword of the wrong type within', { properties: { a: { required: 'b' } } }],
    ['an $id that is no text', { $id: 5 }],
    ['a reference to another document', { $ref: 'https://example.com/schema.json' }],
    ['a reference to nothing', { $ref: '#/$defs/missing' }],
    ['another draft', { $schema: 'http://json-schema.org/draft-04/schema#' }],
    ['a pattern that is none', { pattern: '(' }],
    ['look-ahead', { pattern: '(?=a)a' }],
    ['negative look-ahead', { pattern: '^(?!a)' }],
    ['look-behind', { pattern: '(?<=a)b' }],
    ['a back-reference', { pattern: '(a)\\1' }],
    ['look-ahead in the name of a property', { patternProperties: { '(?=a)': true } }],
    ['repetition without bound', { pattern: '((a{1,1000}){1,1000}){1,1000}' }],
  ]
  for (const [name, schema] of cases) t.throws(() => compileSchema(schema), SchemaError, name)
})

t.test('a schema has at most 65,536 bytes', async (t) => {
  const schemaOf = (bytes: number, character = 'a'): object => ({
    description: character.repeat((bytes - '{"description":""}'.length) / Buffer.byteLength(character)),
  })
  t.doesNotThrow(() => compileSchema(schemaOf(65_536)))
  t.throws(() => compileSchema(schemaOf(65_537)), SchemaError)
  t.throws(() => compileSchema(schemaOf(70_000, 'é')), SchemaError, 'bytes, not characters')
})

t.test('every pattern is its own, in one schema and in several', async (t) => {
  const schema = {
    properties: { lower: { pattern: '^[a-z]+$' }, digits: { pattern: '^[0-9]+$' } },
    patternProperties: { '^x-': { pattern: '^x$' }, '^y-': { pattern: '^y$' } },
  }
  t.equal(fits(schema, { lower: 'a', digits: '1', 'x-1': 'x', 'y-1': 'y' }), true)
  const found = pointers(schema, { lower: '1', digits: 'a', 'x-1': 'y', 'y-1': 'x' })
  t.same(found.toSorted(), ['/digits', '/lower', '/x-1', '/y-1'])
  t.equal(fits({ pattern: '^b$' }, 'a'), false)
  t.equal(fits({ pattern: '^a$' }, 'a'), true)
})

t.test('a pattern takes no longer than its text', async (t) => {
  // With backtracking these would go on for longer than anyone waits.
  for (const pattern of ['^(a+)+$', '^(a|a)*$', '^(a|aa)+$', '(.*a){20}$']) {
    const text = `${'a'.repeat(10_000)}!`
    t.equal(fits({ pattern }, text), false, pattern)
    t.equal(fits({ patternProperties: { [pattern]: false } }, { [text]: 1 }), true, `${pattern} of a name`)
  }
})

t.test('a schema may refer to itself', async (t) => {
  const tree = { type: 'object', properties: { child: { $ref: '#' } }, additionalProperties: false }
  t.same(pointers(tree, { child: { child: {} } }), [])
  t.same(pointers(tree, { child: { child: { x: 1 } } }), ['/child/child/x'])
  const named = {
    $ref: '#/$defs/node',
    $defs: { node: { ...tree, properties: { child: { $ref: '#/$defs/node' } } } },
  }
  t.same(pointers(named, { child: { child: { x: 1 } } }), ['/child/child/x'])
})

t.test('a schema that refers to itself without end fits nothing, and ends', async (t) => {
  const circle = { $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { anyOf: [{ $ref: '#/$defs/a' }] } } }
  for (const schema of [
    { ...circle, $ref: '#/$defs/a' },
    { $id: 'x:self', $ref: '#' },
  ]) {
    t.equal(fits(schema, 1), false)
  }
})

t.test('a value nested deeper than the stack is not accepted', async (t) => {
  const schema = { $ref: '#/$defs/list', $defs: { list: { items: { $ref: '#/$defs/list' } } } }
  let deep: unknown[] = []
  for (let depth = 0; depth < 100_000; depth++) deep = [deep]
  t.equal(fits(schema, deep), false)
})

t.test('schemas of different people do not meet', async (t) => {
  t.equal(fits({ $id: 'x:shared', type: 'string' }, 'a'), true)
  t.equal(fits({ $id: 'x:shared', type: 'number' }, 'a'), false, 'the same id again')
  t.throws(() => compileSchema({ $ref: 'x:shared' }), SchemaError, 'nobody refers to what another wrote')
  const within = (type: string): object => ({ $ref: 'x:within', $defs: { a: { $id: 'x:within', type } } })
  t.equal(fits(within('string'), 'a'), true)
  t.equal(fits(within('number'), 'a'), false, 'the same id within')
  t.throws(() => compileSchema({ $ref: 'x:within' }), SchemaError)
})

t.test('a schema cannot make itself asynchronous', async (t) => {
  // Such a check answers with a promise: taken for a yes, and then rejected with nobody listening.
  const rejections: unknown[] = []
  const listen = (reason: unknown): void => void rejections.push(reason)
  process.on('unhandledRejection', listen)
  t.teardown(() => process.off('unhandledRejection', listen))
  let accepted = false
  try {
    accepted = fits({ $async: true, type: 'string' }, 5)
  } catch (error) {
    t.ok(error instanceof SchemaError)
  }
  await turn()
  t.equal(accepted, false)
  t.same(rejections, [], 'nothing that would end the process')
})

t.test('a schema with the id of the draft itself leaves others alone', async (t) => {
  for (const id of ['schema', 'schema#', 'meta/core', 'meta/validation']) {
    try {
      compileSchema({ $id: `https://json-schema.org/draft/2020-12/${id}`, type: 'null' })
    } catch (error) {
      t.ok(error instanceof SchemaError)
    }
    t.equal(fits({ type: 'string' }, 'a'), true, `after one with the id ${id}`)
    t.throws(() => compileSchema({ type: 'text' }), SchemaError, 'schemas are still checked')
  }
})
