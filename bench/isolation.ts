import { until } from '../test/helpers/until.ts'
import type { Client } from '../test/helpers/service.ts'
import type { Endpoints } from './helpers/endpoints.ts'
import type { HttpLoader } from './helpers/http-load.ts'
import { createApp, subscribe } from './lib/app.ts'
import { compare, type Case, type Figures, type Metric } from './lib/compare.ts'
import type { Backend } from './lib/environment.ts'
import { appendRequests, numbers, payload } from './lib/events.ts'
import { startHelper } from './lib/helper.ts'
import type { Bench } from './lib/bench.ts'

/** Events a second: far from what the service can do, so that latency is what it takes and not a queue. */
const RATE = 50
/** The same load before the clock starts, while the backlog of the bad endpoints is being taken up. */
const SETTLE_SECONDS = 2
/** What each of the bad endpoints is owed before the clock starts. */
const BACKLOG = 1_000
const BATCH = 500
/** Connections that append; at this rate one is seldom busy. */
const CONNECTIONS = 4
/** Requests that a worker has under way for one subscription. */
const HANGING = 64

const P50 = 'p50 ms, log to endpoint'
const P99 = 'p99 ms, log to endpoint'
const METRICS: Metric[] = [
  { name: P50, better: 'less' },
  { name: P99, better: 'less' },
]

/** Webhooks: what an endpoint that works notices of others that hang and fail. */
export const isolation: Bench = async ({ scope, environment, seconds, say }) => {
  const appender = await startHelper<HttpLoader>(scope, 'http-load')
  const endpoints = await startHelper<Endpoints>(scope, 'endpoints')
  const origin = await endpoints.call('listen')
  const cases: Case[] = []

  async function measure(backend: Backend): Promise<void> {
    const stores = await environment.createStores(backend)
    const api = await environment.startApi(stores)
    const worker = await environment.startWorker(stores)

    async function steady(app: Client, during: number): Promise<Figures> {
      const requests = appendRequests(app.key)
      const load = { origin: api.url, requests, connections: CONNECTIONS, perSecond: RATE }
      const early = await appender.call('run', { ...load, seconds: SETTLE_SECONDS })
      await until(async () => (await endpoints.call('latencies')).length >= early.requests, 'it has settled')
      await endpoints.call('forget')
      const { requests: sent } = await appender.call('run', { ...load, seconds: during })
      const all = async () => {
        const latencies = await endpoints.call('latencies')
        return latencies.length >= sent && latencies
      }
      const sorted = (await until(all, `${sent} were received`)).toSorted((a, b) => a - b)
      const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] as number
      return { [P50]: at(0.5), [P99]: at(0.99) }
    }

    async function alone(during: number): Promise<Figures> {
      const app = await createApp(api.url)
      await subscribe(app, `${origin}/healthy`)
      await endpoints.call('forget')
      return steady(app, during)
    }

    async function besideBadOnes(during: number): Promise<Figures> {
      const app = await createApp(api.url)
      await subscribe(app, `${origin}/healthy`)
      await endpoints.call('letGo')
      const bad = [await owe(app, 'hang'), await owe(app, 'fail')]
      const hang = async () => (await endpoints.call('hanging')) >= HANGING
      await until(hang, `${HANGING} requests hang`)
      await endpoints.call('forget')
      const figures = await steady(app, during)
      // Nothing of them is to be left when the control runs.
      for (const id of bad) await app.delete(`/subscriptions/${id}`)
      await endpoints.call('letGo')
      await until(async () => (await endpoints.call('hanging')) === 0, 'nothing hangs any more')
      return figures
    }

    /** Has an endpoint owed a backlog. @returns its subscription's id */
    async function owe(app: Client, path: string): Promise<string> {
      const type = `bench.${path}`
      const { id } = await app.subscribe(`${origin}/${path}`, [type])
      const events = numbers(BATCH).map((number) => ({ type, payload: payload(number) }))
      for (let owed = 0; owed < BACKLOG; owed += BATCH) await app.post('/events/batch', { events })
      return id
    }

    await alone(1)
    await besideBadOnes(1)
    const title = `${RATE} events a second beside one endpoint that hangs and one that fails (${backend})`
    const words = 'the same endpoint and the same rate, and nothing else'
    const control = { words, run: () => alone(seconds) }
    cases.push(await compare({ title, metrics: METRICS, control, run: () => besideBadOnes(seconds) }, say))
    await Promise.all([api.stop(), worker.stop()])
  }

  for (const backend of environment.backends) await measure(backend)
  return cases
}
