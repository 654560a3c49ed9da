import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { compileFilter } from '../../../src/features/matching/filter.ts'
import { parseAsWritten, parseExactly } from '../../../src/platform/json/exact-numbers.ts'
import { Problem } from '../../../src/platform/http/problems.ts'
import { NUMBER_TEXT, orderOf } from '../../helpers/numbers.ts'

const parse = (json: string): Record<string, unknown> => JSON.parse(json) as Record<string, unknown>

const PAYLOAD = parse(`{
  "order": { "id": "o-1", "total": 120.5, "paid": true, "note": null, "items": [{ "sku": "A" }, { "sku": "B" }] },
  "customer": { "country": "DE", "all": "yes", "tags": ["new", "vip", 7, { "a": [1], "b": null }] },
  "payload": { "x": 1 }, "any": "thing", "0": "zero", "empty": {}, "none": []
}`)

t.test('what a filter matches', async (t) => {
  const cases: [filter: Record<string, unknown>, expected: boolean][] = [
    [{}, true],
    [{ 'order.id': 'o-1' }, true],
    [{ 'order.id': 'o-2' }, false],
    [{ 'payload.order.id': 'o-1' }, true],
    [{ payload: { order: { id: 'o-1' } } }, true],
    [{ order: { id: 'o-1', paid: true }, 'customer.country': 'DE' }, true],
    [{ order: { id: 'o-1', paid: false }, 'customer.country': 'DE' }, false],
    [{ order: { 'items.1': { sku: 'B' } } }, true],
    [{ 'order.items.1.sku': 'B', '0': 'zero' }, true],
    [{ 'order.items.2.sku': { exists: false }, 'order.items.01': { exists: false } }, true],
    [{ 'payload.payload.x': 1 }, true],
    [{ 'payload.x': 1 }, false],
    [{ payload: { payload: { x: 1 } } }, true],
    [{ payload: { exists: true } }, true],
    [{ payload: { eq: PAYLOAD } }, true],
    [{ 'payload.any': 'thing' }, true],
    [{ payload: { any: [{ order: { id: 'o-2' } }, { 'customer.country': 'DE' }] } }, true],
    [{ 'customer.all': 'yes' }, true],
    [{ order: {} }, true],

    [{ 'order.items': [{ sku: 'A' }, { sku: 'B' }] }, true],
    [{ 'order.items': [{ sku: 'B' }, { sku: 'A' }] }, false],
    [{ 'order.items': [{ sku: 'A' }] }, false],
    [{ customer: { tags: ['new', 'vip', 7, { b: null, a: [1] }] } }, true],
    [{ empty: { eq: {} }, none: [] }, true],
    [{ empty: [] }, false],
    [{ none: { eq: {} } }, false],
    [{ order: { eq: {} } }, false],
    [{ 'order.items.0': { eq: { sku: 'A', size: 1 } } }, false],
    [{ 'order.note': null, 'order.gone': { ne: null } }, true],
    [{ 'order.gone': null }, false],
    [{ 'order.total': { ne: 120.5 } }, false],
    [{ 'order.paid': 'true' }, false],
    [{ 'order.total': '120.5' }, false],

    [{ 'order.total': { gt: 120, lt: 121 } }, true],
    [{ 'order.total': { gt: 120.5 } }, false],
    [{ 'order.total': { gte: 120.5, lte: 120.5 } }, true],
    [{ 'order.total': { lt: 120.5 } }, false],
    [{ 'order.total': { gt: '1' } }, false],
    [{ 'order.id': { gt: 'o', lt: 'o-10', gte: 'o-1', lte: 'o-1' } }, true],
    [{ 'order.id': { gt: 0 } }, false],
    [{ 'order.note': { lte: 0 } }, false],
    [{ 'order.gone': { gte: 0 } }, false],

    [{ 'order.id': { in: ['o-0', 'o-1'] } }, true],
    [{ 'order.id': { in: [] } }, false],
    [{ 'order.id': { nin: [] } }, true],
    [{ 'order.id': { nin: ['o-0', 'o-1'] } }, false],
    [{ 'order.gone': { nin: ['o-0'] } }, true],
    [{ 'order.gone': { in: [null] } }, false],
    [{ 'order.items.0': { in: [{}, { sku: 'A', b: 1 }, { sku: 'B' }, [], { sku: 'A' }] } }, true],
    [{ 'order.items.0': { in: [{}, { sku: 'B' }, 'A', ['A']] } }, false],

    [{ 'order.note': { exists: true }, 'order.gone': { exists: false } }, true],
    [{ 'order.note': { exists: false } }, false],
    [{ 'order.gone': { exists: true } }, false],

    [{ 'order.id': { startsWith: 'o-', endsWith: '-1', contains: '-' } }, true],
    [{ 'order.id': { startsWith: '1' } }, false],
    [{ 'order.id': { endsWith: 'o' } }, false],
    [{ 'order.total': { startsWith: '1' } }, false],
    [{ 'order.id': { contains: 'x' } }, false],
    [{ 'customer.tags': { contains: 'vip' } }, true],
    [{ 'customer.tags': { contains: 'vi' } }, false],
    [{ 'customer.tags': { contains: { b: null, a: [1] } } }, true],
    [{ 'customer.tags': { contains: 7 } }, true],
    [{ 'order.id': { contains: 1 } }, false],
    [{ order: { contains: 'id' } }, false],

    [{ 'order.total': { any: [5, { gt: 100 }] } }, true],
    [{ 'order.total': { any: [5, { gt: 200 }] } }, false],
    [{ 'order.total': { all: [120.5, { gt: 100 }] } }, true],
    [{ 'order.total': { all: [{ gt: 100 }, { gt: 200 }] } }, false],
    [{ 'order.total': { not: { gt: 200 } } }, true],
    [{ 'order.total': { not: 120.5 } }, false],
    [{ 'order.gone': { not: 5 } }, true],
    [{ order: { any: [{ id: 'o-2' }, { 'items.0.sku': 'A' }] } }, true],
    [{ 'customer.tags': { any: [[], { contains: 'vip' }] } }, true],

    [{ any: [{ 'order.id': 'o-2' }, { 'payload.order.total': { gt: 5 } }] }, true],
    [{ any: [{ 'order.id': 'o-2' }] }, false],
    [{ all: [{ 'order.id': 'o-1' }, { any: [{}] }], not: { 'order.paid': false } }, true],
    [{ 'order.id': 'o-1', not: { 'order.paid': true } }, false],
    [{ not: {} }, false],
  ]
  for (const [filter, expected] of cases) {
    t.equal(compileFilter(filter)(PAYLOAD), expected, JSON.stringify(filter))
  }
})

