import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { parseTemplate } from '../../../src/features/events/types/templates.ts'
import { exactNumber } from '../../../src/platform/json/exact-numbers.ts'
import { compileRooms } from '../../../src/features/events/types/rooms.ts'
import { isRoom, isSegment } from '../../../src/platform/rooms/names.ts'

t.test('what a template makes of a payload', async (t) => {
  const payload = {
    id: 'A-1',
    number: 17,
    below: -3,
    zero: -0,
    id64: exactNumber('-813683310949021977'),
    whole: exactNumber('813683310949021977.0e1'),
    yes: true,
    no: false,
    order: { id: 'B-2', lines: [{ sku: 'c.3' }] },
    'odd name': 'x',
    payload: { id: 'own' },
  }
  const cases: [template: string, name: string | undefined][] = [
    ['orders', 'orders'],
    ['orders/all/of/them', 'orders/all/of/them'],
    ['orders/{payload.id}', 'orders/A-1'],
    ['{payload.id}', 'A-1'],
    ['orders/{payload.id}/lines/{payload.number}', 'orders/A-1/lines/17'],
    ['order-{payload.id}', 'order-A-1'],
    ['{payload.id}.json/x', 'A-1.json/x'],
    ['a{payload.number}b', 'a17b'],
    ['{payload.below}/{payload.zero}/{payload.yes}/{payload.no}', '-3/0/true/false'],
    ['{payload.id64}/{payload.whole}', '-813683310949021977/8136833109490219770'],
    ['{payload.order.id}', 'B-2'],
    ['{payload.order.lines.0.sku}', 'c.3'],
    ['{payload.odd name}', 'x'],
    ['{payload.payload.id}', 'own'],
    ['{payload.order}', undefined],
    ['{payload.order.lines}', undefined],
    ['{payload.order.lines.length}', undefined],
    ['{payload.order.lines.1.sku}', undefined],
    ['{payload.id.length}', undefined],
    ['{payload.id.0}', undefined],
    ['{payload.none}', undefined],
    ['{payload.none.at.all}', undefined],
    ['{payload.constructor.name}', undefined],
    ['{payload.__proto__.constructor.name}', undefined],
    ['{payload.toString}', undefined],
  ]
  for (const [template, name] of cases) t.equal(parseTemplate(template)(payload), name, template)
  for (const odd of [undefined, null, 'text', 5, [], true])
    t.equal(parseTemplate('a/{payload.id}')(odd), undefined, String(odd))
  t.equal(parseTemplate('a')(undefined), 'a')
  t.equal(parseTemplate('{payload.__proto__.id}')(JSON.parse('{"__proto__":{"id":"own"}}')), 'own')
})

t.test('a place that is filled with what is no segment makes no name', async (t) => {
  const texts = [
    '',
    ' ',
    '../x',
    'a/b',
    '/',
    'a b',
    'a,b',
    '*',
    '**',
    '{payload.id}',
    'ü',
    'a\n',
    '\n',
    '\0',
    'a\0b',
    '\ud800',
    '%2f',
  ]
  const long = ['x'.repeat(129), 'x'.repeat(1_000_000)]
  const inexact = ['1e400', '-1e-400', '0.30000000000000001', '1234567890123456789012']
  const numbers = [1.5, 1e21, -1e21, Number.NaN, Infinity, ...inexact.map(exactNumber)]
  const others: unknown[] = [null, undefined, {}, [], ['a'], { toString: () => 'a' }, { id: 'a' }]
  const values: unknown[] = [...texts, ...long, ...numbers, ...others]
  for (const template of ['{payload.id}', 'a/{payload.id}', 'a-{payload.id}', '{payload.id}-b/c']) {
    const fill = parseTemplate(template)
    for (const id of values)
      t.equal(fill({ id }), undefined, `${template} with ${JSON.stringify(id)?.slice(0, 30)}`)
  }
  const full = 'x'.repeat(128)
  t.equal(parseTemplate('a-{payload.id}')({ id: full }), undefined, 'a segment that is too long as a whole')
  t.equal(parseTemplate('{payload.id}/{payload.id}')({ id: full }), undefined, 'a name that is too long')
  t.equal(parseTemplate('{payload.id}')({ id: full }), full)
})

