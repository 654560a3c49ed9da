import t from 'tap'
import { compileSchema } from '../../../src/platform/json-schema/json-schema.ts'
import { LONG, NUMBERS, WIDE, doubling, members, nested, same, times } from '../../helpers/big-schemas.ts'

t.test('what could never be used, or not be compiled soon, is refused', async (t) => {
  const cases: [string, object, RegExp][] = [
    ['references that double', doubling(30, 'allOf', { type: 'null' }), /unfold to more than 100000/],
    ['alternatives that double', doubling(30, 'anyOf', {}), /unfold to more than 100000/],
    [
      'anchors that double',
      {
        $ref: '#a0',
        $defs: times(30, (index) => ({
          $anchor: `a${index}`,
          oneOf: [{ $ref: `#a${index + 1}` }, { $ref: `#a${index + 1}` }],
        })).concat([{ $anchor: 'a30', oneOf: [] }]),
      },
      /unfold|must be object/,
    ],
    [
      'a large part that is used everywhere',
      {
        $defs: { a: { properties: members(500, () => ({})) } },
        prefixItems: same(1_000, { $ref: '#/$defs/a' }),
      },
      /unfold to more than 100000/,
    ],
    ['depth', nested(201, (not) => ({ not })), /nested deeper than 200/],
    ['depth in data', { const: nested(50_000, (a) => ({ a })) }, /nested deeper than 200/],
    ['depth by references', doubling(700, 'prefixItems', {}), /unfold|in a row/],
    [
      'dynamic anchors in each other',
      nested(60, (not) => ({ $dynamicAnchor: 'a', not })),
      /more than 10000 subschemas|resolves to more than one/,
    ],
    [
      'dynamic anchors of their own in each other',
      times(60, (index) => index).reduce<object>((not, index) => ({ $dynamicAnchor: `a${index}`, not }), {}),
      /more than 10000 subschemas/,
    ],
    [
      'alternatives of which one is right',
      { oneOf: times(4_000, (index) => ({ const: index })) },
      /10000 subschemas/,
    ],
    [
      'lists repeated in messages',
      { dependentRequired: { a: Object.keys(members(9_000, () => 0)) } },
      /10000 subschemas/,
    ],
    [
      'names that are compared',
      { properties: members(1_001, () => true), unevaluatedProperties: false },
      /1000 known/,
    ],
    [
      'names that are merged',
      { allOf: times(2_000, (index) => ({ properties: { [index]: true } })) },
      /10000 subschemas/,
    ],
    ['patterns', { allOf: times(3_000, (index) => ({ pattern: `a${index}` })) }, /patterns are too many/],
    [
      'large patterns',
      { allOf: times(500, (index) => ({ pattern: `(a{9}){99}${index}` })) },
      /patterns are too/,
    ],
  ]
  for (const [name, schema, words] of cases) {
    t.throws(() => compileSchema(schema), { name: 'SchemaError', message: words }, name)
  }
})

t.test('honest schemas and payloads pass, however large', async (t) => {
  const numbers = { items: { allOf: times(50, (index) => ({ type: 'integer', minimum: -index })) } }
  const line = {
    type: 'object',
    required: ['id', 'at'],
    properties: {
      id: { type: 'string', pattern: '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' },
      at: { type: 'string', format: 'date-time' },
      kind: { enum: times(200, (index) => `kind ${index}`) },
      address: { $ref: '#/$defs/address' },
    },
    additionalProperties: false,
  }
  const address = { type: 'object', properties: members(20, () => ({ type: 'string', maxLength: 100 })) }
  const lines = times(2_000, (index) => ({
    id: '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77',
    at: '2026-11-21T17:32:56.188Z',
    kind: `kind ${index % 200}`,
    address: members(3, () => 'text'),
  }))
  const variants = times(40, (index) => ({
    type: 'object',
    required: ['kind'],
    properties: { kind: { const: `kind ${index}` }, value: { type: 'number' } },
  }))
  const tree = {
    type: 'object',
    properties: { child: { $ref: '#' }, name: { type: 'string' } },
    required: ['name'],
  }
  // every kind of node may hold every other
  const kinds = members(20, (own) => ({
    required: [`n${own.toString(36)}`],
    properties: {
      [`n${own.toString(36)}`]: { anyOf: times(20, (kind) => ({ $ref: `#/$defs/${kind.toString(36)}` })) },
    },
  }))
  const cases: [string, object, unknown][] = [
    ['60,000 numbers', numbers, NUMBERS],
    ['a text of 256 KiB', { type: 'string', pattern: '^[a-z ]+$', maxLength: 300_000, minLength: 1 }, LONG],
    ['lines', { items: line, $defs: { address } }, lines],
    ['variants', { items: { anyOf: variants } }, times(3_000, (n) => ({ kind: `kind ${n % 40}`, value: n }))],
    [
      'one of variants',
      { items: { oneOf: variants } },
      times(3_000, (n) => ({ kind: `kind ${n % 40}`, value: n })),
    ],
    ['unique numbers', { uniqueItems: true }, times(40_000, (index) => index)],
    [
      'a wide object',
      { additionalProperties: { type: 'integer' }, propertyNames: { pattern: '^[0-9a-z]+$' } },
      WIDE,
    ],
    ['a deep tree', tree, nested(99, (child) => ({ name: 'a', child }), { name: 'a' })],
    ['a grammar', { $defs: kinds, $ref: '#/$defs/0' }, { n0: { n1: { n2: { nj: 0 } } } }],
    [
      'a schema of 2,500 properties',
      { properties: members(2_500, () => ({ type: 'integer' })) },
      members(2_500, (n) => n),
    ],
    [
      'unevaluatedProperties',
      { items: { ...line, $ref: '#/$defs/address', unevaluatedProperties: false }, $defs: { address } },
      lines,
    ],
  ]
  for (const [name, schema, value] of cases) t.same(compileSchema(schema)(value), [], name)
})
