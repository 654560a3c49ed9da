import { setTimeout as wait } from 'node:timers/promises'
import { eventJson } from '../src/features/events/event.ts'
import { newId } from '../src/platform/ids.ts'
import { encodeMessage } from '../src/platform/http/sse.ts'
import { until } from '../test/helpers/until.ts'
import type { HttpLoader } from './helpers/http-load.ts'
import type { Observers } from './helpers/observers.ts'
import type { SseServer } from './helpers/sse-server.ts'
import { createApp } from './lib/app.ts'
import { compare, type Case, type Figures, type Metric } from './lib/compare.ts'
import { appendRequests, EVENT_TYPE, payload } from './lib/events.ts'
import { startHelper, type Helper } from './lib/helper.ts'
import { cpuDuring, residentKiB, type Process } from './lib/processes.ts'
import type { Bench } from './run.ts'

const OBSERVERS = 500
const OBSERVER_PROCESSES = 2
const RATES = [
  { words: '1 event a second', perSecond: 1 },
  { words: '100 events a second', perSecond: 100 },
  { words: 'events appended flat out on 8 connections', perSecond: undefined },
]
const APPEND_CONNECTIONS = 8
/** What a server still does for connections that were just made is over by then. */
const SETTLE_MS = 1_500
const WARM_UP_OBSERVERS = 50

const CPU: Metric[] = [{ name: 'server CPU µs per message', better: 'less' }]
/** Only flat out: else the rate is the one that was asked for. */
const THROUGHPUT: Metric[] = [...CPU, { name: 'messages/s', better: 'more' }]
const MEMORY: Metric[] = [{ name: 'KiB per idle connection', better: 'less' }]

/** A server with streams to observe. */
interface Target extends Process {
  name: string
  url: string
  headers: Record<string, string>
}

/** Live streams: what the service takes to tell many observers, beside a server that only writes. */
export const fanout: Bench = async ({ scope, environment, seconds, say }) => {
  const clients: Helper<Observers>[] = []
  for (let count = 0; count < OBSERVER_PROCESSES; count++) {
    clients.push(await startHelper<Observers>(scope, 'observers'))
  }
  const appender = await startHelper<HttpLoader>(scope, 'http-load')
  const stores = await environment.createStores(environment.backends[0] as 'redis' | 'postgres')
  let key: string | undefined

  const connect = ({ name, url, headers }: Target, count: number) =>
    Promise.all(clients.map((client) => client.call('open', name, url, headers, count / clients.length)))
  const disconnect = (target: Target) =>
    Promise.all(clients.map((client) => client.call('close', target.name)))
  async function received(target: Target): Promise<number> {
    const counts = await Promise.all(clients.map((client) => client.call('messages', target.name)))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  async function startBare() {
    const server = await startHelper<SseServer>(scope, 'sse-server')
    const url = await server.call('listen')
    return { ...server, url, name: 'bare', headers: {} }
  }
  async function startService() {
    const api = await environment.startApi(stores)
    key ??= (await createApp(api.url)).key
    const headers = { authorization: `Bearer ${key}` }
    return { ...api, origin: api.url, url: `${api.url}/events/stream`, name: 'service', headers }
  }

  /** Each time on a fresh server: memory that was once used is not given back. */
  async function memory(target: Target): Promise<Figures> {
    await connect(target, WARM_UP_OBSERVERS)
    await disconnect(target)
    await wait(SETTLE_MS)
    const before = await residentKiB(target.pid)
    await connect(target, OBSERVERS)
    await wait(SETTLE_MS)
    const perConnection = ((await residentKiB(target.pid)) - before) / OBSERVERS
    await disconnect(target)
    await target.stop()
    return { 'KiB per idle connection': perConnection }
  }

  /** @param send returns how many messages the observers are to get of what it sent */
  async function stream(target: Target, send: () => Promise<number>): Promise<Figures> {
    const before = await received(target)
    const started = performance.now()
    const { result: messages, seconds: cpu } = await cpuDuring(target.pid, async () => {
      const sent = await send()
      await until(async () => (await received(target)) >= before + sent, `${sent} messages were received`)
      return sent
    })
    const took = (performance.now() - started) / 1000
    const surplus = (await received(target)) - before - messages
    if (surplus > 0) throw new Error(`${target.name} sent ${surplus} messages too many`)
    return { 'server CPU µs per message': (cpu / messages) * 1e6, 'messages/s': messages / took }
  }

  const cases: Case[] = []
  const bareMemory = async () => memory(await startBare())
  const title = `${OBSERVERS} idle observers`
  const control = { words: 'a bare node:http server', run: bareMemory }
  cases.push(
    await compare({ title, metrics: MEMORY, control, run: async () => memory(await startService()) }, say),
  )

  const bare = await startBare()
  const service = await startService()
  await connect(bare, OBSERVERS)
  await connect(service, OBSERVERS)
  const requests = appendRequests(key as string)
  const frame = preparedFrame()
  for (const { words, perSecond } of RATES) {
    const write = (during: number) => stream(bare, () => bare.call('send', frame, during, perSecond ?? null))
    const append = (during: number) =>
      stream(service, async () => {
        const load = { origin: service.origin, requests, seconds: during, connections: APPEND_CONNECTIONS }
        const rate = perSecond === undefined ? {} : { perSecond }
        return (await appender.call('run', { ...load, ...rate })).requests * OBSERVERS
      })
    await write(1)
    await append(1)
    cases.push(
      await compare(
        {
          title: `${OBSERVERS} observers, ${words} (${environment.backends[0]})`,
          metrics: perSecond === undefined ? THROUGHPUT : CPU,
          control: {
            words: 'a bare node:http server that writes one prepared buffer per message',
            run: () => write(seconds),
          },
          run: () => append(seconds),
        },
        say,
      ),
    )
  }
  return cases
}

/** What the service sends of one event. */
function preparedFrame(): string {
  const event = {
    appId: newId(),
    id: newId(),
    position: 10_000,
    eventTypeId: newId(),
    type: EVENT_TYPE,
    schemaVersion: 1,
    schemaValid: true,
    payload: JSON.stringify(payload(1)),
    edges: '[]',
    originEventId: null,
    externalId: null,
    orgid: null,
    context: null,
    createdAt: new Date(),
  }
  return encodeMessage({ id: String(event.position), event: event.type, data: eventJson(event) })
}
