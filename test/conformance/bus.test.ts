import t, { type Test } from 'tap'
import { createLocalBus } from '../../src/platform/bus/local.ts'
import type { Bus } from '../../src/platform/bus/port.ts'
import { PREPARE, type PreparedBackend } from '../helpers/backends.ts'
import { ALL_BACKENDS } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

interface Opened {
  one: Bus
  other: Bus
  server?: PreparedBackend['server']
}

/** Each gives the buses of two processes; the local one is for an installation that is one process. */
const BUSES: Record<string, (t: Test) => Promise<Opened>> = {
  async local() {
    const bus = createLocalBus()
    return { one: bus, other: bus }
  },
}
for (const backend of ALL_BACKENDS) {
  BUSES[backend] = async (t) => {
    const { bus, server } = await PREPARE[backend](t)
    return { one: bus(), other: bus(), server }
  }
}

for (const [name, open] of Object.entries(BUSES)) {
  t.test(`bus, ${name}`, async (t) => {
    const { one, other, server } = await open(t)
    // The last test closes the first one.
    t.teardown(() => (one === other ? undefined : other.close()))

    /** Publishes until it is seen: a subscription takes a moment, and messages are at most once. */
    const reach = (from: Bus, seen: unknown[], data: unknown) =>
      until(
        () => {
          from.publish('key.revoked', data)
          return seen.includes(data)
        },
        `${String(data)} was seen`,
      )

    t.test('a message reaches every process, its own too', async (t) => {
      const seenByOne: unknown[] = []
      const seenByOther: unknown[] = []
      const ends = [
        one.subscribe('key.revoked', (data) => seenByOne.push(data)),
        other.subscribe('key.revoked', (data) => seenByOther.push(data)),
      ]
      await reach(one, seenByOne, 'a')
      await reach(one, seenByOther, 'b')
      await reach(other, seenByOne, 'c')
      t.pass('all were seen')
      for (const end of ends) end()
    })

    t.test('only the topic that was subscribed to, with the data as it was', async (t) => {
      const seen: unknown[] = []
      const end = other.subscribe('log.grew', (data) => seen.push(data))
      const revoked: unknown[] = []
      const endRevoked = other.subscribe('key.revoked', (data) => revoked.push(data))
      const message = { from: 'x', apps: ['ü', 'b'] }
      await until(() => {
        one.publish('log.grew', message)
        return seen.length > 0
      }, 'it was seen')
      t.strictSame(seen[0], message)
      await reach(one, revoked, 'd')
      t.notOk(
        revoked.some((data) => typeof data === 'object'),
        'nothing of the other topic',
      )
      end()
      endRevoked()
    })

    t.test('nothing after the subscription was ended', async (t) => {
      const ended: unknown[] = []
      const still: unknown[] = []
      const end = other.subscribe('key.revoked', (data) => ended.push(data))
      const endStill = other.subscribe('key.revoked', (data) => still.push(data))
      await reach(one, ended, 'e')
      end()
      await reach(one, still, 'f')
      t.notOk(ended.includes('f'))
      endStill()
    })

    if (server) {
      t.test('its connection has a name of its own', async (t) => {
        await until(
          async () => (await server.connectionNames()).includes('outreach-ws-redis'),
          'it is connected',
        )
        t.pass('outreach-ws-redis')
      })

      t.test('messages flow again by themselves when the server was lost', async (t) => {
        const seen: unknown[] = []
        const end = other.subscribe('key.revoked', (data) => seen.push(data))
        await reach(one, seen, 'before')
        await server.kill()
        t.doesNotThrow(() => one.publish('key.revoked', 'during'))
        await server.restart()
        await reach(one, seen, 'after')
        await reach(other, seen, 'after, its own')
        end()
      })
    }

    t.test('publishing never throws, even when closed', async (t) => {
      await one.close()
      t.doesNotThrow(() => one.publish('key.revoked', 'g'))
    })
  })
}
