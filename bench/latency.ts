import { until } from '../test/helpers/until.ts'
import type { RoundTrips } from './helpers/round-trips.ts'
import { createApp, subscribe } from './lib/app.ts'
import { compare, type Case, type Figures, type Metric } from './lib/compare.ts'
import { createControlTable } from './lib/control-table.ts'
import type { Backend } from './lib/environment.ts'
import { startHelper } from './lib/helper.ts'
import type { Bench } from './lib/bench.ts'

/** Events a second of an installation that has little to do. */
const IDLE_RATE = 20
/** Connections that append, and that post in the control. */
const CONNECTIONS = 8
/** What an event takes at half of the rate that can be kept up is the service's time and not a queue's. */
const PART_OF_MOST = 1 / 2

/** Where events arrive: the endpoint of a webhook, and streams of the API that took them and of another one. */
const PLACES = ['webhook', 'stream', 'stream of another process'] as const
const SHARES = { p50: 0.5, p99: 0.99 }

const nameOf = (share: string, place: string): string => `${share} ms, append to ${place}`
const METRICS: Metric[] = PLACES.flatMap((place) =>
  Object.keys(SHARES).map((share): Metric => ({ name: nameOf(share, place), better: 'less' })),
)

/** From sending an event to its arrival, at rest and at half load. */
export const latency: Bench = async ({ scope, environment, seconds, say }) => {
  const client = await startHelper<RoundTrips>(scope, 'round-trips')
  const endpoint = await client.call('listen')
  const cases: Case[] = []

  /** @param isWhole whether API and worker are one process */
  async function measure(backend: Backend, isWhole: boolean): Promise<void> {
    const stores = await environment.createStores(backend)
    const api = await (isWhole ? environment.startWhole(stores) : environment.startApi(stores))
    const other = await environment.startApi(stores)
    const worker = isWhole ? undefined : await environment.startWorker(stores)
    const form = isWhole ? `${backend}, API and worker in one process` : backend
    const insert = { databaseUrl: stores.databaseUrl, table: await createControlTable(stores.databaseUrl) }
    const app = await createApp(api.url)
    await subscribe(app, endpoint)
    await client.call('observe', 'stream', api.url, '/events/stream', app.key)
    await client.call('observe', 'stream of another process', other.url, '/events/stream', app.key)

    const arrivedAt = (place: string, sent: number) =>
      until(async () => (await client.call('count', place)) >= sent, `${sent} have arrived at the ${place}`)

    /** The least that it takes: a durable insert, and the same body posted to the same endpoint. */
    async function post(perSecond: number, during: number): Promise<Figures> {
      await client.call('forget')
      const sent = await client.call('send', {
        origin: endpoint,
        insert,
        connections: CONNECTIONS,
        seconds: during,
        perSecond,
      })
      await arrivedAt('webhook', sent)
      const latencies = await client.call('latencies', 'webhook')
      return Object.fromEntries(PLACES.flatMap((place) => figures(place, latencies)))
    }

    async function append(perSecond: number | undefined, during: number): Promise<Figures> {
      await client.call('forget')
      const load = { origin: api.url, key: app.key, connections: CONNECTIONS, seconds: during }
      const sent = await client.call('send', { ...load, ...(perSecond !== undefined && { perSecond }) })
      const found: [string, number][] = []
      for (const place of PLACES) {
        await arrivedAt(place, sent)
        found.push(...figures(place, await client.call('latencies', place)))
      }
      return Object.fromEntries(found)
    }

    /** Events a second that arrive at the endpoint when they are appended as fast as it goes. */
    async function most(): Promise<number> {
      const started = performance.now()
      await append(undefined, seconds)
      const arrived = await client.call('count', 'webhook')
      return (arrived * 1000) / (performance.now() - started)
    }

    async function compareAt(words: string, perSecond: number): Promise<void> {
      await append(perSecond, Math.min(seconds, 2))
      cases.push(
        await compare(
          {
            title: `${words}, ${Math.round(perSecond)} events a second (${form})`,
            metrics: METRICS,
            control: {
              words:
                'the same client at the same rate: a durable insert through raw pg, then a POST to the endpoint',
              run: () => post(perSecond, seconds),
            },
            run: () => append(perSecond, seconds),
          },
          say,
        ),
      )
    }

    await most()
    await compareAt('At rest', IDLE_RATE)
    await compareAt('At half load', (await most()) * PART_OF_MOST)
    await client.call('stopObserving')
    await Promise.all([api.stop(), other.stop(), worker?.stop()])
  }

  for (const backend of environment.backends) await measure(backend, false)
  // As `npm start` without any configuration.
  await measure('postgres', true)
  return cases
}

function figures(place: string, latencies: readonly number[]): [string, number][] {
  const sorted = latencies.toSorted((a, b) => a - b)
  return Object.entries(SHARES).map(([name, share]) => [
    nameOf(name, place),
    sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN,
  ])
}
