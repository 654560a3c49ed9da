import { createHistogram } from 'node:perf_hooks'
import type pg from 'pg'
import { createLog } from '../../src/platform/log/log.ts'
import { createPool } from '../../src/platform/postgres/pool.ts'
import { numbers } from '../lib/events.ts'
import type { RecordedStatement } from '../lib/recording.ts'
import { serve } from '../lib/serve.ts'
import type { LoadResult } from './http-load.ts'

export interface StatementLoad {
  databaseUrl: string
  /** Run one after the other, again and again; one round is one request. */
  statements: readonly RecordedStatement[]
  connections: number
  seconds: number
}

const handlers = {
  /** The statements and nothing else, on connections with the settings of the service. */
  async run({ databaseUrl, statements, connections, seconds }: StatementLoad): Promise<LoadResult> {
    const log = createLog('error', 'bench')
    const pool = createPool(databaseUrl, { size: connections, name: 'bench', log })
    const queries = statements.map(({ text, values, name }): pg.QueryConfig => ({
      name,
      text,
      values: values.map(revived),
    }))
    const clients = await Promise.all(numbers(connections).map(() => pool.connect()))
    const latency = createHistogram()
    let requests = 0
    const started = performance.now()
    await Promise.all(
      clients.map(async (client) => {
        while (performance.now() - started < seconds * 1000) {
          requests += 1
          const began = performance.now()
          for (const query of queries) await client.query(query)
          latency.record(Math.max(1, Math.round((performance.now() - began) * 1e6)))
        }
      }),
    )
    const took = (performance.now() - started) / 1000
    for (const client of clients) client.release()
    await pool.end()
    return {
      requests,
      seconds: took,
      p50Ms: latency.percentile(50) / 1e6,
      p99Ms: latency.percentile(99) / 1e6,
    }
  },
}

/** Arrays go in binary, and on their way here a buffer became JSON. */
function revived(value: unknown): unknown {
  const { type, data } = (value ?? {}) as { type?: string; data?: number[] }
  return type === 'Buffer' && data ? Buffer.from(data) : value
}

export type StatementLoader = typeof handlers

serve(handlers)