t.test('only what stands in the JSON is reached', async (t) => {
  const plain = parse('{"text": "abc", "list": [1], "object": {}}')
  const unreachable = [
    '__proto__',
    '__proto__.toString',
    'constructor',
    'constructor.name',
    'toString',
    'object.__proto__',
    'object.hasOwnProperty',
    'text.length',
    'text.0',
    'list.length',
    'list.-1',
    'list.map',
    'list.__proto__',
  ]
  for (const path of unreachable) t.equal(compileFilter({ [path]: { exists: true } })(plain), false, path)

  const named = parse('{"__proto__": {"constructor": 1}, "length": 2, "toString": {"__proto__": null}}')
  const filter = parse(
    '{"__proto__": {"constructor": 1}, "length": 2, "payload.toString": {"eq": {"__proto__": null}}}',
  )
  t.equal(compileFilter(filter)(named), true, 'members with such names are')
  t.equal(compileFilter(filter)({}), false)
  t.equal(compileFilter({ a: { eq: {} } })({ a: parse('{"__proto__": {}}') }), false)
  t.equal(compileFilter({ a: { eq: parse('{"__proto__": {}}') } })({ a: {} }), false)
  t.equal(compileFilter({ a: { eq: parse('{"__proto__": {}}') } })({ a: { b: 1 } }), false)
  t.equal(compileFilter({ a: { eq: { toString: null } } })({ a: { b: 1 } }), false)
})

t.test('a payload need not be an object', async (t) => {
  for (const payload of [undefined, null, 0, 'text', true, []]) {
    t.equal(compileFilter({ 'a.b': { gt: 0 } })(payload), false)
    t.equal(compileFilter({ 'a.b': { ne: 0 } })(payload), true)
  }
  t.equal(compileFilter({ payload: 5 })(5), true)
  t.equal(compileFilter({ '0.a': 1 })([{ a: 1 }]), true)
  t.equal(compileFilter({ payload: { exists: false } })(undefined), true)
})

/** Pointers and details of a filter that is refused. */
function violationsOf(filter: Record<string, unknown>): [pointer: string, detail: string][] {
  try {
    compileFilter(filter)
  } catch (error) {
    assert(error instanceof Problem)
    assert.equal(error.problem, 'invalid-filter')
    return (error.errors ?? []).map(({ pointer, detail }) => [pointer, detail])
  }
  throw new Error(`${JSON.stringify(filter).slice(0, 200)} is not refused`)
}

