import t from 'tap'
import { createLocalBus } from '../../src/platform/bus/local.ts'
import type { Bus } from '../../src/platform/bus/port.ts'
import { createPostgresBus, createRedisBus } from '../../src/platform/bus/relay.ts'
import { createLog } from '../../src/platform/log.ts'
import { QUEUE_SCHEMA } from '../../src/platform/postgres/migrate.ts'
import { createPool } from '../../src/platform/postgres/pool.ts'
import { createTestDatabase, createTestRedis } from '../helpers/environment.ts'
import { until } from '../helpers/until.ts'

const log = createLog('silent', 'test')

/** Each gives the buses of two processes; the local one is for an installation that is one process. */
const BUSES: Record<string, () => Promise<[Bus, Bus]>> = {
  async local() {
    const bus = createLocalBus()
    return [bus, bus]
  },
  async redis() {
    const url = await createTestRedis()
    return [createRedisBus(url, log), createRedisBus(url, log)]
  },
  async postgres() {
    const url = await createTestDatabase()
    const open = (): Bus => {
      const pool = createPool(url, { size: 8, name: 'test', schema: QUEUE_SCHEMA, log })
      const bus = createPostgresBus(pool, log)
      return { ...bus, close: () => bus.close().then(() => pool.end()) }
    }
    return [open(), open()]
  },
}

for (const [name, open] of Object.entries(BUSES)) {
  t.test(`bus, ${name}`, async (t) => {
    const [one, other] = await open()
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

    t.test('publishing never throws, even when closed', async (t) => {
      await one.close()
      t.doesNotThrow(() => one.publish('key.revoked', 'g'))
    })
  })
}
