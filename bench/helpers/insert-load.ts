import { createHistogram } from 'node:perf_hooks'
import pg from 'pg'
import { newId } from '../../src/platform/identifiers/ids.ts'
import { pgArray } from '../../src/platform/postgres/arrays.ts'
import { EVENT_TYPE, numbers, payload } from '../lib/events.ts'
import { serve } from '../lib/serve.ts'
import type { LoadResult } from './http-load.ts'

export interface InsertLoad {
  databaseUrl: string
  /** Has the columns and indexes of the events table. */
  table: string
  connections: number
  /** Rows of one statement, which is one transaction. */
  rows: number
  seconds: number
}

const COLUMNS = `app_id, id, position, event_type_id, type, schema_version, schema_valid, payload, edges,
                 origin_event_id, external_id, orgid, created_at`
const PAYLOADS = numbers(500).map((number) => JSON.stringify(payload(number)))

const handlers = {
  /** Durable inserts and nothing else: what this Postgres does for a client that asks for no more. */
  async run({ databaseUrl, table, connections, rows, seconds }: InsertLoad): Promise<LoadResult> {
    const clients = numbers(connections).map(() => new pg.Client({ connectionString: databaseUrl }))
    await Promise.all(clients.map((client) => client.connect()))
    const appId = newId()
    const typeId = newId()
    const latency = createHistogram()
    let statements = 0
    const started = performance.now()
    await Promise.all(
      clients.map(async (client) => {
        while (performance.now() - started < seconds * 1000) {
          const base = rows * statements++
          const began = performance.now()
          await client.query(rows === 1 ? single(base) : many(base))
          latency.record(Math.max(1, Math.round((performance.now() - began) * 1e6)))
        }
      }),
    )
    const took = (performance.now() - started) / 1000
    await Promise.all(clients.map((client) => client.end()))
    return {
      requests: statements,
      seconds: took,
      p50Ms: latency.percentile(50) / 1e6,
      p99Ms: latency.percentile(99) / 1e6,
    }

    function single(base: number): pg.QueryConfig {
      return {
        name: 'single',
        text: `insert into ${table} (${COLUMNS})
               values ($1, $2, $3, $4, $5, 1, true, $6, '[]', null, null, null, now())`,
        values: [appId, newId(), base + 1, typeId, EVENT_TYPE, PAYLOADS[base % PAYLOADS.length]],
      }
    }

    function many(base: number): pg.QueryConfig {
      const all = numbers(rows)
      return {
        name: 'many',
        text: `insert into ${table} (${COLUMNS})
               select $1, e.id, e.position, $2, $3, 1, true, e.payload, '[]', null, null, null, now()
                 from unnest($4::uuid[], $5::int8[], $6::json[]) as e(id, position, payload)`,
        values: [
          appId,
          typeId,
          EVENT_TYPE,
          pgArray.uuid(all.map(() => newId())),
          pgArray.int8(all.map((index) => base + index + 1)),
          pgArray.json(all.map((index) => PAYLOADS[index % PAYLOADS.length] as string)),
        ],
      }
    }
  },
}

export type InsertLoader = typeof handlers

serve(handlers)
