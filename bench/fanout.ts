import { until } from '../test/helpers/until.ts'
import type { HttpLoader } from './helpers/http-load.ts'
import { createApp } from './lib/app.ts'
import { compare, type Case, type Figures, type Metric } from './lib/compare.ts'
import type { Backend } from './lib/environment.ts'
import { appendRequests } from './lib/events.ts'
import { startHelper } from './lib/helper.ts'
import {
  preparedFrame,
  startBare,
  startObservers,
  startService,
  TRANSPORTS,
  type Target,
} from './lib/observing.ts'
import type { Transport } from './helpers/bare-server.ts'
import { cpuDuring } from './lib/processes.ts'
import type { Bench } from './lib/bench.ts'

const OBSERVERS = 1_000
const RATES = [
  { words: '1 event a second', perSecond: 1 },
  { words: '100 events a second', perSecond: 100 },
  { words: 'events appended flat out on 8 connections', perSecond: undefined },
]
const APPEND_CONNECTIONS = 8

const CPU = 'server CPU µs per message'
const WITHOUT_APPENDING = 'the same without appending'
const THROUGHPUT = 'messages/s'
/** Flat out the rate of the appends is not one that could be had without observers. */
const PACED: Metric[] = [
  { name: CPU, better: 'less' },
  { name: WITHOUT_APPENDING, better: 'less' },
]
const FLAT_OUT: Metric[] = [
  { name: CPU, better: 'less' },
  { name: THROUGHPUT, better: 'more' },
]

/** What the service takes to tell a room with many observers, beside a server that only writes. */
export const fanout: Bench = async ({ scope, environment, seconds, say }) => {
  const observers = await startObservers(scope)
  const appender = await startHelper<HttpLoader>(scope, 'http-load')
  const backend = environment.backends[0] as Backend

  /** @param send returns how many messages the observers are to get of what it sent */
  async function stream(target: Target, send: () => Promise<number>): Promise<Figures> {
    const before = await observers.received(target)
    const started = performance.now()
    const { result: messages, seconds: cpu } = await cpuDuring(target.pid, async () => {
      const sent = await send()
      const haveAll = async () => (await observers.received(target)) >= before + sent
      await until(haveAll, `${sent} messages were received`)
      return sent
    })
    const took = (performance.now() - started) / 1000
    const surplus = (await observers.received(target)) - before - messages
    if (surplus > 0) throw new Error(`${target.name} sent ${surplus} messages too many`)
    const perMessage = (cpu / messages) * 1e6
    return { [CPU]: perMessage, [WITHOUT_APPENDING]: perMessage, [THROUGHPUT]: messages / took }
  }

  async function measure(transport: Transport): Promise<Case[]> {
    const bare = await startBare(scope, transport)
    const service = await startService(environment, await environment.createStores(backend), transport)
    await observers.connect(bare, OBSERVERS)
    await observers.connect(service, OBSERVERS)
    const frame = preparedFrame(transport)
    const load = { origin: service.url, connections: APPEND_CONNECTIONS }
    const requests = appendRequests(service.key)
    const unobserved = appendRequests((await createApp(service.url)).key)
    const cases: Case[] = []
    for (const { words, perSecond } of RATES) {
      const paced = { ...load, ...(perSecond !== undefined && { perSecond }) }
      const write = (during: number) =>
        stream(bare, () => bare.call('send', frame, during, perSecond ?? null))
      const append = (during: number) =>
        stream(service, async () => {
          const done = await appender.call('run', { ...paced, requests, seconds: during })
          return done.requests * OBSERVERS
        })
      /** The same appends, to an app that nobody observes. */
      const appendOnly = (during: number) =>
        cpuDuring(service.pid, () =>
          appender.call('run', { ...paced, requests: unobserved, seconds: during }),
        )
      async function run(): Promise<Figures> {
        if (perSecond === undefined) return append(seconds)
        const { result, seconds: cpu } = await appendOnly(seconds)
        const figures = await append(seconds)
        const appending = (cpu / (result.requests * OBSERVERS)) * 1e6
        return { ...figures, [WITHOUT_APPENDING]: (figures[CPU] as number) - appending }
      }
      await write(1)
      await append(1)
      const title = `${OBSERVERS} observers of a room over ${TRANSPORTS[transport]}, ${words} (${backend})`
      const control = {
        words: 'a bare server that writes one prepared buffer per message to as many sockets',
        run: () => write(seconds),
      }
      const metrics = perSecond === undefined ? FLAT_OUT : PACED
      cases.push(await compare({ title, metrics, control, run }, say))
    }
    for (const target of [bare, service]) {
      await observers.disconnect(target)
      await target.stop()
    }
    return cases
  }

  return [...(await measure('sse')), ...(await measure('websocket'))]
}
