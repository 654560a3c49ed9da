import fc from 'fast-check'
import t from 'tap'
import {
  compareNumbers,
  isNumber,
  parseAsWritten,
  parseExactly,
} from '../../../src/platform/json/exact-numbers.ts'
import { jsonObjectText } from '../../helpers/json-text.ts'
import { HARD_NUMBERS } from '../../helpers/numbers.ts'
import { positionsOf } from '../../helpers/pages.ts'
import { startService, type Client } from '../../helpers/service.ts'

const asFilter = (text: string): string => `payload=${encodeURIComponent(text)}`

/** JSON texts of values that the log keeps as text but jsonb does not take, each of another value. */
const NOT_FOR_JSONB = [
  '"\\u0000"',
  '"a\\u0000b"',
  '"\\u0000\\u0000"',
  '1e999999',
  '-1E+999999',
  '1e-999999',
  '12.5e-20000',
  `1${'0'.repeat(140_000)}`,
  `0.${'0'.repeat(17_000)}1`,
  `1e${'9'.repeat(1_500)}`,
  '"\\ud800"',
  '"\\udc00x"',
  '"\\ud800\\ud800"',
  '"\\ud800\\ud83d\\ude00\\ude00"',
  '"\\\\\\u0000"',
  '["\\u0000",1e999999]',
]
/** What could be taken for one of them. */
const ALIKE = [
  '"\\\\u0000"',
  '"\\u0001"',
  '"\\u00010"',
  '"\\u00011"',
  '"\\u00015800"',
  '"\\u0001\\u5800"',
  '"\\u0001n1e1000000"',
  '"\\ud83d\\ude00"',
  '"1e999999"',
  '"\\\\\\\\u0000"',
  '"0"',
  '0',
  '-0.0',
  '{"a":1e9999,"b":"\\u0001"}',
]
/** The same values in other words. */
const SAME: [one: string, other: string][] = [
  ['1e999999', '1000.00E+00999996'],
  ['-1E+999999', '-0.001e1000002'],
  [`1${'0'.repeat(140_000)}`, '1e140000'],
  [`0.${'0'.repeat(17_000)}1`, '1.0e-17001'],
  ['12.5e-20000', '125e-20001'],
  ['"\\ud800"', '"\\uD800"'],
  ['"\\\\u0000"', '"\\u005cu0000"'],
  ['"\\u0000\\u0000"', '"\\u0000\\u0000"'],
  ['0', '0e999999'],
  [`"x${'\\u0000'.repeat(50)}"`, `"\\u0078${'\\u0000'.repeat(50)}"`],
  ['[1.50,"\\u0000"]', `[1.5${'0'.repeat(150)},"\\u0000"]`],
]

async function append(client: Client, payload: string): Promise<number> {
  const { status, body, text } = await client.post('/events', `{"type":"a.b","payload":${payload}}`)
  if (status !== 201) throw new Error(text)
  return body.position
}

