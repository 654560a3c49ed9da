import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  elementSlices,
  listMemberSlices,
  memberSlice,
  nestedDeeperThan,
  type Slice,
} from '../../../src/platform/json/slices.ts'

/** A JSON text that knows what it was put together from. */
interface Written {
  text: string
  depth: number
}

const AWKWARD = ['"', '\\', '{', '}', '[', ']', ',', ':', '/', '\n', ' ']

const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 3 })

/** By UTF-16 units, as JSON has it. */
const escaped = (character: string): string =>
  character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')

/** A string with each character either as it is or as a `\u` escape. */
const stringText = (unit: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .array(
      fc
        .tuple(unit, fc.boolean())
        .map(([character, escape]) => (escape ? escaped(character) : JSON.stringify(character).slice(1, -1))),
      { maxLength: 6 },
    )
    .map((parts) => `"${parts.join('')}"`)

const anyString = stringText(
  fc.oneof(fc.constantFrom(...AWKWARD), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })),
)
/**
 * Few names, so that they repeat. None has a backslash: once V8 has seen such a name, JSON.parse may take it
 * for another one with an escape (nodejs/node#63785), and could not be compared with.
 */
const keyText = fc.oneof(
  stringText(fc.constantFrom('a', '"', ' ', '}')),
  fc.constantFrom('"__proto__"', '"payload"'),
)

const scalar = fc.oneof(
  anyString,
  fc.constantFrom('true', 'false', 'null', '0', '-0', '1E+5', '0.10', '12345678901234567890'),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
)

const spaced = (tie: fc.Arbitrary<Written>) =>
  fc.tuple(space, tie, space).map(([before, { text, depth }, after]) => ({ before, text, after, depth }))

const deepest = (parts: readonly { depth: number }[]): number =>
  Math.max(0, ...parts.map(({ depth }) => depth))

const arrayOf = (tie: fc.Arbitrary<Written>) =>
  fc.tuple(space, fc.array(spaced(tie), { maxLength: 5 })).map(([inside, elements]) => ({
    text: `[${elements.map(({ before, text, after }) => before + text + after).join(',') || inside}]`,
    depth: 1 + deepest(elements),
    elements: elements.map(({ text }) => text),
  }))

const objectOf = (tie: fc.Arbitrary<Written>) =>
  fc
    .tuple(space, fc.array(fc.tuple(space, keyText, space, spaced(tie)), { maxLength: 6 }))
    .map(([inside, members]) => ({
      text: `{${
        members
          .map(
            ([before, key, after, value]) =>
              `${before}${key}${after}:${value.before}${value.text}${value.after}`,
          )
          .join(',') || inside
      }}`,
      depth: 1 + deepest(members.map(([, , , value]) => value)),
      members: members.map(([, key, , { text }]) => ({ name: JSON.parse(key) as string, text })),
    }))

const { value } = fc.letrec<{ value: Written }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    scalar.map((text) => ({ text, depth: 0 })),
    arrayOf(tie('value')),
    objectOf(tie('value')),
  ),
}))

const cut = (text: string, slice: Slice | undefined): string | undefined => slice && text.slice(...slice)

t.test('a member is found to the letter, the last of its name', async (t) => {
  fc.assert(
    fc.property(space, objectOf(value), space, (before, { text, members }, after) => {
      const whole = before + text + after
      const parsed = JSON.parse(whole) as object
      for (const { name } of members) {
        const found = cut(whole, memberSlice(whole, name)) as string
        assert.equal(found, members.findLast((member) => member.name === name)?.text)
        assert.deepEqual(JSON.parse(found), Object.getOwnPropertyDescriptor(parsed, name)?.value)
      }
      assert.equal(memberSlice(whole, 'is not there'), undefined)
    }),
  )
  t.pass('in every JSON text')
})

t.test('the elements are found to the letter', async (t) => {
  fc.assert(
    fc.property(space, arrayOf(value), space, (before, { text, elements }, after) => {
      const whole = before + text + after
      const found = elementSlices(whole).map((slice) => cut(whole, slice))
      assert.deepEqual(found, elements)
      assert.deepEqual(
        found.map((element) => JSON.parse(element)),
        JSON.parse(whole),
      )
    }),
  )
  t.pass('in every JSON text')
})

