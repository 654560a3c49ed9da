import type { CompiledQuery } from 'kysely'
import t, { type Test } from 'tap'
import type { EventFilter } from '../../../src/features/events/list/filter.ts'
import { declared } from '../../helpers/declared.ts'
import { MAX_LOOKED_AT } from '../../../src/features/events/list/query.ts'
import { createEventReader } from '../../../src/features/events/reads.ts'
import { createGlobalTypes } from '../../../src/features/events/types/global-types.ts'
import { createEventTypeService } from '../../../src/features/events/types/service.ts'
import { createLog } from '../../../src/platform/log/log.ts'
import { createPool } from '../../../src/platform/postgres/pool.ts'
import { APP, BUSY, COMMON_TYPES, createBigLog, QUIET, userOf, type BigLog } from '../../helpers/big-log.ts'
import { createTestDatabase } from '../../helpers/environment.ts'
import { createWatchedDatabase, measure, type Work } from '../../helpers/statements.ts'

const SMALL = 1_000
const LARGE = 1_000_000
const PARTITIONS = 4
/** Events that a page reads: one more tells whether there is another page. */
const PAGE = 51
/** Blocks of a descent in an index, and of the row it leads to. */
const DESCENT = 5
/** Blocks of going to one place in every partition. */
const LIST = PARTITIONS * DESCENT

interface Case {
  filter: EventFilter
  order?: 'asc' | 'desc'
  /** A part of the log's length. */
  after?: number
  /** Lists that are read side by side. */
  lists?: number
  /** Events that are looked at until the page is full. */
  lookedAt?: number
  /** Whether the deliveries of each are looked at too. */
  deliveries?: boolean
}

const common = (count: number): string[] => Array.from({ length: count }, (_, number) => `common.${number}`)
const edge = (target: string, type = 'sent_by'): string => `${type}:user:${target}`
/** No event is of this type, but each must be looked at to know. */
const NEVER = ['never']
/** Only the event at this position has it. */
const RARE = '{"n":777}'
/** One in ten events has it. */
const tenth = (digit: number): string => `{"tenth":${digit}}`
const everything = { lookedAt: MAX_LOOKED_AT }
const deliveries = true

/** What a page reads, at any length of the log. */
const casesOf = (originOfMany: string, originOfFew: string, from: string, to: string) => {
  const cases: Record<string, Case> = {
    newest: { filter: {} },
    oldest: { filter: {}, order: 'asc' },
    'from the middle': { filter: {}, after: 0.5 },
    'forward from the middle': { filter: {}, order: 'asc', after: 0.5 },
    // The bounds are found by a binary search each.
    'of a time': { filter: { createdAtGte: from, createdAtLte: to }, lists: 2 * 21 },
    'of a time before all': { filter: { createdAtLte: '2020-01-01T00:00:00Z' }, lists: 21 },
    'of a time after all': { filter: { createdAtGte: '9999-12-31T23:59:59Z' }, lists: 21 },
    'of a common type': { filter: { type: ['common.3'] } },
    'of a type that stands at the beginning only': { filter: { type: ['rare.first'] } },
    'of a type that never occurs': { filter: { type: NEVER } },
    'of many types': {
      filter: { type: [...common(10), 'rare.first', 'never'] },
      lists: 12,
      lookedAt: 10 * PAGE,
    },
    'of all types with a prefix': { filter: { typePrefix: 'common.' }, lists: 20, lookedAt: 20 * PAGE },
    'with an edge to one of many': { filter: { edge: edge(BUSY) } },
    'with an edge to one of many, forward': { filter: { edge: edge(BUSY) }, order: 'asc', after: 0.5 },
    'with an edge to one of few': { filter: { edge: edge(QUIET) } },
    'with an edge to nobody': { filter: { edge: edge('nobody') } },
    'with any edge to one of many': { filter: { edge: edge(BUSY, '*') }, lists: 3 },
    'with an edge to 2': { filter: { edge: edge(userOf(2)) }, lists: 3 },
    'with an edge to 10': { filter: { edge: edge(userOf(10)) }, lists: 11 },
    'with an edge to 40': { filter: { edge: edge(userOf(40)) }, lists: 41 },
    // Two types of edges for each, and each is looked for before.
    'with any edge to 40': { filter: { edge: edge(userOf(40), '*') }, lists: 200 },
    'with an edge, of a type': { filter: { edge: edge(BUSY), type: ['common.4'] }, lookedAt: 5 * PAGE },
    'with an edge, of no type': { filter: { edge: edge(BUSY), type: NEVER }, ...everything },
    'with an edge to 10, of no type': {
      filter: { edge: edge(userOf(10)), type: NEVER },
      lists: 11,
      ...everything,
    },
    'with an edge to 40, of no type': {
      filter: { edge: edge(userOf(40)), type: NEVER },
      lists: 41,
      ...everything,
    },
    'children of one with many': { filter: { originEventId: originOfMany } },
    'children of one with few': { filter: { originEventId: originOfFew } },
    'children, of no type': { filter: { originEventId: originOfMany, type: NEVER }, ...everything },
    pending: { filter: { status: 'pending' }, lookedAt: 2 * PAGE, deliveries },
    processing: { filter: { status: 'processing' }, lookedAt: 2 * PAGE, deliveries },
    failed: { filter: { status: 'failed' }, lookedAt: PAGE, deliveries },
    completed: { filter: { status: 'completed' }, lookedAt: PAGE + 2, deliveries },
    'pending, of a type': {
      filter: { status: 'pending', type: ['common.1'] },
      lookedAt: 2 * PAGE,
      deliveries,
    },
    'failed, of no type': { filter: { status: 'failed', type: NEVER }, ...everything, deliveries },
    'completed, of a type': {
      filter: { status: 'completed', type: ['common.4'] },
      lookedAt: PAGE,
      deliveries,
    },
    'completed, of 5 types': {
      filter: { status: 'completed', type: common(5) },
      lists: 5,
      lookedAt: PAGE + 2,
      deliveries,
    },
    'a rare payload': { filter: { payload: RARE }, ...everything },
    'a frequent payload': { filter: { payload: tenth(7) }, lookedAt: 10 * PAGE },
    'a rare payload, of a type': { filter: { payload: RARE, type: ['common.3'] }, ...everything },
    'a frequent payload, of a type': { filter: { payload: tenth(3), type: ['common.3'] }, lookedAt: PAGE },
    'a rare payload, of 5 types': { filter: { payload: RARE, type: common(5) }, lists: 5, ...everything },
    'a frequent payload, of 5 types': {
      filter: { payload: tenth(3), type: common(5) },
      lists: 5,
      lookedAt: 5 * PAGE,
    },
    'a rare payload, of 20 types': { filter: { payload: RARE, type: common(20) }, lists: 20, ...everything },
    'a rare payload, with an edge': { filter: { payload: RARE, edge: edge(BUSY) }, ...everything },
    'a frequent payload, with an edge': {
      filter: { payload: tenth(4), edge: edge(BUSY) },
      lookedAt: 5 * PAGE,
    },
  }
  return cases
}

