import pg from 'pg'
import { sentEdges } from '../src/features/entities/index.ts'
import { eventBody } from '../src/features/destinations/index.ts'
import { newId } from '../src/platform/identifiers/ids.ts'
import { newSigningSecret, signedHeaders } from '../src/platform/secrets/signing.ts'
import { until } from '../test/helpers/until.ts'
import type { HttpLoader, LoadRequest } from './helpers/http-load.ts'
import type { PoolLoader } from './helpers/pool-load.ts'
import type { Receiver } from './helpers/receiver.ts'
import { createApp, createEdges, subscribe } from './lib/app.ts'
import { compare, type Case, type Figures, type Metric } from './lib/compare.ts'
import type { Backend } from './lib/environment.ts'
import { appendRequests, EVENT_TYPE, numbers, payload } from './lib/events.ts'
import { startHelper } from './lib/helper.ts'
import { cpuDuring } from './lib/processes.ts'
import type { Bench } from './lib/bench.ts'

/** As many as the worker has to one origin. */
const CONNECTIONS = 64
const SUBSCRIPTIONS = [1, 50]
/** A measured phase owes so many deliveries for each of its seconds, about what a small machine makes. */
const DELIVERIES_PER_SECOND = 5_000
/** The events of a phase come in so many batches. */
const BATCHES = 20

const METRICS: Metric[] = [
  { name: 'deliveries/s, first append to last record', better: 'more' },
  { name: 'deliveries/s, the middle 80 %', better: 'more' },
  { name: 'CPU s per 1,000 deliveries', better: 'less' },
]

/** Webhooks: how near the worker comes to a client that posts the same and keeps no record. */
export const delivery: Bench = async ({ scope, environment, seconds, say }) => {
  const appender = await startHelper<HttpLoader>(scope, 'http-load')
  const poster = await startHelper<PoolLoader>(scope, 'pool-load')
  const receiver = await startHelper<Receiver>(scope, 'receiver')
  const origin = await receiver.call('listen')
  const requests = webhookRequests()
  const cases: Case[] = []

  async function post(): Promise<Figures> {
    const load = { origin, requests, connections: CONNECTIONS, seconds }
    const { result, seconds: cpu } = await cpuDuring(poster.pid, () => poster.call('run', load))
    const rate = result.requests / result.seconds
    return figures(rate, rate, cpu, result.requests)
  }

  async function measure(backend: Backend): Promise<void> {
    const stores = await environment.createStores(backend)
    const api = await environment.startApi(stores)
    const worker = await environment.startWorker(stores)
    const database = await scope.open(
      async () => new pg.Pool({ connectionString: stores.databaseUrl, max: 1 }),
      (pool) => (pool.ended ? Promise.resolve() : pool.end()),
    )

    async function deliver(subscriptions: number, during: number, hasEdges = false): Promise<Figures> {
      const app = await createApp(api.url)
      const edgesOf = hasEdges ? await createEdges(app) : undefined
      for (const number of numbers(subscriptions)) await subscribe(app, `${origin}/${number}`)
      const batch = Math.ceil((DELIVERIES_PER_SECOND * during) / subscriptions / BATCHES)
      const owed = BATCHES * batch * subscriptions
      await receiver.call('reset')
      const { seconds: cpu } = await cpuDuring(worker.pid, async () => {
        const load = { origin: api.url, connections: 1, seconds: during, count: BATCHES }
        await appender.call('run', { ...load, requests: appendRequests(app.key, batch, edgesOf) })
        await until(async () => (await receiver.call('counts')).distinct >= owed, `${owed} were received`)
        await until(() => allRecorded(database, app.appId, owed), `${owed} deliveries had succeeded`)
      })
      const repeated = (await receiver.call('counts')).requests - owed
      if (repeated > 0) say(`${repeated} of ${owed} deliveries were sent more than once`)
      const { whole, middle } = await readRates(database, app.appId)
      return figures(whole, middle, cpu, owed)
    }

    for (const subscriptions of SUBSCRIPTIONS) {
      const title = `${subscriptions} subscription${subscriptions === 1 ? '' : 's'} (${backend})`
      await deliver(subscriptions, 1)
      // The steady state has statistics; when autovacuum would first gather them is chance.
      await database.query('analyze')
      const words = `undici Pool posting the same bodies to the same receiver, ${CONNECTIONS} connections`
      const run = () => deliver(subscriptions, seconds)
      cases.push(await compare({ title, metrics: METRICS, control: { words, run: post }, run }, say))
      const plain = { words: 'the same events without edges', run }
      const withEdges = {
        title: `${title}, edges to a platform user and a file`,
        metrics: METRICS,
        control: plain,
        run: () => deliver(subscriptions, seconds, true),
      }
      cases.push(await compare(withEdges, say))
    }
    await Promise.all([api.stop(), worker.stop()])
    await database.end()
  }

  for (const backend of environment.backends) await measure(backend)
  return cases
}

const figures = (whole: number, middle: number, cpu: number, deliveries: number): Figures => ({
  'deliveries/s, first append to last record': whole,
  'deliveries/s, the middle 80 %': middle,
  'CPU s per 1,000 deliveries': (cpu / deliveries) * 1000,
})

/** What the worker posts, signed as it signs. */
function webhookRequests(): LoadRequest[] {
  const secret = newSigningSecret()
  return numbers(1_000).map((number) => {
    const eventId = newId()
    const body = eventBody({
      app_id: newId(),
      event_id: eventId,
      type: EVENT_TYPE,
      payload: JSON.stringify(payload(number)),
      edges: sentEdges([]),
      event_created_at: new Date(),
    })
    const signature = signedHeaders({ secrets: [secret] }, eventId, Math.floor(Date.now() / 1000), body)
    return { path: '/0', headers: { 'content-type': 'application/json', ...signature }, body }
  })
}

/** @throws Error when a delivery ended otherwise than it should */
async function allRecorded(database: pg.Pool, appId: string, owed: number): Promise<boolean> {
  const { rows } = await database.query(
    `select count(*) filter (where status = 'succeeded')::int as succeeded,
            count(*) filter (where status in ('dead', 'cancelled'))::int as failed
       from deliveries where app_id = $1`,
    [appId],
  )
  const { succeeded, failed } = rows[0]
  if (failed > 0) throw new Error(`${failed} deliveries failed`)
  return succeeded === owed
}

/** Deliveries per second by the database's clock; the middle leaves out the first and the last tenth. */
async function readRates(database: pg.Pool, appId: string): Promise<{ whole: number; middle: number }> {
  const { rows } = await database.query(
    `with done as (
       select created_at, completed_at from deliveries where app_id = $1
     ), middle as (
       select percentile_disc(array[0.1, 0.9]) within group (order by completed_at) as bounds from done
     )
     select count(*) / extract(epoch from max(completed_at) - min(created_at)) as whole,
            count(*) filter (where completed_at > bounds[1] and completed_at <= bounds[2])
              / extract(epoch from bounds[2] - bounds[1]) as middle
       from done, middle
      group by bounds`,
    [appId],
  )
  return { whole: Number(rows[0].whole), middle: Number(rows[0].middle) }
}
