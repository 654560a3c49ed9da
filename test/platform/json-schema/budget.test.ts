import t from 'tap'
import { compileSchema } from '../../../src/platform/json-schema/json-schema.ts'
import { DEEP, LONG, NUMBERS, WIDE, members, nested, same, times } from '../../helpers/big-schemas.ts'

const TOO_SLOW = 'evaluating the schema on this value takes too long'

t.test('what is slow on purpose ends soon', async (t) => {
  const inCircles = (keyword: string, reference: object): object => ({
    $dynamicAnchor: 'node',
    properties: { a: { [keyword]: [reference, reference] } },
  })
  const cases: [string, object, value: unknown][] = [
    ['recursion that doubles', inCircles('anyOf', { $ref: '#' }), DEEP],
    ['recursion that doubles, dynamically', inCircles('allOf', { $dynamicRef: '#node' }), DEEP],
    [
      'subschemas by items',
      { items: { allOf: times(3_000, (minimum) => ({ minimum: -minimum })) } },
      NUMBERS,
    ],
    ['alternatives by items', { items: { anyOf: [...same(900, { type: 'string' }), true] } }, NUMBERS],
    ['false by items', { items: { allOf: same(9_000, false) } }, NUMBERS],
    ['false alternatives', { items: { anyOf: [...same(900, false), true] } }, NUMBERS],
    [
      'references to true',
      { items: { allOf: same(3_000, { $ref: '#/$defs/a' }) }, $defs: { a: true } },
      NUMBERS,
    ],
    ['references to {}', { items: { allOf: same(3_000, { $ref: '#/$defs/a' }) }, $defs: { a: {} } }, NUMBERS],
    ['errors of a million items', { items: { type: 'string' } }, same(1_000_000, 1)],
    ['a million items that are not allowed', { items: false }, same(1_000_000, 1)],
    ['required', { items: { required: Object.keys(members(9_000, () => 0)) } }, same(60_000, {})],
    ['properties', { items: { properties: members(2_500, () => ({ type: 'null' })) } }, same(60_000, {})],
    [
      'dependentRequired',
      { items: { dependentRequired: members(4_000, () => ['a'], 'k') } },
      same(60_000, { k1: 1 }),
    ],
    ['additionalProperties', { allOf: same(1_500, { additionalProperties: { type: 'number' } }) }, WIDE],
    ['additionalProperties: false', { allOf: same(1_500, { additionalProperties: false }) }, WIDE],
    ['counting members', { allOf: same(3_000, { minProperties: 1 }) }, WIDE],
    ['names of members', { allOf: same(1_500, { propertyNames: { maxLength: 9 } }) }, WIDE],
    [
      'names so long that pointers are',
      { additionalProperties: { allOf: same(3_000, { type: 'null' }) } },
      { ['/~'.repeat(131_072)]: 1 },
    ],
    ['lengths', { allOf: times(1_500, (more) => ({ maxLength: 1e9 + more })) }, LONG],
    ['patterns', { allOf: times(300, (index) => ({ pattern: `a${index}$` })) }, LONG],
    ['one pattern of many states', { pattern: '(.{0,100}b){8}$' }, LONG],
    ['patterns of names', { patternProperties: members(300, () => true, '^') }, WIDE],
    ['uniqueItems', { allOf: same(2_500, { uniqueItems: true }) }, NUMBERS],
    ['uniqueItems of long texts', { allOf: same(2_500, { uniqueItems: true }) }, times(9, (n) => LONG + n)],
    ['enum of objects', { enum: same(9_000, {}) }, WIDE],
    ['enum of objects within', { enum: times(6_000, () => ({ a: {} })) }, { a: WIDE }],
    ['const by items', { items: { allOf: same(3_000, { const: [[[]]] }) } }, same(60_000, [[[]]])],
    ['formats', { allOf: same(2_000, { format: 'date-time' }) }, 't'.repeat(262_144)],
    [
      'comparing formats',
      { allOf: same(1_000, { format: 'date', formatMinimum: '2020-01-01' }) },
      '2'.repeat(262_144),
    ],
    ['urls', { allOf: same(2_000, { format: 'url' }) }, `http://${':@'.repeat(1_000)} `],
    ['contains', { allOf: same(1_800, { contains: { type: 'null' } }) }, NUMBERS],
    [
      'names that are merged again and again',
      {
        ...nested(90, (inner) => ({ anyOf: [inner] }), { patternProperties: { '': true } }),
        unevaluatedProperties: false,
      },
      WIDE,
    ],
    [
      'names that are merged for each item',
      {
        items: {
          anyOf: times(500, (index) => ({ properties: { [index]: true } })),
          unevaluatedProperties: false,
        },
      },
      same(60_000, {}),
    ],
  ]
  for (const [name, schema, value] of cases) {
    t.same(compileSchema(schema)(value), [{ pointer: '', detail: TOO_SLOW }], name)
  }
})

t.test('nothing that a reference leads to escapes', async (t) => {
  const slow = { allOf: times(1_000, (minimum) => ({ minimum: -minimum })) }
  const cases: [string, object][] = [
    ['const', { not: { const: slow }, items: { $ref: '#/not/const' } }],
    ['enum', { not: { enum: [slow] }, items: { $ref: '#/not/enum/0' } }],
    ['default', { default: slow, items: { $ref: '#/default' } }],
    ['an unknown keyword', { 'of our own': { a: slow }, items: { $ref: '#/of%20our%20own/a' } }],
    ['$anchor', { $defs: { a: { $anchor: 'here', ...slow } }, items: { $ref: '#here' } }],
    ['$anchor below an unknown keyword', { own: { $anchor: 'here', ...slow }, items: { $ref: '#here' } }],
    ['$id', { $defs: { a: { $id: 'x:a', ...slow } }, items: { $ref: 'x:a' } }],
    ['$id below an unknown keyword', { own: { $id: 'x:a', ...slow }, items: { $ref: 'x:a' } }],
    ['the same $id as the root', { $id: 'x:a', $defs: { a: slow }, items: { $ref: 'x:a#/$defs/a' } }],
    [
      '$dynamicRef',
      {
        $dynamicAnchor: 'node',
        if: { type: 'array' },
        // oxlint-disable-next-line unicorn/no-thenable -- it is a keyword of JSON Schema
        then: { items: { $dynamicRef: '#node' } },
        else: slow,
      },
    ],
    [
      '$recursiveRef',
      // oxlint-disable-next-line unicorn/no-thenable -- it is a keyword of JSON Schema
      { if: { type: 'array' }, then: { items: { $recursiveRef: '#' } }, else: slow },
    ],
    ['definitions', { definitions: { a: slow }, items: { $ref: '#/definitions/a' } }],
    ['the name of the hook', { 'heliograph:budget': slow, items: { $ref: '#/heliograph:budget' } }],
    ['a schema that has the name of the hook', { items: { 'heliograph:budget': 0, ...slow } }],
  ]
  for (const [name, schema] of cases) {
    const validate = compileSchema(schema)
    t.same(validate(NUMBERS), [{ pointer: '', detail: TOO_SLOW }], name)
    t.same(validate([1]), [], `${name}, of one item`)
  }
})

t.test('a budget is for one evaluation', async (t) => {
  const validate = compileSchema({ items: { allOf: same(50, { type: 'integer' }) } })
  for (let round = 0; round < 5; round++) t.same(validate(NUMBERS), [])
  t.same(validate(same(1_000_000, 1)), [{ pointer: '', detail: TOO_SLOW }])
  t.same(validate(NUMBERS), [], 'after one that was stopped')
  t.equal(validate(times(60_000, () => 'a')).length === 0, false)
})