/** What a count reads at most; it goes up to 10,000. */
const countsOf = (origin: string, from: string) => {
  const counts: Record<string, Case> = {
    'of all': { filter: {} },
    'since a time': { filter: { createdAtGte: from }, lists: 21, ...everything },
    'of a type': { filter: { type: ['common.3'] }, ...everything },
    'of 20 types': { filter: { type: common(COMMON_TYPES) }, lists: 20, ...everything },
    'with an edge': { filter: { edge: edge(BUSY) }, ...everything },
    'with an edge to 40': { filter: { edge: edge(userOf(40)) }, lists: 41, ...everything },
    children: { filter: { originEventId: origin }, ...everything },
    failed: { filter: { status: 'failed' }, ...everything, deliveries },
    'with a payload': { filter: { payload: tenth(7) }, ...everything },
  }
  return counts
}

t.test(`lists and counts cost the same at ${LARGE} events as at ${SMALL}`, async (t) => {
  const pool = createPool(await createTestDatabase(), {
    size: 4,
    name: 'test',
    log: createLog('silent', 'test'),
  })
  t.teardown(() => pool.end())
  const log = await createBigLog(pool)
  let statements: CompiledQuery[] = []
  const db = createWatchedDatabase(pool, (statement) => {
    // A transaction's begin and end cannot be explained.
    if (/^\s*(select|with)/i.test(statement.sql)) statements.push(statement)
  })
  const reader = createEventReader(db, pool, createEventTypeService(db, createGlobalTypes(declared)))

  const work = async (run: () => Promise<unknown>): Promise<Work[]> => {
    statements = []
    await run()
    const measured = []
    for (const statement of statements) measured.push(await measure(pool, statement))
    return measured
  }

  const check = async (t: Test, length: number): Promise<void> => {
    const [many, few, from, to] = await placesIn(log, length)
    for (const [name, each] of Object.entries(casesOf(many, few, from, to))) {
      const { filter, order = 'desc', after } = each
      const position = after === undefined ? undefined : Math.floor(after * length)
      const options = { filter, order, size: PAGE - 1, after: position }
      expectBounded(t, `a page ${name}`, each, await work(() => reader.list(APP, options)))
    }
    for (const [name, each] of Object.entries(countsOf(many, from)))
      expectBounded(t, `a count ${name}`, each, await work(() => reader.count(APP, each.filter)))
  }

  await log.growTo(SMALL)
  await t.test(`at ${SMALL}`, (t) => check(t, SMALL))
  await log.growTo(LARGE)
  await t.test(`at ${LARGE}`, (t) => check(t, LARGE))
})

const placesIn = async (log: BigLog, length: number) =>
  [
    await log.idAt(1),
    await log.idAt(2),
    log.momentAt(Math.floor(length / 3)),
    log.momentAt(length / 2),
  ] as const

/** All statements of a list together: what it looks at, and once more the list of that for the end of the page. */
function expectBounded(t: Test, name: string, each: Case, work: readonly Work[]): void {
  const { lists = 1, lookedAt = PAGE, deliveries: looksAtDeliveries = false } = each
  const perEvent = 1 + DESCENT + (looksAtDeliveries ? LIST : 0)
  // Several lists are read to the length of a page each, before they are one.
  const readAhead = lists > 1 ? lists * PAGE : 0
  const most =
    2 * LIST * lists + readAhead + lookedAt * perEvent + (lookedAt > PAGE ? 1.2 * MAX_LOOKED_AT : 0)
  const blocks = work.reduce((sum, statement) => sum + statement.blocks, 0)
  t.ok(blocks <= most, `${name}: ${blocks} blocks, at most ${most}`)
  const sorted = Math.max(...work.map((statement) => statement.sorted))
  t.ok(sorted <= Math.max(lookedAt, readAhead, MAX_LOOKED_AT + 1), `${name}: ${sorted} rows sorted`)
  const nodes = new Set(work.flatMap((statement) => statement.nodes))
  t.notOk(nodes.has('Seq Scan'), `${name}: ${[...nodes].join(', ')}`)
}
