import t from 'tap'
import type { CompiledQuery } from 'kysely'
import { createInquiryService } from '../../../src/packs/inquiries/service.ts'
import { firstSnowflakeAt } from '../../../src/platform/identifiers/snowflake-ids.ts'
import { readPages } from '../../helpers/pages.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'
import { createWatchedDatabase, measure } from '../../helpers/statements.ts'

interface Inquiry {
  id: string
  type: string
  email: string
  createdAt: string
}

const TYPES = ['100_GENERAL', '200_SALES', '300_SUPPORT']
const EMAILS = ['ada@example.com', 'Ada@Example.COM', 'grace@example.com', 'alan@example.com']
const notFound = { status: 404, type: 'not-found' }

t.test('inquiries are listed', async (t) => {
  const service = await startService(t, { worker: false })
  const [client, other] = [await service.client(), await service.client()]
  const all: Inquiry[] = []
  for (let number = 0; number < 36; number++) {
    const [type, email] = [TYPES[number % 3], EMAILS[number % 4]]
    const submitted = await client.post('/inquiries/submit', { type, firstName: `Number ${number}`, email })
    all.push(submitted.body)
    await other.post('/inquiries/submit', { type, firstName: 'Theirs', email })
  }
  const newestFirst = all.toReversed()
  const list = async (query: string): Promise<Inquiry[]> =>
    (await readPages<Inquiry>(client, `/inquiries?limit=5${query}`)).rows

  t.test('newest first, or oldest first, in pages of any size', async (t) => {
    for (const size of [1, 7, 36, 100]) {
      const { rows, sizes } = await readPages<Inquiry>(client, `/inquiries?limit=${size}`)
      t.strictSame(rows, newestFirst, `by ${size}`)
      t.strictSame(sizes.slice(0, -1), sizes.slice(0, -1).fill(size))
    }
    t.strictSame(await list('&order=desc'), newestFirst)
    t.strictSame(await list('&order=asc'), all)
    t.equal((await client.get('/inquiries')).body.data.length, 36, 'up to 50 unless told')
  })

  t.test('by type, address and time, in any combination', async (t) => {
    const moments = [0, 10, 20, 35].map((index) => all[index]?.createdAt as string)
    const ranges = [undefined, ...moments]
    const emails = [
      undefined,
      'ada@example.com',
      'ADA@EXAMPLE.COM',
      'grace@example.com',
      'nobody@example.com',
    ]
    for (const type of [undefined, '200_SALES', '500_PRESS']) {
      for (const email of emails) {
        for (const [number, from] of ranges.entries()) {
          const to = ranges[(number + 2) % ranges.length]
          const query = Object.entries({ type, email, createdAtGte: from, createdAtLte: to })
            .map(([name, value]) => (value === undefined ? '' : `&${name}=${encodeURIComponent(value)}`))
            .join('')
          const expected = newestFirst.filter(
            (inquiry) =>
              (type === undefined || inquiry.type === type) &&
              (email === undefined || inquiry.email.toLowerCase() === email.toLowerCase()) &&
              (from === undefined || inquiry.createdAt >= from) &&
              (to === undefined || inquiry.createdAt <= to),
          )
          const listed = await list(query)
          if (listed.length !== expected.length) t.strictSame(listed, expected, query)
          t.strictSame(listed, expected)
        }
      }
    }
  })

  t.test('times far away, and other spellings of a time', async (t) => {
    const at = all[10]?.createdAt as string
    const elsewhere = at.replace('Z', '+00:00').replace('T', 't')
    const encoded = encodeURIComponent(elsewhere)
    t.strictSame(
      await list(`&createdAtGte=${encoded}&createdAtLte=${encoded}`),
      all.filter((one) => one.createdAt === at),
    )
    t.strictSame(await list('&createdAtGte=1800-01-01T00:00:00Z'), newestFirst)
    t.strictSame(await list('&createdAtGte=9999-12-31T23:59:59Z'), [])
    t.strictSame(await list('&createdAtLte=9999-12-31T23:59:59.999Z'), newestFirst)
    t.strictSame(await list('&createdAtLte=1969-12-31T23:59:59Z'), [])
    const noClock = await client.get('/inquiries?createdAtGte=2016-12-31T23:59:60Z')
    expectProblem(t, noClock, { status: 400, type: 'validation-failed' }, 'a leap second')
  })

  t.test('a page goes on where it was, whatever comes in between', async (t) => {
    const { rows } = await readPages<Inquiry>(other, '/inquiries?limit=10', () =>
      other.post('/inquiries/submit', { type: '900_OTHER', firstName: 'Late', email: 'late@example.com' }),
    )
    t.equal(rows.length, 36)
    t.equal(new Set(rows.map(({ id }) => id)).size, 36)
  })

  t.test('two apps know nothing of each other’s', async (t) => {
    const { body: theirs } = await other.get('/inquiries?limit=5')
    for (const { id } of theirs.data as Inquiry[]) {
      t.equal((await other.get(`/inquiries/${id}`)).status, 200)
      expectProblem(t, await client.get(`/inquiries/${id}`), notFound, 'reading one')
    }
    const { body: page } = await client.get(`/inquiries?after=${theirs.pageInfo.endCursor}`)
    const own = new Set(all.map(({ id }) => id))
    t.ok(
      page.data.every(({ id }: Inquiry) => own.has(id)),
      'with a cursor of the other',
    )
    for (const query of ['', '?type=200_SALES', '?email=ada@example.com', '?order=asc'])
      for (const { id } of (await client.get(`/inquiries${query}`)).body.data) t.ok(own.has(id), query)
  })

  t.test('an id that is none, and one of nothing', async (t) => {
    const bad = [
      '1',
      '-1',
      '0912345678901234567',
      '9223372036854775808',
      '9'.repeat(19),
      '1e18',
      '１'.repeat(18),
    ]
    for (const id of bad) {
      const answer = await client.get(`/inquiries/${encodeURIComponent(id)}`)
      expectProblem(t, answer, { status: 400, type: 'validation-failed', pointers: ['/id'] }, id)
    }
    for (const id of ['912345678901234567', '8999999999999999999'])
      expectProblem(t, await client.get(`/inquiries/${id}`), notFound, id)
  })
})

