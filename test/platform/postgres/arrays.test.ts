import assert from 'node:assert/strict'
import fc from 'fast-check'
import pg from 'pg'
import t, { type Test } from 'tap'
import { pgArray } from '../../../src/platform/postgres/arrays.ts'
import { createTestDatabase } from '../../helpers/environment.ts'

const client = new pg.Client(await createTestDatabase())
await client.connect()
t.teardown(() => client.end())

/** What Postgres understood by an encoded array: its elements as text, since that is exact for every type. */
async function understood(parameter: Buffer, type: string): Promise<(string | null)[]> {
  const { rows } = await client.query<{ element: string | null }>(
    `select element::text from unnest($1::${type}[]) with ordinality as a(element, place) order by place`,
    [parameter],
  )
  return rows.map(({ element }) => element)
}

/** One type of element: how arrays of it are encoded, and what Postgres should make of an element. */
interface Case<T> {
  type: string
  encode: (values: readonly (T | null)[]) => Buffer
  examples: readonly T[]
  arbitrary: fc.Arbitrary<T>
  /** How Postgres writes the element as text. */
  asText: (value: T) => string
}

const INT4 = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]
const TEXTS = ['', ' ', 'é€𝄞', '"', '\\', '\\"', "'", '{a,b}', 'NULL', 'a\nb\tc', 'x'.repeat(100_000)]
const text = fc.string({ unit: 'binary', maxLength: 30 }).map((value) => value.replaceAll('\0', ''))

t.test('uuid', (t) =>
  roundTrips(t, {
    type: 'uuid',
    encode: pgArray.uuid,
    examples: [
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '019380F5-7A1C-7E64-9D0B-3A5F0F2C1B77',
    ],
    arbitrary: fc.uuid(),
    asText: (value) => value.toLowerCase(),
  }),
)

t.test('text', (t) =>
  roundTrips(t, {
    type: 'text',
    encode: pgArray.text,
    examples: TEXTS,
    arbitrary: text,
    asText: (value) => value,
  }),
)

t.test('json', (t) =>
  roundTrips(t, {
    type: 'json',
    encode: pgArray.json,
    examples: ['{"b" : 1,\n "a":12345678901234567890, "a": 0.10}', '"é€𝄞\\n\\u0041"', 'null', '[]', ' 1 '],
    arbitrary: fc.json(),
    asText: (value) => value,
  }),
)

t.test('bool', (t) =>
  roundTrips(t, {
    type: 'bool',
    encode: pgArray.bool,
    examples: [true, false],
    arbitrary: fc.boolean(),
    asText: String,
  }),
)

t.test('int4', (t) =>
  roundTrips(t, {
    type: 'int4',
    encode: pgArray.int4,
    examples: INT4,
    arbitrary: fc.integer(),
    asText: String,
  }),
)

t.test('int8', (t) =>
  roundTrips(t, {
    type: 'int8',
    encode: pgArray.int8,
    examples: [...INT4, 2 ** 31, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
    arbitrary: fc.maxSafeInteger(),
    asText: String,
  }),
)

t.test('bytea', (t) =>
  roundTrips(t, {
    type: 'bytea',
    encode: pgArray.bytea,
    examples: [
      Buffer.alloc(0),
      Buffer.from([0]),
      Buffer.from([0xff, 0, 0x5c, 0x22]),
      Buffer.alloc(70_000, 7),
    ],
    arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    asText: (value) => `\\x${value.toString('hex')}`,
  }),
)

async function roundTrips<T>(t: Test, { type, encode, examples, arbitrary, asText }: Case<T>): Promise<void> {
  const expected = (values: readonly (T | null)[]): (string | null)[] =>
    values.map((value) => (value === null ? null : asText(value)))
  const nothing: T[] = []
  const withNulls = [null, ...examples.flatMap((value) => [value, null])]

  t.same(await understood(encode(examples), type), expected(examples), 'examples')
  t.same(await understood(encode(withNulls), type), expected(withNulls), 'examples between nulls')
  t.same(await understood(encode([null]), type), [null], 'null alone')
  t.same(await understood(encode(nothing), type), [], 'no element')
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(arbitrary)), async (values) => {
      assert.deepEqual(await understood(encode(values), type), expected(values))
    }),
  )
  t.pass('arbitrary elements')
}

t.test('arrays are what Postgres itself would make', async (t) => {
  const { rows } = await client.query(
    `select $1::text[] = array['a', null, 'c'] as same, array_dims($1::text[]) as dims, $2::text[] = '{}' as empty`,
    [pgArray.text(['a', null, 'c']), pgArray.text([])],
  )
  t.same(rows, [{ same: true, dims: '[1:3]', empty: true }])
})

t.test('columns of several types stay side by side', async (t) => {
  const { rows } = await client.query(
    'select * from unnest($1::uuid[], $2::int8[], $3::bool[], $4::text[]) as u(id, number, flag, name)',
    [
      pgArray.uuid(['019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77', null]),
      pgArray.int8([null, 2]),
      pgArray.bool([true, null]),
      pgArray.text([null, 'b']),
    ],
  )
  t.same(rows, [
    { id: '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77', number: null, flag: true, name: null },
    { id: null, number: '2', flag: null, name: 'b' },
  ])
})

t.test('a number that does not fit is refused, not cut', async (t) => {
  t.throws(() => pgArray.int4([2 ** 31]), RangeError)
  t.throws(() => pgArray.int8([1.5]), RangeError)
})
