import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { RoomMessage } from '../../../src/features/observation/contracts.ts'
import { createEmitter } from '../../../src/features/observation/publishing/emitter.ts'
import { createLocalBus } from '../../../src/platform/bus/local.ts'
import type { Bus } from '../../../src/platform/bus/port.ts'
import { createPostgresBus, createRedisBus } from '../../../src/platform/bus/relay.ts'
import { createLog } from '../../../src/platform/log/log.ts'
import { QUEUE_SCHEMA } from '../../../src/platform/postgres/migrate.ts'
import { createPool, type Pool } from '../../../src/platform/postgres/pool.ts'
import { createTestDatabase, createTestRedis } from '../../helpers/environment.ts'
import { startRedis } from '../../helpers/redis-server.ts'
import { until } from '../../helpers/until.ts'

const log = createLog('silent', 'test')
const appId = crypto.randomUUID()

/** Each gives the buses of two processes, closed when the test ends; those of the local one are one. */
const BUSES: Record<string, (t: Test) => Promise<[Bus, Bus]>> = {
  async local() {
    const bus = createLocalBus()
    return [bus, bus]
  },
  async redis(t) {
    const url = await createTestRedis()
    return [openRedisBus(t, url), openRedisBus(t, url)]
  },
  async postgres(t) {
    const url = await createTestDatabase()
    return [openPostgresBus(t, url).bus, openPostgresBus(t, url).bus]
  },
}

function openRedisBus(t: Test, url: string): Bus {
  const bus = createRedisBus({ mode: 'single', url }, log)
  t.teardown(() => bus.close())
  return bus
}

function openPostgresBus(t: Test, url: string): { bus: Bus; pool: Pool } {
  const pool = createPool(url, { size: 8, name: 'test', schema: QUEUE_SCHEMA, log })
  const bus = createPostgresBus(pool, log)
  t.teardown(() => bus.close().then(() => pool.end()))
  return { bus, pool }
}

function openEmitter(bus: Bus) {
  const emitter = createEmitter({ bus, log })
  const seen: RoomMessage[] = []
  emitter.onMessage((message) => seen.push(message))
  const emit = (rooms: string[], data: string): void => emitter.emit({ appId, rooms, topic: 'a/topic', data })
  const dataOf = (room: string): string[] =>
    seen.filter((message) => message.room === room).map(({ data }) => data)
  return { emitter, seen, emit, dataOf }
}
type Open = ReturnType<typeof openEmitter>

/** Resolves once each hears the other; what is sent before may not arrive. */
async function untilConnected(...emitters: Open[]): Promise<void> {
  for (const from of emitters) {
    const data = JSON.stringify(crypto.randomUUID())
    await until(() => {
      from.emit(['warm-up'], data)
      return emitters.every(({ seen }) => seen.some((message) => message.data === data))
    }, 'all hear each other')
  }
}

for (const [name, open] of Object.entries(BUSES)) {
  t.test(`emitter, ${name}`, async (t) => {
    const [one, other] = (await open(t)).map(openEmitter) as [Open, Open]
    await untilConnected(one, other)
    t.equal(one.emitter.identifier, 'outreach-ws-emitter')
    t.equal(one.emitter.isReady, true)

    t.test('nobody waits: not even this process has it at once', async (t) => {
      one.emit(['later'], '1')
      t.strictSame(one.dataOf('later'), [])
      await new Promise(setImmediate)
      t.strictSame(one.dataOf('later'), ['1'], 'but at the end of the tick')
      await until(() => other.dataOf('later').length > 0, 'the other has it')
      t.strictSame(other.seen.at(-1), { appId, room: 'later', topic: 'a/topic', data: '1' })
    })

    t.test('rooms that are none, or that fail, are left out', async (t) => {
      const end = other.emitter.onMessage(({ room }) => {
        if (room === 'bad') throw new Error('a room that fails')
      })
      one.emit(['g/1', '', 'bad', 'no room', 'g/2', 'a//b', 'g/1', '/', 'g/3'], '"x"')
      one.emit(['not a room'], '"y"')
      one.emit([], '"z"')
      one.emit(['g/1'], '"last"')
      for (const { seen } of [one, other]) {
        await until(() => seen.at(-1)?.data === '"last"', 'the last is seen')
        t.strictSame(
          seen.slice(-5).map(({ room, data }) => [room, data]),
          [
            ['g/1', '"x"'],
            ['bad', '"x"'],
            ['g/2', '"x"'],
            ['g/3', '"x"'],
            ['g/1', '"last"'],
          ],
        )
      }
      end()
    })

    t.test('each once, those of one sender in order, and as they were', async (t) => {
      const COUNT = 600
      const texts = (from: string) =>
        Array.from({ length: COUNT }, (_, index) => `{"${from}":${index}, "n": 1.0e400}`)
      for (let index = 0; index < COUNT; index++) {
        for (const [from, { emit }] of [['a', one] as const, ['b', other] as const]) {
          emit(['order'], texts(from)[index] as string)
        }
        if (index % 40 === 0) await new Promise(setImmediate)
      }
      for (const { dataOf } of [one, other]) {
        await until(() => dataOf('order').length >= 2 * COUNT, 'all are seen')
        for (const from of ['a', 'b'])
          t.strictSame(
            dataOf('order').filter((text) => text.startsWith(`{"${from}"`)),
            texts(from),
          )
      }
    })

    t.test('the largest, to the most rooms', async (t) => {
      const rooms = Array.from(
        { length: 100 },
        (_, index) => `${'r'.repeat(120)}/${'s'.repeat(120)}/${index}`,
      )
      // Every character of the text is one that JSON escapes, or takes three bytes.
      const large = ['"\\'.repeat(4_095), '€'.repeat(5_400)].map((text) => JSON.stringify(text))
      for (let index = 0; index < 10; index++) for (const data of large) one.emit(rooms, data)
      for (const { dataOf } of [one, other]) {
        for (const room of rooms) {
          await until(() => dataOf(room).length >= 20, 'all are seen')
        }
        t.strictSame(new Set(dataOf(rooms[99] as string)), new Set(large))
      }
    })

    t.test('no more after it was ended', async (t) => {
      let count = 0
      one.emitter.onMessage(() => (count += 1))()
      one.emit(['ended'], '1')
      await until(() => other.dataOf('ended').length > 0, 'the other has it')
      t.equal(count, 0)
    })
  })
}