t.test('a part of a larger text is found where it begins', async (t) => {
  fc.assert(
    fc.property(objectOf(value), arrayOf(value), (object, array) => {
      const text = `{"first":${object.text},"second":${array.text}}`
      const [first] = memberSlice(text, 'first') as Slice
      for (const { name } of object.members) {
        const expected = object.members.findLast((member) => member.name === name)?.text
        assert.equal(cut(text, memberSlice(text, name, first)), expected)
      }
      const [second] = memberSlice(text, 'second') as Slice
      assert.deepEqual(
        elementSlices(text, second).map((slice) => cut(text, slice)),
        array.elements,
      )
    }),
  )
  t.pass('in every JSON text')
})

t.test('a member of each element of a list is found as one by one', async (t) => {
  const list = fc.tuple(space, fc.array(spaced(objectOf(value)), { maxLength: 4 }))
  const repeated = fc.array(fc.tuple(fc.constantFrom('"events"', '"eve\\u006ets"'), list), {
    minLength: 1,
    maxLength: 2,
  })
  const other = fc.tuple(fc.constantFrom('"other"', '""'), value)
  fc.assert(
    fc.property(fc.option(other), repeated, fc.option(other), (before, lists, after) => {
      const arrays = lists.map(([key, [inside, elements]]) => [
        key,
        `[${elements.map((part) => part.before + part.text + part.after).join(',') || inside}]`,
      ])
      const others = (member: [string, Written] | null) => (member ? [[member[0], member[1].text]] : [])
      const members = [...others(before), ...arrays, ...others(after)]
      const text = ` {${members.map(([key, part]) => `${key} : ${part}`).join(' ,')}} `
      const [from] = memberSlice(text, 'events') as Slice
      assert.deepEqual(
        listMemberSlices(text, 'events', 'payload'),
        elementSlices(text, from).map(([at]) => memberSlice(text, 'payload', at)),
      )
    }),
  )
  t.same(listMemberSlices('{}', 'events', 'payload'), [])
})

t.test('the depth of nesting is told exactly, for a part of a text too', async (t) => {
  fc.assert(
    fc.property(value, fc.constantFrom('', '[[[[[[', '{"a":['), ({ text, depth }, before) => {
      const slice: Slice = [before.length, before.length + text.length]
      const whole = `${before}${text},[[[[[[[[[[[[`
      assert.equal(nestedDeeperThan(depth, whole, slice), false)
      if (depth > 0) assert.equal(nestedDeeperThan(depth - 1, whole, slice), true)
    }),
  )
  t.pass('in every JSON text')
})

t.test('strings of quotes, braces and backslashes are passed over', async (t) => {
  const tricky = ['"', '\\', '\\"', '\\\\"', '}', '{"a":', '],[', '"}', '\\\\', '"payload":1']
  for (const string of tricky) {
    const element = JSON.stringify({ [string]: string })
    const text = `{"x" : ${element} ,"payload":[${element},2]}`
    const payload = cut(text, memberSlice(text, 'payload')) as string
    t.equal(payload, `[${element},2]`, `a member after ${string}`)
    t.same(
      elementSlices(payload).map((slice) => cut(payload, slice)),
      [element, '2'],
      `an element with ${string}`,
    )
    t.equal(nestedDeeperThan(1, element, [0, element.length]), false, `the depth of ${string}`)
  }
})

t.test('a key is compared as it reads, not as it is written', async (t) => {
  const text = '{"p\\u0061yload":1,"\\"":2,"\\\\":3,"\\\\\\"":4}'
  t.equal(cut(text, memberSlice(text, 'payload')), '1')
  t.equal(cut(text, memberSlice(text, '"')), '2')
  t.equal(cut(text, memberSlice(text, '\\')), '3')
  t.equal(cut(text, memberSlice(text, '\\"')), '4')
  t.equal(memberSlice(text, 'p\\u0061yload'), undefined)
})

t.test('nothing is found in what is empty', async (t) => {
  t.equal(memberSlice('{}', 'payload'), undefined)
  t.equal(memberSlice(' { } ', 'payload'), undefined)
  t.same(elementSlices('[]'), [])
  t.same(elementSlices(' [ ] '), [])
})