t.test('what is no template', async (t) => {
  const cases: [template: string, says: string][] = [
    ['', 'segment 1'],
    ['/', 'segment 1'],
    ['a/', '"" as segment 2'],
    ['/a', 'segment 1'],
    ['a//b', 'segment 2'],
    ['a b', '"a b"'],
    ['*', '"*"'],
    ['**/a', '"**"'],
    ['ü', '"ü"'],
    ['a\n', 'a segment'],
    ['a/{payload.id}\n', 'a segment'],
    ['{payload}', '"{payload}"'],
    ['{payload.}', '"{payload.}"'],
    ['{payload..id}', 'a segment'],
    ['{payload.id.}', 'a segment'],
    ['{id}', '"{id}"'],
    ['{}', '"{}"'],
    ['{ payload.id }', 'a segment'],
    ['{type}', 'a segment'],
    ['{payload.id', 'a segment'],
    ['payload.id}', 'a segment'],
    ['{{payload.id}}', 'a segment'],
    ['{payload.a}{payload.b}', 'at most one place'],
    ['{payload.a}-{payload.b}', 'at most one place'],
    ['{payload.a/b}', '"{payload.a"'],
    ['1/2/3/4/5/6/7/8/9', '9 segments'],
    ['{payload.a}/2/3/4/5/6/7/8/9', '9 segments'],
    ['x'.repeat(129), 'segment 1'],
    [`${'x'.repeat(128)}{payload.a}`, 'segment 1'],
    [`${'x'.repeat(128)}/${'x'.repeat(127)}`, '256 characters'],
    [`${'x'.repeat(128)}/${'x'.repeat(126)}/{payload.a}`, '257 characters'],
  ]
  for (const [template, says] of cases) {
    try {
      parseTemplate(template)
      t.fail(`${template}: was taken`)
    } catch (error) {
      assert.ok(error instanceof RangeError)
      t.ok(error.message.includes(says), `${template}: ${error.message}`)
    }
  }
  t.equal(parseTemplate(`a/{payload.${'x'.repeat(400)}}`)({}), undefined, 'the name of a member may be long')
})

t.test('names are names, and different values make different ones', async (t) => {
  const literal = fc.string({ unit: fc.constantFrom('a', '-', '1'), maxLength: 3 })
  const place = fc.tuple(literal, fc.constantFrom('x', 'y'), literal)
  const part = fc.oneof(
    literal.filter((text) => text !== ''),
    place.map(([before, name, after]) => `${before}{payload.${name}}${after}`),
  )
  const template = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
  const value = fc.oneof(literal, fc.string({ maxLength: 4 }), fc.constantFrom('a/a', '-/1', '/', '..'))
  const payload = fc.record({ x: value, y: value })
  fc.assert(
    fc.property(template, payload, payload, (text, one, other) => {
      const fill = parseTemplate(text)
      const used = (['x', 'y'] as const).filter((name) => text.includes(`{payload.${name}}`))
      const name = fill(one)
      assert.equal(
        name !== undefined,
        used.every((member) => isSegment(one[member])),
      )
      if (name === undefined) return
      assert.ok(isRoom(name))
      const replaced = text.replaceAll(/\{payload\.(.)\}/g, (_, member: 'x' | 'y') => one[member])
      assert.equal(name, replaced)
      assert.equal(
        fill(other) === name,
        used.every((member) => one[member] === other[member]),
      )
    }),
    { numRuns: 5_000 },
  )
  t.pass('for arbitrary templates and payloads')
})

t.test('the rooms of a type', async (t) => {
  t.equal(compileRooms('a.b', { topic: 'a/b', rooms: [] }), undefined, 'nothing to be worked out')
  const of = compileRooms('a.b', { topic: 'a/{payload.t}', rooms: ['r/{payload.x}', 'r/1', 'r/{payload.y}'] })
  t.strictSame(of?.({ t: 1, x: 2, y: 3 }), { topic: 'a/1', rooms: 'r/2 r/1 r/3' }, 'in their order')
  t.strictSame(of?.({ t: 1, x: '1', y: 1 }), { topic: 'a/1', rooms: 'r/1' }, 'each once')
  t.strictSame(of?.({}), { topic: 'a.b', rooms: 'r/1' }, 'the topic is the type')
  t.equal(compileRooms('a.b', { topic: null, rooms: ['{payload.x}'] })?.({}), undefined, 'in no room')
})