t.test('each thing that is wrong is named, with where it stands', async (t) => {
  const cases: [filter: Record<string, unknown>, pointer: string, detail: RegExp][] = [
    [{ 'payload.amount': { gte: true } }, '/filter/payload.amount/gte', /a number or a string/],
    [{ a: { gt: null } }, '/filter/a/gt', /a number or a string/],
    [{ a: { lt: [] } }, '/filter/a/lt', /a number or a string/],
    [{ a: { lte: {} } }, '/filter/a/lte', /a number or a string/],
    [{ a: { in: 'x' } }, '/filter/a/in', /a list of values/],
    [{ a: { nin: { 0: 'x' } } }, '/filter/a/nin', /a list of values/],
    [{ a: { exists: 'yes' } }, '/filter/a/exists', /true or false/],
    [{ a: { startsWith: 1 } }, '/filter/a/startsWith', /a string/],
    [{ a: { endsWith: ['x'] } }, '/filter/a/endsWith', /a string/],
    [{ a: { any: { gt: 1 } } }, '/filter/a/any', /a list of conditions/],
    [{ a: { all: [] } }, '/filter/a/all', /must have a condition/],
    [{ any: [] }, '/filter/any', /must have a condition/],
    [{ all: {} }, '/filter/all', /a list of conditions/],
    [{ any: ['x'] }, '/filter/any/0', /a filter, which is an object/],
    [{ not: null }, '/filter/not', /a filter, which is an object/],
    [{ not: [{}] }, '/filter/not', /a filter, which is an object/],
    [{ any: [{}, { a: { gt: null } }] }, '/filter/any/1/a/gt', /a number or a string/],
    [{ a: { not: { any: [1, { in: 1 }] } } }, '/filter/a/not/any/1/in', /a list of values/],
    [{ gt: 5 }, '/filter/gt', /needs a path.*payload\.gt/],
    [{ not: { eq: 5 } }, '/filter/not/eq', /needs a path.*payload\.eq/],
    [{ a: { gte: 1, b: 2, any: [1] } }, '/filter/a', /operators \(gte, any\) next to other names/],
    [{ payload: { a: 1, not: {} } }, '/filter/payload', /operators \(not\) next to other names/],
    [{ '': 1 }, '/filter/', /an empty segment/],
    [{ 'a..b': 1 }, '/filter/a..b', /an empty segment/],
    [{ 'payload.': 1 }, '/filter/payload.', /an empty segment/],
    [{ a: { '.b': 1 } }, '/filter/a/.b', /an empty segment/],
    [{ 'a/b~c': { exists: 1 } }, '/filter/a~1b~0c/exists', /true or false/],
    [parse('{"__proto__": {"exists": 1}}'), '/filter/__proto__/exists', /true or false/],
    [{ $gt: 5 }, '/filter/$gt', /needs a path.*payload\.\$gt/],
    [{ a: { gte: 1, b: 2, $any: [1] } }, '/filter/a', /operators \(gte, \$any\) next to other names/],
    [{ $nor: [{ a: 1 }] }, '/filter/$nor', /no operator.*\$eq, \$ne, .*\$any, \$all, \$not.*payload\.\$nor/],
    [{ a: { $regex: 'x' } }, '/filter/a/$regex', /no operator.*payload\.a\.\$regex/],
    [{ a: { gt: 1, $size: 2 } }, '/filter/a/$size', /no operator/],
    [{ $or: [{ a: { b: { $c: 1 } } }] }, '/filter/$or/0/a/b/$c', /payload\.a\.b\.\$c/],
    [{ '$gt.a': 1 }, '/filter/$gt.a', /no operator/],
    [{ payload: { $ref: 1 } }, '/filter/payload/$ref', /payload\.\$ref/],
    [{ $$gt: 1 }, '/filter/$$gt', /no operator/],
    [{ a: { $: 1 } }, '/filter/a/$', /no operator/],
    [{ a: { $and: 5 } }, '/filter/a/$and', /a list of conditions/],
  ]
  for (const [filter, pointer, detail] of cases) {
    const violations = violationsOf(filter)
    t.equal(violations.length, 1, JSON.stringify(filter))
    t.match(violations[0], [pointer, detail])
  }
})

