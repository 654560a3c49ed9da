import type { HttpLoader, LoadRequest, LoadResult } from './helpers/http-load.ts'
import type { InsertLoader } from './helpers/insert-load.ts'
import { createApp, subscribe } from './lib/app.ts'
import { compare, type Case, type Figures, type Metric } from './lib/compare.ts'
import type { Backend } from './lib/environment.ts'
import { createControlTable } from './lib/control-table.ts'
import { appendRequests } from './lib/events.ts'
import { startHelper } from './lib/helper.ts'
import { cpuDuring } from './lib/processes.ts'
import type { Bench } from './lib/bench.ts'

const CONNECTIONS = 64
const BATCH = 500
/** Two statements' worth of batches are always waiting. */
const BATCH_CONNECTIONS = 4
/** Nothing listens there, and no worker runs that would try. */
const NOWHERE = 'http://127.0.0.1:9/'
const WARM_UP_SECONDS = 2

const THROUGHPUT: Metric[] = [
  { name: 'events/s', better: 'more' },
  { name: 'p99 ms', better: 'less' },
  { name: 'CPU s per 1,000 events', better: 'less' },
]
const LATENCY: Metric[] = [
  { name: 'p50 ms', better: 'less' },
  { name: 'p99 ms', better: 'less' },
]

/** The inserts that a comparison has as its control. */
const RAW = {
  rows: {
    words: 'raw pg, one named single-row insert per transaction, 32 connections',
    connections: 32,
    rows: 1,
  },
  idle: { words: 'raw pg, the same insert, one connection', connections: 1, rows: 1 },
  batches: {
    words: `raw pg, unnest inserts of 1,000 rows, ${BATCH_CONNECTIONS} connections`,
    connections: BATCH_CONNECTIONS,
    rows: 1_000,
  },
}

interface Appends {
  title: string
  metrics: Metric[]
  raw: (typeof RAW)[keyof typeof RAW]
  connections: number
  requests: LoadRequest[]
  /** Events of one request. */
  batch: number
}

/** Appending: how near the service comes to what its Postgres does for a client that only inserts. */
export const ingest: Bench = async ({ scope, environment, seconds, say }) => {
  const http = await startHelper<HttpLoader>(scope, 'http-load')
  const sql = await startHelper<InsertLoader>(scope, 'insert-load')
  const cases: Case[] = []

  /** @returns what measures one kind of appends, on a service and a database of its own */
  async function start(backend: Backend) {
    const stores = await environment.createStores(backend)
    const { databaseUrl } = stores
    const table = await createControlTable(databaseUrl)
    const api = await environment.startApi(stores)

    async function measure({ title, metrics, raw, connections, requests, batch }: Appends): Promise<void> {
      const insert = async (during: number): Promise<Figures> => {
        const { rows } = raw
        const load = { databaseUrl, table, rows, connections: raw.connections, seconds: during }
        const { result, seconds: cpu } = await cpuDuring(sql.pid, () => sql.call('run', load))
        return figures(result, result.requests * rows, cpu)
      }
      const append = async (during: number): Promise<Figures> => {
        const load = { origin: api.url, requests, connections, seconds: during }
        const { result, seconds: cpu } = await cpuDuring(api.pid, () => http.call('run', load))
        return figures(result, result.requests * batch, cpu)
      }
      await insert(Math.min(seconds, WARM_UP_SECONDS))
      await append(Math.min(seconds, WARM_UP_SECONDS))
      const control = { words: raw.words, run: () => insert(seconds) }
      cases.push(
        await compare({ title: `${title} (${backend})`, metrics, control, run: () => append(seconds) }, say),
      )
    }
    return { api, measure }
  }

  for (const [index, backend] of environment.backends.entries()) {
    const { api, measure } = await start(backend)
    // Without deliveries the backend carries no more than wake-ups, so one of them will do.
    if (index === 0) {
      const { key } = await createApp(api.url)
      const single = { requests: appendRequests(key), batch: 1 }
      await measure({
        title: `POST /events, schema-checked, ${CONNECTIONS} connections, no subscription`,
        metrics: THROUGHPUT,
        raw: RAW.rows,
        connections: CONNECTIONS,
        ...single,
      })
      await measure({
        title: 'POST /events, schema-checked, one client, otherwise idle',
        metrics: LATENCY,
        raw: RAW.idle,
        connections: 1,
        ...single,
      })
      await measure({
        title: `POST /events/batch of ${BATCH}, schema-checked, ${BATCH_CONNECTIONS} connections`,
        metrics: THROUGHPUT,
        raw: RAW.batches,
        connections: BATCH_CONNECTIONS,
        requests: appendRequests(key, BATCH),
        batch: BATCH,
      })
    }
    const owing = await createApp(api.url)
    await subscribe(owing, NOWHERE)
    await measure({
      title: `POST /events, schema-checked, ${CONNECTIONS} connections, one delivery owed for each`,
      metrics: THROUGHPUT,
      raw: RAW.rows,
      connections: CONNECTIONS,
      requests: appendRequests(owing.key),
      batch: 1,
    })
    await api.stop()
  }
  return cases
}

const figures = ({ seconds, p50Ms, p99Ms }: LoadResult, events: number, cpu: number): Figures => ({
  'events/s': events / seconds,
  'p50 ms': p50Ms,
  'p99 ms': p99Ms,
  'CPU s per 1,000 events': (cpu / events) * 1000,
})