t.test('payloads are found by whatever they hold', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const values = [...NOT_FOR_JSONB, ...ALIKE, ...HARD_NUMBERS.filter((text) => !['-0', '0.0'].includes(text))]
  const where = new Map<string, number[]>()
  for (const value of values) {
    const positions = [
      await append(client, `{"ok":1,"it":${value}}`),
      await append(client, `{"ok":1,"in":[2,{"it":${value}}]}`),
    ]
    where.set(value, positions)
  }
  const all = [...where.values()].flat()
  t.strictSame(
    await positionsOf(client, `/events?order=asc&${asFilter('{"ok":1}')}`),
    all,
    'by something else',
  )
  for (const filter of ['', '&type=a.b', '&status=completed', '&typePrefix=a']) {
    const found = await positionsOf(client, `/events?order=asc&${asFilter('{"it":"\\u0000"}')}${filter}`)
    t.strictSame(found, where.get('"\\u0000"')?.slice(0, 1), filter)
  }
  const zero = ['0', '-0.0'].flatMap((text) => where.get(text) ?? [])
  for (const value of values.filter((text) => text.length <= 1_000)) {
    const expected = ['0', '-0.0'].includes(value) ? zero : where.get(value)
    const found = [
      ...(await positionsOf(client, `/events?order=asc&${asFilter(`{"it":${value}}`)}`)),
      ...(await positionsOf(client, `/events?order=asc&${asFilter(`{"in":[{"it":${value}}]}`)}`)),
    ]
    t.strictSame(
      found.toSorted((a, b) => a - b),
      expected,
      value.slice(0, 60),
    )
  }

  t.test('by names of members', async (t) => {
    const names = ['"\\u0000"', '"\\ud800"', '"\\u00010"', '"1e999999"']
    const positions: number[] = []
    for (const name of names) positions.push(await append(client, `{${name}:1e999999}`))
    for (const [index, name] of names.entries()) {
      const found = await positionsOf(client, `/events?${asFilter(`{${name}:1e999999}`)}`)
      t.strictSame(found, [positions[index]], name)
    }
  })

  t.test('by the same value in other words', async (t) => {
    for (const [index, [one, other]] of SAME.entries()) {
      const position = await append(client, `{"same":[${index},${one}]}`)
      const found = await positionsOf(client, `/events?${asFilter(`{"same":[${index},${other}]}`)}`)
      t.strictSame(found, [position], other.slice(0, 60))
    }
  })

  t.test('by a condition that is nested as deeply as its length allows', async (t) => {
    const text = `{"a":${'['.repeat(1_990)}${']'.repeat(1_990)}}`
    const { status } = await client.get(`/events?${asFilter(text)}`)
    t.ok(status === 200 || status === 400, `${status}`)
    const deepest = `${'{"a":'.repeat(100)}"\\u0000"${'}'.repeat(100)}`
    const position = await append(client, deepest)
    t.strictSame(await positionsOf(client, `/events?${asFilter(deepest)}`), [position])
  })
})

/** What `@>` of jsonb means: each part of one is somewhere in the same place of the other. */
function contains(whole: unknown, part: unknown): boolean {
  if (isNumber(part)) return isNumber(whole) && compareNumbers(whole, part) === 0
  if (Array.isArray(part)) {
    return Array.isArray(whole) && part.every((item) => whole.some((each) => contains(each, item)))
  }
  if (typeof part !== 'object' || part === null) return whole === part
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole) || isNumber(whole)) return false
  return Object.entries(part).every(
    ([name, value]) => Object.hasOwn(whole, name) && contains(whole[name as keyof typeof whole], value),
  )
}

/** A part of a value: some of its members and elements. */
function partOf(value: unknown, keeps: () => boolean): unknown {
  if (Array.isArray(value)) return value.filter(keeps).map((item) => partOf(item, keeps))
  if (typeof value !== 'object' || value === null || isNumber(value)) return value
  const members = Object.entries(value).filter(keeps)
  return Object.fromEntries(members.map(([name, member]) => [name, partOf(member, keeps)]))
}

t.test('any payload is found by any part of it, and by nothing else', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const payloads = fc.sample(jsonObjectText, { numRuns: 150, seed: 3 })
  const events = payloads.map((payload) => `{"type":"a.b","payload":${payload}}`)
  const { status, text } = await client.post('/events/batch', `{"events":[${events.join(',')}]}`)
  t.equal(status, 201, text.slice(0, 300))
  const values = payloads.map(parseExactly)
  const coins = fc.sample(fc.boolean(), { numRuns: 997, seed: 5 })
  let tossed = 0
  const keeps = () => coins[tossed++ % coins.length] ?? true
  const parts = payloads.map((payload) => JSON.stringify(partOf(parseAsWritten(payload), keeps)))
  let several = 0
  for (const filter of [...fc.sample(jsonObjectText, { numRuns: 50, seed: 4 }), ...parts]) {
    if (filter.length > 1_000) continue
    const wanted = parseExactly(filter)
    const expected = values.flatMap((value, index) => (contains(value, wanted) ? [index + 1] : []))
    const found = await positionsOf(client, `/events?order=asc&limit=100&${asFilter(filter)}`)
    if (expected.length > 1) several++
    if (JSON.stringify(found) !== JSON.stringify(expected)) t.strictSame(found, expected, filter)
  }
  t.ok(several > 10, `${several} conditions found several events`)
})
