import pLimit from 'p-limit'
import { until } from '../test/helpers/until.ts'
import type { Client } from '../test/helpers/service.ts'
import type { HttpLoader, LoadRequest } from './helpers/http-load.ts'
import type { Receiver } from './helpers/receiver.ts'
import { createApp } from './lib/app.ts'
import { compare, type Case, type Figures, type Metric } from './lib/compare.ts'
import type { Backend, Stores } from './lib/environment.ts'
import { appendRequests, numbers, payload } from './lib/events.ts'
import { startHelper } from './lib/helper.ts'
import { cpuDuring } from './lib/processes.ts'
import { fillLog, oweAll, settleAll } from './lib/stored-log.ts'
import type { Bench } from './lib/bench.ts'

const SUBSCRIPTIONS = 1_000
const APPS = 5_000
/** Of the events that `--events` says: the first of the two logs, and the backlog. */
const PART = 1 / 5
/** The type that the endpoint gets; nobody subscribes to what ingest appends. */
const DELIVERED = 'bench.delivered'
const INGEST_CONNECTIONS = 64
const DELIVERY_CONNECTIONS = 8
/** A phase owes so many deliveries for each of its seconds. */
const DELIVERIES_PER_SECOND = 1_000
const CREATED_AT_ONCE = 16

const METRICS: Metric[] = [
  { name: 'ingest, events/s', better: 'more' },
  { name: 'ingest, CPU s of the API per 1,000 events', better: 'less' },
  { name: 'delivery, deliveries/s', better: 'more' },
  { name: 'delivery, CPU s of the worker per 1,000', better: 'less' },
]

/** What is there already, before anything is measured. */
interface Grown {
  title: string
  /** @returns the apps to append to, each with one subscription to the endpoint */
  prepare: (stores: Stores, apiUrl: string) => Promise<Client[]>
}

/** Ingest and delivery in an installation that has grown, beside an empty one. */
export const growth: Bench = async ({ scope, environment, seconds, events, say }) => {
  const http = await startHelper<HttpLoader>(scope, 'http-load')
  const receiver = await startHelper<Receiver>(scope, 'receiver')
  const endpoint = await receiver.call('listen')
  const backend = environment.backends[0] as Backend

  const openApp = async (apiUrl: string): Promise<Client> => {
    const app = await createApp(apiUrl)
    await app.subscribe(endpoint, [DELIVERED])
    return app
  }

  /** Starts a service and grows it. @returns what measures it */
  async function start(prepare: Grown['prepare']) {
    const stores = await environment.createStores(backend)
    const api = await environment.startApi(stores)
    const apps = await prepare(stores, api.url)
    const worker = await environment.startWorker(stores)
    const ingested = apps.flatMap(({ key }) => appendRequests(key).slice(0, Math.ceil(500 / apps.length)))
    const delivered = apps.flatMap(({ key }) => deliveredRequests(key))

    async function append(during: number): Promise<Figures> {
      const load = { origin: api.url, requests: ingested, connections: INGEST_CONNECTIONS, seconds: during }
      const { result, seconds: cpu } = await cpuDuring(api.pid, () => http.call('run', load))
      return {
        'ingest, events/s': result.requests / result.seconds,
        'ingest, CPU s of the API per 1,000 events': (cpu / result.requests) * 1000,
      }
    }

    async function deliver(during: number): Promise<Figures> {
      const owed = Math.ceil(DELIVERIES_PER_SECOND * during)
      await receiver.call('reset')
      const started = performance.now()
      const { seconds: cpu } = await cpuDuring(worker.pid, async () => {
        const load = { origin: api.url, requests: delivered, connections: DELIVERY_CONNECTIONS }
        await http.call('run', { ...load, seconds: during, count: owed })
        const all = async () => (await receiver.call('counts')).distinct >= owed
        await until(all, `${owed} were received`)
      })
      return {
        'delivery, deliveries/s': (owed * 1000) / (performance.now() - started),
        'delivery, CPU s of the worker per 1,000': (cpu / owed) * 1000,
      }
    }

    return {
      /** Every app has been appended to once, by when the service knows them all. */
      async warmUp(): Promise<void> {
        const load = { origin: api.url, connections: INGEST_CONNECTIONS, seconds: 1, count: 2 * apps.length }
        await http.call('run', { ...load, requests: ingested })
        await append(1)
        await deliver(1)
      },
      measure: async (during: number): Promise<Figures> => ({
        ...(await append(during)),
        ...(await deliver(during)),
      }),
      stop: () => Promise.all([api.stop(), worker.stop()]),
    }
  }

  const withLog = (length: number): Grown => ({
    title: `${length.toLocaleString('en')} stored events`,
    prepare: async ({ databaseUrl }, apiUrl) => {
      const app = await openApp(apiUrl)
      await fillLog(databaseUrl, app.appId, length, say)
      await settleAll(databaseUrl)
      return [app]
    },
  })

  const withBacklog = (owed: number): Grown => ({
    title: `a backlog of ${owed.toLocaleString('en')} deliveries in the app`,
    prepare: async ({ databaseUrl }, apiUrl) => {
      const app = await openApp(apiUrl)
      const { id } = await app.subscribe(`${endpoint}/backlog`, ['bench.backlog'])
      // Four of five events are of this app.
      await fillLog(databaseUrl, app.appId, Math.ceil(owed * 1.25), say)
      await oweAll(databaseUrl, app.appId, id)
      return [app]
    },
  })

  const withSubscriptions: Grown = {
    title: `${SUBSCRIPTIONS.toLocaleString('en')} subscriptions in the app`,
    prepare: async (_stores, apiUrl) => {
      const app = await openApp(apiUrl)
      await atOnce(SUBSCRIPTIONS - 1, (number) => app.subscribe(endpoint, [`other.type_${number}`]))
      return [app]
    },
  }

  const withApps: Grown = {
    title: `${APPS.toLocaleString('en')} apps, all of them in use`,
    prepare: (_stores, apiUrl) => atOnce(APPS, () => openApp(apiUrl)),
  }

  const cases: Case[] = []
  const kinds = [
    withSubscriptions,
    withApps,
    withLog(events * PART),
    withBacklog(events * PART),
    withLog(events),
  ]
  for (const { title, prepare } of kinds) {
    say(`${title}: preparing`)
    const grown = await start(prepare)
    const empty = await start(async (_stores, apiUrl) => [await openApp(apiUrl)])
    await empty.warmUp()
    await grown.warmUp()
    const control = { words: 'the same service, empty but for one app', run: () => empty.measure(seconds) }
    const run = () => grown.measure(seconds)
    cases.push(await compare({ title: `${title} (${backend})`, metrics: METRICS, control, run }, say))
    await Promise.all([grown.stop(), empty.stop()])
  }
  return cases
}

function deliveredRequests(key: string): LoadRequest[] {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ type: DELIVERED, payload: payload(1) })
  return [{ path: '/events', headers, body }]
}

/** Does something so often, a few at a time. */
function atOnce<T>(count: number, make: (number: number) => Promise<T>): Promise<T[]> {
  const limit = pLimit(CREATED_AT_ONCE)
  return Promise.all(numbers(count).map((number) => limit(() => make(number))))
}
