import { sql } from 'kysely'
import t from 'tap'
import { listQuery, type ListQuery } from '../../../src/features/events/reads.ts'
import { createLog } from '../../../src/platform/log.ts'
import { createDatabase, createPool, type Database, type Pool } from '../../../src/platform/postgres/pool.ts'
import { createTestDatabase } from '../../helpers/environment.ts'

const SMALL = 1_000
const LARGE = 1_000_000
const APP = '01900000-0000-7000-8000-000000000001'
const COMMON_TYPES = 20
const PAGE = 51
/** Of 8 KiB, for one type: a row of the page each, and an index descent in each of four partitions. */
const MAX_BLOCKS = PAGE + 4 * 6

/** What a page reads, at any length of the log: a few index levels in each partition, and its own rows. */
const PAGES: Record<string, (head: number) => Partial<ListQuery>> = {
  newest: () => ({}),
  oldest: () => ({ order: 'asc' }),
  'from the middle': (head) => ({ after: Math.floor(head / 2) }),
  'forward from the middle': (head) => ({ order: 'asc', after: Math.floor(head / 2) }),
  'of a common type': () => ({ names: ['common.3'] }),
  'of a type that stands at the beginning only': () => ({ names: ['rare.first'] }),
  'of a type that never occurs': () => ({ names: ['never'] }),
  'of many types': () => ({
    names: [...Array.from({ length: 10 }, (_, n) => `common.${n}`), 'rare.first', 'never'],
  }),
}

interface Plan {
  'Node Type': string
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: Plan[]
}

t.test(`a page of events costs the same at ${LARGE} events as at ${SMALL}`, async (t) => {
  const pool = createPool(await createTestDatabase(), {
    size: 2,
    name: 'test',
    log: createLog('silent', 'test'),
  })
  t.teardown(() => pool.end())
  const db = createDatabase(pool)

  await fill(pool, 1, SMALL)
  const small = await measure(db, SMALL)
  await fill(pool, SMALL + 1, LARGE)
  const large = await measure(db, LARGE)

  for (const [name, { blocks, nodes }] of Object.entries(large)) {
    const types = PAGES[name]?.(0).names?.length ?? 1
    const before = small[name]?.blocks
    t.ok(blocks <= types * MAX_BLOCKS, `${name}: ${blocks} blocks, ${before} at ${SMALL} events`)
    t.notOk(nodes.includes('Seq Scan'), `${name}: ${[...new Set(nodes)].join(', ')}`)
  }
})

/** Events at positions from … to, spread over the months that have partitions, as time would. */
async function fill(pool: Pool, from: number, to: number): Promise<void> {
  await pool.query(
    `insert into events (app_id, id, position, event_type_id, type, payload, edges, created_at)
     select $1, (left(first_id_at(at)::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, n, $1,
            case when n <= 5 then 'rare.first' else 'common.' || n % ${COMMON_TYPES} end, '{"n":1}', '[]', at
       from generate_series($2::int, $3::int) n,
            lateral (select now() + n * interval '8 seconds' as at) moment`,
    [APP, from, to],
  )
  await pool.query('analyze events')
}

async function measure(
  db: Database,
  head: number,
): Promise<Record<string, { blocks: number; nodes: string[] }>> {
  const result: Record<string, { blocks: number; nodes: string[] }> = {}
  for (const [name, page] of Object.entries(PAGES)) {
    const query = listQuery({
      appId: APP,
      names: undefined,
      order: 'desc',
      limit: 51,
      after: undefined,
      ...page(head),
    })
    const { rows } = await sql<{
      'QUERY PLAN': string
    }>`explain (analyze, buffers, timing off, format json) ${query}`.execute(db)
    const [{ Plan: plan }] = JSON.parse(rows[0]?.['QUERY PLAN'] ?? '') as [{ Plan: Plan }]
    result[name] = { blocks: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'], nodes: nodesOf(plan) }
  }
  return result
}

const nodesOf = (plan: Plan): string[] => [plan['Node Type'], ...(plan.Plans ?? []).flatMap(nodesOf)]