t.test('operators are taken with and without a $', async (t) => {
  const cases: [filter: Record<string, unknown>, expected: boolean][] = [
    [{ 'order.total': { $gt: 5 } }, true],
    [{ 'order.total': { $gt: 200 } }, false],
    [{ 'order.total': { $gte: 120.5, lt: 121 } }, true],
    [{ 'order.total': { $gte: 120.5, $lt: 120.5 } }, false],
    [{ 'order.id': { $in: ['o-1'], $nin: ['o-2'], $ne: 'o-3', $startsWith: 'o', $endsWith: '1' } }, true],
    [{ 'order.gone': { $exists: false }, 'order.note': { $eq: null } }, true],
    [{ 'customer.tags': { $contains: 'vip' } }, true],
    [{ $or: [{ 'order.id': 'o-2' }, { 'order.total': { $gt: 5 } }] }, true],
    [{ $or: [{ 'order.id': 'o-2' }] }, false],
    [{ $and: [{ 'order.id': 'o-1' }, { $not: { 'order.paid': false } }] }, true],
    [{ $any: [{ 'order.id': 'o-1' }], $all: [{}], 'order.total': { $not: { $lt: 5 } } }, true],
    [{ 'order.total': { $or: [5, { $gt: 100 }] } }, true],
    [{ 'order.total': { $and: [{ $gt: 100 }, { $lt: 110 }] } }, false],
  ]
  for (const [filter, expected] of cases) {
    t.equal(compileFilter(filter)(PAYLOAD), expected, JSON.stringify(filter))
  }
  const named = parse('{"$gt": 5, "$ref": {"$id": "x"}, "or": 1, "a": {"$or": [1]}}')
  const reached = [
    { 'payload.$gt': 5 },
    { 'payload.$ref.$id': 'x' },
    { or: 1 },
    { 'a.$or': [1] },
    { 'a.$or.0': 1 },
  ]
  for (const filter of [...reached, { 'payload.$gt': { $gt: 4 } }, { a: { $eq: { $or: [1] } } }]) {
    t.equal(compileFilter(filter)(named), true, JSON.stringify(filter))
  }
})

t.test('numbers are compared exactly, whatever their size and however they are written', async (t) => {
  fc.assert(
    fc.property(NUMBER_TEXT, NUMBER_TEXT, (own, other) => {
      const payload = parseExactly(`{"a":${own},"list":["x",{"a":${own}},${own}]}`)
      const holds = (filter: string): boolean =>
        compileFilter(parseAsWritten(filter) as Record<string, unknown>)(payload)
      const order = orderOf(own, other)
      const expected = {
        eq: order === 0,
        ne: order !== 0,
        gt: order > 0,
        gte: order >= 0,
        lt: order < 0,
        lte: order <= 0,
      }
      for (const [name, is] of Object.entries(expected)) {
        assert.equal(holds(`{"a":{"${name}":${other}}}`), is, `${own} ${name} ${other}`)
      }
      assert.equal(holds(`{"a":${other}}`), order === 0)
      assert.equal(holds(`{"a":{"in":["x",${other},[1]]}}`), order === 0)
      assert.equal(holds(`{"a":{"nin":[${other}]}}`), order !== 0)
      assert.equal(holds(`{"list":{"contains":${other}}}`), order === 0)
      assert.equal(holds(`{"list":{"contains":{"a":${other}}}}`), order === 0)
      assert.equal(holds(`{"list":["x",{"a":${other}},${other}]}`), order === 0)
    }),
    { numRuns: 2_000 },
  )
  const near = compileFilter(parseAsWritten('{"id":813683310949021977}') as Record<string, unknown>)
  t.equal(near(parseExactly('{"id":813683310949021977}')), true)
  t.equal(near(parseExactly('{"id":813683310949021978}')), false)
})

t.test('texts may hold whatever JSON texts may', async (t) => {
  for (const text of ['\0', '\ud800', '\udfff\ud800', 'a\0b']) {
    t.equal(compileFilter({ a: text })({ a: text }), true)
    t.equal(compileFilter({ [text]: { contains: text.slice(0, 1) } })({ [text]: text }), true)
    t.equal(compileFilter({ a: text })({ a: '\ufffd' }), false)
  }
})

