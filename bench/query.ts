import type { HttpLoader } from './helpers/http-load.ts'
import type { StatementLoader } from './helpers/statement-load.ts'
import { createApp } from './lib/app.ts'
import { compare, type Case, type Figures, type Metric, type Row } from './lib/compare.ts'
import type { Backend } from './lib/environment.ts'
import { startHelper } from './lib/helper.ts'
import { cpuDuring } from './lib/processes.ts'
import { recordStatements, type RecordedStatement } from './lib/recording.ts'
import { fillLog, RARE_TYPE, type StoredLog } from './lib/stored-log.ts'
import { toCursor } from '../src/platform/http/pagination.ts'
import type { Bench } from './lib/bench.ts'

/** There are many filters, so each is read for this part of a phase. */
const PART_OF_PHASE = 1 / 8
const SMALL = 1_000
const MANY_CONNECTIONS = 8
/** Pages that are read by many at once too. */
const FOR_MANY = ['newest first', 'type', 'status=failed', 'edge']

const P50 = 'p50 ms'
const CPU = 'CPU ms'
const RATE = 'pages/s'
const ONE_READER: Metric[] = [
  { name: P50, better: 'less' },
  { name: CPU, better: 'less' },
]
const MANY_READERS: Metric[] = [
  { name: RATE, better: 'more' },
  { name: CPU, better: 'less' },
]

/** Pages of the log: how near the service comes to the statements that it runs for them. */
export const query: Bench = async ({ scope, environment, seconds, events, say }) => {
  const http = await startHelper<HttpLoader>(scope, 'http-load')
  const sql = await startHelper<StatementLoader>(scope, 'statement-load')
  const backend = environment.backends[0] as Backend
  const during = seconds * PART_OF_PHASE

  async function measure(size: number): Promise<Case[]> {
    const stores = await environment.createStores(backend)
    const { databaseUrl } = stores
    const api = await environment.startApi(stores)
    const { key, appId } = await createApp(api.url)
    const pages = pagesOf(await fillLog(databaseUrl, appId, size, say))
    const statements = await recordStatements(environment, stores, key, Object.values(pages))
    const headers = { authorization: `Bearer ${key}` }

    async function read(path: string, connections: number): Promise<Figures> {
      const load = { origin: api.url, requests: [{ path, headers }], connections, seconds: during }
      const { result, seconds: cpu } = await cpuDuring(api.pid, () => http.call('run', load))
      return figures(result, cpu)
    }
    async function ask(path: string, connections: number): Promise<Figures> {
      const load = { databaseUrl, statements: statementsOf(path), connections, seconds: during }
      const { result, seconds: cpu } = await cpuDuring(sql.pid, () => sql.call('run', load))
      return figures(result, cpu)
    }
    const statementsOf = (path: string) => statements.get(path) as RecordedStatement[]

    /** One row of each metric for each page. */
    async function compareAll(
      names: readonly string[],
      title: string,
      connections: number,
      metrics: Metric[],
    ): Promise<Case[]> {
      const rows: { metric: string; row: Row }[] = []
      for (const name of names) {
        const path = pages[name] as string
        await ask(path, connections)
        await read(path, connections)
        const found = await compare(
          {
            title: `${title}: ${name}`,
            metrics,
            control: { words: '', run: () => ask(path, connections) },
            run: () => read(path, connections),
          },
          say,
        )
        const label = `${name} [${statementsOf(path).length}]`
        rows.push(...found.rows.map((row) => ({ metric: row.name, row: { ...row, name: label } })))
      }
      const control = `the same statements (as many as in brackets) through raw pg, ${connections} connection${connections === 1 ? '' : 's'}`
      return metrics.map(({ name }) => ({
        title: `${title}: ${name} of a page`,
        control,
        rows: rows.filter(({ metric }) => metric === name).map(({ row }) => row),
      }))
    }

    const of = `GET /events of ${size.toLocaleString('en')} events`
    const cases = [
      ...(await compareAll(Object.keys(pages), `${of}, one reader`, 1, ONE_READER)),
      ...(await compareAll(FOR_MANY, `${of}, ${MANY_CONNECTIONS} readers`, MANY_CONNECTIONS, MANY_READERS)),
    ]
    await api.stop()
    return cases
  }

  return [...(await measure(SMALL)), ...(await measure(events))]
}

const figures = (
  { requests, seconds, p50Ms }: { requests: number; seconds: number; p50Ms: number },
  cpu: number,
): Figures => ({ [P50]: p50Ms, [CPU]: (cpu / requests) * 1000, [RATE]: requests / seconds })

/** A page for every filter, in words. */
function pagesOf(log: StoredLog): Record<string, string> {
  const { head, userId, mergedUserId } = log
  const middle = Math.floor(head / 2)
  const first = log.idAt(1)
  const near = (position: number) => ({ after: toCursor(String(position)) })
  const page = (parameters: Record<string, string>) => `/events?${String(new URLSearchParams(parameters))}`
  const type = 'shop.common_7'
  const edge = `placed_by:user:${userId}`
  return {
    'newest first': '/events',
    'newest first, from the middle on': page(near(middle)),
    'oldest first': page({ order: 'asc' }),
    'oldest first, from the middle on': page({ order: 'asc', ...near(middle) }),
    'limit=1': page({ limit: '1' }),
    'limit=100': page({ limit: '100' }),
    'include=entities': page({ include: 'entities' }),
    type: page({ type }),
    'type, from the middle on': page({ type, ...near(middle) }),
    'type, a rare one': page({ type: RARE_TYPE }),
    'types, 20 by a pattern': page({ types: 'shop.*' }),
    'types, from the middle on': page({ types: 'shop.*', ...near(middle) }),
    typePrefix: page({ typePrefix: 'shop.common_1' }),
    typeContains: page({ typeContains: 'common' }),
    'status=pending': page({ status: 'pending' }),
    'status=processing': page({ status: 'processing' }),
    'status=failed': page({ status: 'failed' }),
    'status=completed': page({ status: 'completed' }),
    'status=completed, from the middle on': page({ status: 'completed', ...near(middle) }),
    'status=failed and type': page({ status: 'failed', type }),
    'createdAtGte and createdAtLte': page({
      createdAtGte: log.momentAt(middle),
      createdAtLte: log.momentAt(Math.floor(head * 0.75)),
    }),
    edge: page({ edge }),
    'edge that a quarter has, from the middle on': page({ edge: 'placed_in:shop:main', ...near(middle) }),
    'edge of any type': page({ edge: `*:user:${userId}` }),
    'edge to a user known as ten': page({ edge: `*:user:${mergedUserId}` }),
    'edge and type': page({ edge: 'placed_in:shop:main', type }),
    originEventId: page({ originEventId: first }),
    children: `/events/${first}/children`,
    'payload, found at once': page({ payload: '{"currency":"EUR"}' }),
    'payload, nowhere': page({ payload: '{"order_id":"none"}' }),
  }
}