t.test('a page costs the same however many inquiries there are', async (t) => {
  const service = await startService(t, { worker: false })
  const { pool } = service.platform
  const { appId } = await service.client()
  const start = Date.now()
  const statements: CompiledQuery[] = []
  const inquiries = createInquiryService(
    createWatchedDatabase(pool, (statement) => void statements.push(statement)),
    () => Promise.reject(new Error('Nothing is appended here.')),
    service.platform.snowflakeIds,
  )
  const growTo = async (from: number, to: number): Promise<void> => {
    // A second apart; of a rare type and from a rare address at the beginning only.
    await pool.query(
      `insert into inquiries (app_id, id, type, first_name, email, created_at)
       select $1, $2::bigint + n * 1000::bigint * 4194304,
              case when n < 5 then '500_PRESS' else '100_GENERAL' end, 'Ada',
              case when n < 5 then 'rare@example.com' when n % 2 = 0 then 'Busy@example.com'
                   else n || '@example.com' end, now()
         from generate_series($3::int, $4::int - 1) n`,
      [appId, firstSnowflakeAt(start), from, to],
    )
    await pool.query('vacuum analyze inquiries')
  }
  const moment = (second: number): string => new Date(start + second * 1000).toISOString()

  let measured = 0
  let length = 0
  for (const next of [1_000, 30_000]) {
    await growTo(length, next)
    length = next
    const filters: Record<string, Parameters<typeof inquiries.list>[1]> = {
      all: {},
      'of a frequent type': { type: '100_GENERAL' },
      'of a rare type': { type: '500_PRESS' },
      'of a type that never occurs': { type: '900_OTHER' },
      'from a frequent address': { email: 'busy@example.com' },
      'from a rare address': { email: 'rare@example.com' },
      'from nobody': { email: 'nobody@example.com' },
      'of a rare type, from a rare address': { type: '500_PRESS', email: 'rare@example.com' },
      'of a type, from a rare address': { type: '100_GENERAL', email: 'rare@example.com' },
      'in a time': { createdAtGte: moment(length / 2), createdAtLte: moment(length / 2 + 30) },
      'of a rare type since a time': { type: '500_PRESS', createdAtGte: moment(length / 2) },
      'from a rare address before a time': { email: 'rare@example.com', createdAtLte: moment(length / 2) },
    }
    for (const [name, filter] of Object.entries(filters)) {
      for (const order of ['asc', 'desc'] as const) {
        statements.length = 0
        await inquiries.list(appId, filter, { order, size: 50, after: undefined })
        for (const statement of statements) {
          const work = await measure(pool, statement)
          t.ok(work.blocks <= 70, `${name}, ${order}, of ${length}: ${work.blocks} blocks`)
          t.notOk(work.nodes.includes('Seq Scan'), `${name}, ${order}: ${work.nodes.join(', ')}`)
          t.ok(work.sorted <= 60, `${name}, ${order}: ${work.sorted} rows sorted`)
          measured += 1
        }
      }
    }
  }
  t.equal(measured, 48, 'each was measured')
})
