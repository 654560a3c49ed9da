import { Kysely, PostgresDialect, type CompiledQuery } from 'kysely'
import type { Pool } from '../../src/platform/postgres/pool.ts'
import type { DB } from '../../src/platform/postgres/tables.ts'

/** The query builder over a pool, which tells of each statement when it has run, and waits for the listener. */
export const createWatchedDatabase = (
  pool: Pool,
  onStatement: (statement: CompiledQuery) => void | Promise<void>,
): Kysely<DB> =>
  new Kysely<DB>({
    dialect: new PostgresDialect({ pool }),
    log: async ({ query }) => onStatement(query),
  })

interface PlanNode {
  'Node Type': string
  'Actual Rows': number
  'Actual Loops': number
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: PlanNode[]
}

/** What a statement did when it ran. */
export interface Work {
  /** Of 8 KiB, read from memory or from the disk. */
  blocks: number
  /** The most rows that one node sorted. */
  sorted: number
  /** The kinds of its nodes. */
  nodes: string[]
}

/** Runs a statement again and measures it. */
export async function measure(pool: Pool, { sql, parameters }: CompiledQuery): Promise<Work> {
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>(
    `explain (analyze, buffers, timing off, format json) ${sql}`,
    [...parameters],
  )
  const [{ Plan: plan }] = JSON.parse(rows[0]?.['QUERY PLAN'] ?? '') as [{ Plan: PlanNode }]
  const all = nodesOf(plan)
  const sorts = all.filter((node) => node['Node Type'].includes('Sort'))
  const inputs = sorts.flatMap(({ Plans = [] }) => Plans)
  return {
    blocks: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
    sorted: Math.max(0, ...inputs.map((node) => node['Actual Rows'] * node['Actual Loops'])),
    nodes: [...new Set(all.map((node) => node['Node Type']))],
  }
}

const nodesOf = (plan: PlanNode): PlanNode[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
