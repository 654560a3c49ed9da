import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../test/helpers/redis-server.ts'
import { until } from '../test/helpers/until.ts'
import type { HttpLoader } from './helpers/http-load.ts'
import { compare, type Case, type Figures, type Metric } from './lib/compare.ts'
import type { Backend } from './lib/environment.ts'
import { appendRequests } from './lib/events.ts'
import { heapInUse } from './lib/heap.ts'
import { startHelper } from './lib/helper.ts'
import { startBare, startObservers, startService, TRANSPORTS, type Target } from './lib/observing.ts'
import type { Transport } from './helpers/bare-server.ts'
import { openFiles, residentKiB } from './lib/processes.ts'
import type { Bench } from './lib/bench.ts'

const OBSERVERS = 5_000
const WARM_UP_OBSERVERS = 100
/** What a server still does for connections that were just made, or ended, is over by then. */
const SETTLE_MS = 1_500
/** Events of the soak: 100,000 messages a second. */
const PER_SECOND = 20
const APPEND_CONNECTIONS = 4
/** Of a server beside its observers: databases, logs, modules. */
const OTHER_FILES = 200
/** How many more files a server may have open than before its observers came: connections to its stores. */
const MORE_FILES = 40

/**
 * What docs/observation.md advises for processes that mostly hold observers: half of what Node takes for new objects
 * on a large machine. What joins leave behind there counts to the connections while it is not collected.
 */
const FOR_OBSERVERS = ['--max-semi-space-size=16']

const KIB = 'KiB per idle connection'
const MEMORY: Metric[] = [{ name: KIB, better: 'less' }]
const IDLE = 'MiB in use with idle observers'
const GIVEN = 'MiB in use after the messages'
const LEFT = 'MiB in use once all have left'
const FILES = 'files open once all have left'
const ROUND: Metric[] = [IDLE, GIVEN, LEFT, FILES].map((name) => ({ name, better: 'less' }))

/** What observers take that wait, and whether anything of them stays when they go. */
export const idle: Bench = async ({ scope, environment, seconds, say }) => {
  await checkFileLimit()
  const observers = await startObservers(scope)
  const appender = await startHelper<HttpLoader>(scope, 'http-load')
  const backend = environment.backends[0] as Backend
  const stores = await environment.createStores(backend)

  async function settle(target: Target): Promise<number> {
    await wait(SETTLE_MS)
    return residentKiB(target.pid)
  }

  async function warmUp(target: Target): Promise<number> {
    await observers.connect(target, WARM_UP_OBSERVERS)
    await observers.disconnect(target)
    return settle(target)
  }

  /** Each time on a fresh server: memory that was once used is not given back. */
  async function memory(target: Target): Promise<Figures> {
    const before = await warmUp(target)
    await observers.connect(target, OBSERVERS)
    const perConnection = ((await settle(target)) - before) / OBSERVERS
    await observers.disconnect(target)
    await target.stop()
    return { [KIB]: perConnection }
  }

  const compareMemory = (transport: Transport, nodeOptions: readonly string[] = []): Promise<Case> =>
    compare(
      {
        title: [
          `${OBSERVERS} idle observers of a room over ${TRANSPORTS[transport]} (${backend})`,
          ...nodeOptions,
        ].join(', '),
        metrics: MEMORY,
        control: {
          words: transport === 'sse' ? 'a bare node:http server' : 'a bare ws server',
          run: async () => memory(await startBare(scope, transport)),
        },
        run: async () => memory(await startService(environment, stores, transport, nodeOptions)),
      },
      say,
    )

  /** Observers come, wait, get messages and go, again and again from the same process. */
  async function soak(transport: Transport): Promise<Case> {
    const inspectorPort = await freePort()
    const service = await startService(environment, stores, transport, [
      `--inspect=127.0.0.1:${inspectorPort}`,
      '--inspect-publish-uid=http',
    ])
    const inUse = async (): Promise<number> => {
      await wait(SETTLE_MS)
      return heapInUse(inspectorPort)
    }
    const requests = appendRequests(service.key)
    const load = { origin: service.url, requests, connections: APPEND_CONNECTIONS, perSecond: PER_SECOND }
    await warmUp(service)
    const files = await openFiles(service.pid)

    async function round(): Promise<Figures> {
      await observers.connect(service, OBSERVERS)
      const waiting = await inUse()
      const { requests: sent } = await appender.call('run', { ...load, seconds })
      const haveAll = async () => (await observers.received(service)) >= sent * OBSERVERS
      await until(haveAll, `every observer got ${sent} messages`)
      const given = await inUse()
      await observers.checkEach(service, sent)
      await observers.disconnect(service)
      const haveLeft = async () => (await openFiles(service.pid)) <= files + MORE_FILES
      await until(haveLeft, 'the service has closed what its observers had open')
      return { [IDLE]: waiting, [GIVEN]: given, [LEFT]: await inUse(), [FILES]: await openFiles(service.pid) }
    }

    await round()
    const title = `${OBSERVERS} observers over ${TRANSPORTS[transport]} come, get ${PER_SECOND * seconds} messages each, and go (${backend})`
    const control = { words: 'the round before, in the same process', run: round }
    const found = await compare({ title, metrics: ROUND, control, run: round }, say)
    await service.stop()
    return found
  }

  return [
    await compareMemory('sse'),
    await compareMemory('sse', FOR_OBSERVERS),
    await compareMemory('websocket'),
    await compareMemory('websocket', FOR_OBSERVERS),
    await soak('sse'),
    await soak('websocket'),
  ]
}

/** @throws Error when a server could not hold the observers */
async function checkFileLimit(): Promise<void> {
  const limits = await readFile('/proc/self/limits', 'utf8')
  const most = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1])
  const needed = OBSERVERS + OTHER_FILES
  if (most >= needed) return
  throw new Error(
    `A process may open ${most} files here, and the service needs ${needed}: raise the limit (ulimit -n ${needed}; where that is refused, LimitNOFILE= of the unit, --ulimit nofile= of the container, or /etc/security/limits.conf).`,
  )
}