t.test('everything that is wrong is listed, up to a hundred', async (t) => {
  const violations = violationsOf({ a: { gt: null, in: 5 }, any: [{ 'b.': 1 }, 7], eq: 1 })
  t.same(
    violations.map(([pointer]) => pointer),
    ['/filter/a/gt', '/filter/a/in', '/filter/any/0/b.', '/filter/any/1', '/filter/eq'],
  )
  const many = violationsOf({ any: Array.from({ length: 150 }, () => ({ a: { gt: null } })) })
  t.equal(many.length, 100)
  t.match(many[0], ['/filter', /150 conditions/], 'what is wrong with the whole comes first')
})

t.test('limits', async (t) => {
  const conditions = (count: number) => ({
    any: [{ a: { in: [1, 2, 3], not: 5 } }, ...Array.from({ length: count - 2 }, (_, at) => ({ b: at }))],
  })
  t.equal(compileFilter(conditions(100))({ b: 97 }), true)
  t.match(violationsOf(conditions(101)), [['/filter', /101 conditions/]])

  const nots = (levels: number): Record<string, unknown> => (levels === 1 ? {} : { not: nots(levels - 1) })
  t.equal(compileFilter(nots(10))({}), false)
  t.match(violationsOf(nots(11)), [[`/filter${'/not'.repeat(10)}`, /nested deeper than 10/]])

  const anys = (levels: number): Record<string, unknown> =>
    levels === 1 ? { a: 1 } : { any: [anys(levels - 1)] }
  t.equal(compileFilter(anys(10))({ a: 1 }), true, 'lists of conditions do not count')
  t.match(violationsOf(anys(11)), [[`/filter${'/any/0'.repeat(10)}`, /nested deeper than 10/]])

  const lists = (levels: number): unknown[] => (levels === 1 ? [] : [lists(levels - 1)])
  t.equal(compileFilter({ a: lists(9) })({ a: lists(9) }), true)
  t.equal(compileFilter({ a: lists(9) })({ a: lists(10) }), false)
  t.match(violationsOf({ a: lists(10) }), [[`/filter/a${'/0'.repeat(9)}`, /nested deeper than 10/]])
  const endless = parse(`{"a": ${'['.repeat(500_000)}${']'.repeat(500_000)}}`)
  t.match(violationsOf(endless), [['/filter', /nested deeper than 10/]])
  t.equal(compileFilter({ a: { contains: [[]] } })(endless), false, 'payloads may be as deep as they like')

  const path = (segments: number): string => Array.from({ length: segments }, () => 'a').join('.')
  t.match(
    compileFilter({ [path(20)]: 1, [`payload.${path(20)}`]: 1, [path(10)]: { [path(10)]: 1 } }),
    Function,
  )
  t.match(violationsOf({ [path(21)]: 1 }), [[`/filter/${path(21)}`, /20 segments/]])
  t.match(violationsOf({ [path(10)]: { [path(11)]: 1 } }), [[/^\/filter\/a/, /20 segments/]])
  t.match(compileFilter({ [`payload.${'x'.repeat(500)}`]: 1 }), Function)
  t.match(violationsOf({ ['x'.repeat(501)]: 1 }), [[/xx$/, /500 characters/]])
  t.match(violationsOf({ ['x'.repeat(250)]: { ['y'.repeat(250)]: 1 } }), [[/xx\/yy/, /500 characters/]])

  const contains = (count: number) => ({
    any: Array.from({ length: count }, (_, at) => ({ not: { a: { contains: at } } })),
  })
  t.equal(compileFilter(contains(10))({ a: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }), false)
  t.match(violationsOf(contains(11)), [['/filter', /11 contains, and may have 10/]])
  t.equal(compileFilter({ a: { contains: 'x'.repeat(200) } })({ a: 'x'.repeat(201) }), true)
  t.match(violationsOf({ a: { contains: 'x'.repeat(201) } }), [['/filter/a/contains', /200 characters/]])

  const around = JSON.stringify({ a: '' }).length
  t.match(compileFilter({ a: 'é'.repeat((8_192 - around) / 2) }), Function)
  t.match(violationsOf({ a: `${'é'.repeat((8_192 - around) / 2)}x` }), [['/filter', /8193 bytes/]])
})

t.test('each condition looks at the payload once, however they are nested', async (t) => {
  let looks = 0
  const payload = {
    get a() {
      looks++
      return 5
    },
  }
  const nested = (levels: number): Record<string, unknown> =>
    levels === 0
      ? { a: { any: [6, { not: 5 }] } }
      : { any: [{ a: 6 }, { not: { not: nested(levels - 1) } }, { all: [{ a: 5 }, { a: 6 }] }] }
  t.equal(compileFilter(nested(2))(payload), false)
  t.equal(looks, 7)
})