t.test('without Redis for a while', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const [one, other] = [openEmitter(openRedisBus(t, redis.url)), openEmitter(openRedisBus(t, redis.url))]
  await untilConnected(one, other)

  const client = new Redis(redis.url)
  const clients = await client.client('LIST')
  t.match(String(clients), /name=outreach-ws-redis/, 'the connection is named')
  client.disconnect()

  let sent = 0
  const stream = setInterval(() => one.emit(['stream'], String(++sent)), 1)
  t.teardown(() => clearInterval(stream))
  await until(() => other.dataOf('stream').length > 10, 'the stream flows')
  await redis.kill()
  await until(() => !one.emitter.isReady, 'it is seen that Redis is away')
  const lost = Array.from({ length: 5_000 }, (_, index) => String(index))
  for (const data of lost) one.emit(['lost'], data)
  await until(() => one.dataOf('lost').length === lost.length, 'the process has its own')
  await redis.start()
  const before = other.dataOf('stream').length
  await until(() => other.dataOf('stream').length > before + 10, 'the stream flows again')
  clearInterval(stream)
  await untilConnected(one, other)

  t.strictSame(other.dataOf('lost'), [], 'nothing is sent late')
  t.equal(one.dataOf('stream').length, sent)
  const received = other.dataOf('stream').map(Number)
  t.strictSame(
    received,
    [...new Set(received)].toSorted((a, b) => a - b),
    'each at most once, in order',
  )
})

t.test('without Postgres for a moment', async (t) => {
  const url = await createTestDatabase()
  const { bus, pool } = openPostgresBus(t, url)
  const [one, other] = [openEmitter(bus), openEmitter(openPostgresBus(t, url).bus)]
  await untilConnected(one, other)
  let sent = 0
  const stream = setInterval(() => one.emit(['stream'], String(++sent)), 1)
  t.teardown(() => clearInterval(stream))
  await until(() => other.dataOf('stream').length > 10, 'the stream flows')
  await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
                     where datname = current_database() and pid <> pg_backend_pid()`)
  const before = sent
  await until(() => other.dataOf('stream').some((data) => Number(data) > before), 'it flows again')
  clearInterval(stream)
  await untilConnected(one, other)
  t.equal(one.dataOf('stream').length, sent)
  const received = other.dataOf('stream').map(Number)
  t.strictSame(
    received,
    [...new Set(received)].toSorted((a, b) => a - b),
    'each at most once, in order',
  )
})

t.test('a Redis that was never there', async (t) => {
  const bus = createRedisBus({ mode: 'single', url: 'redis://127.0.0.1:1' }, log)
  const { emitter, emit, dataOf } = openEmitter(bus)
  t.equal(emitter.isReady, false)
  emit(['r'], '1')
  await until(() => dataOf('r').length === 1, 'the process has its own')
  await bus.close()
  emit(['r'], '2')
  await until(() => dataOf('r').length === 2, 'even when closed')
})
