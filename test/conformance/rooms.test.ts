import t, { type Test } from 'tap'
import { createTestDatabase } from '../helpers/environment.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { openRoomEvents, openSocket } from '../helpers/rooms.ts'
import { ALL_BACKENDS, startService, type Backend, type Client, type Service } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

const WRITERS = 10
const EVENTS_PER_WRITER = 40
const EVENTS = WRITERS * EVENTS_PER_WRITER

/** A Redis that a test may kill, or nothing where Postgres carries everything. */
interface Carrier {
  redisUrl: string | undefined
  killAndRestart: () => Promise<void>
}

async function startCarrier(t: Test, backend: Backend): Promise<Carrier> {
  if (backend === 'postgres') return { redisUrl: undefined, killAndRestart: async () => {} }
  if (backend === 'redis') {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    return { redisUrl: redis.url, killAndRestart: () => redis.restart() }
  }
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  return {
    redisUrl: cluster.url,
    killAndRestart: async () => {
      const owner = await cluster.ownerOf('{heliograph}')
      await cluster.kill(owner)
      await cluster.restart(owner)
    },
  }
}

const write = (services: readonly Service[], client: Client): Promise<void[]> =>
  Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      const { url } = services[writer % services.length] as Service
      for (let number = 0; number < EVENTS_PER_WRITER; number++) {
        const answer = await fetch(`${url}/events`, {
          method: 'POST',
          headers: { authorization: `Bearer ${client.key}`, 'content-type': 'application/json' },
          // Every fourth is in no room.
          body: JSON.stringify({ type: number % 4 === 3 ? 'silent' : 'spoken', payload: { writer, number } }),
        })
        if (answer.status !== 201) throw new Error(`an append was answered ${answer.status}`)
        await answer.text()
      }
    }),
  )

/** Observes in turn over each service until it has seen so many, breaking off at random. @returns positions */
async function observeBySocket(t: Test, services: readonly Service[], client: Client, count: number) {
  const positions: number[] = []
  for (let turn = 0; positions.length < count; turn++) {
    const observer = await openSocket(t, (services[turn % services.length] as Service).url, client)
    await observer.join('all', { after: positions.at(-1) ?? 0 })
    const enough = 1 + Math.floor(Math.random() * 60)
    await until(
      () => observer.messages().length >= Math.min(enough, count - positions.length),
      `a socket saw more than ${positions.length} of ${count}`,
    )
    observer.socket.terminate()
    positions.push(...observer.messages().map(({ position }) => position as number))
  }
  return positions
}

async function observeByStream(t: Test, services: readonly Service[], client: Client, count: number) {
  const positions: number[] = []
  let lastId: string | undefined
  for (let turn = 0; positions.length < count; turn++) {
    const { url } = services[turn % services.length] as Service
    const query = `?rooms=all,writers/1${lastId === undefined ? '&after=0' : ''}`
    const stream = await openRoomEvents(t, url, client.key, query, lastId)
    const enough = 1 + Math.floor(Math.random() * 60)
    await until(
      () => stream.messages().length >= Math.min(enough, count - positions.length),
      `a stream saw more than ${positions.length} of ${count}`,
    )
    stream.drop()
    await stream.ended
    for (const { id, data } of stream.messages()) {
      positions.push(data.position)
      lastId = id
    }
  }
  return positions
}

for (const backend of ALL_BACKENDS) {
  t.test(`rooms over two API processes (${backend})`, async (t) => {
    const databaseUrl = await createTestDatabase()
    const { redisUrl, killAndRestart } = await startCarrier(t, backend)
    const shared = { databaseUrl, worker: false, ...(redisUrl && { redisUrl }) }
    const services = await Promise.all([startService(t, shared), startService(t, shared)])
    const [first, second] = services
    const client = await first.client()
    for (const type of [{ name: 'spoken', rooms: ['all', 'writers/{payload.writer}'] }, { name: 'silent' }])
      t.equal((await client.post('/event-types', type)).status, 201)

    await t.test('whoever breaks off and comes back misses nothing and sees nothing twice', async (t) => {
      const spoken = (EVENTS / 4) * 3
      const ofOne = (EVENTS_PER_WRITER / 4) * 3
      const [bySocket, byStream] = await Promise.all([
        observeBySocket(t, services, client, spoken),
        observeByStream(t, services, client, spoken + ofOne),
        write(services, client),
      ])
      const { body } = await client.get('/events?limit=100&order=asc')
      t.equal(body.data[0].position, 1)
      t.equal(bySocket.length, spoken)
      t.strictSame(
        bySocket,
        [...new Set(bySocket)].toSorted((a, b) => a - b),
        'each once and in order',
      )
      t.strictSame([...new Set(byStream)], bySocket, 'a stream sees the same')
      t.equal(byStream.length, spoken + ofOne, 'and what is in two rooms in both')
    })

    await t.test('ephemeral messages and presence cross over', async (t) => {
      const grant = { rooms: ['chat/*'], publish: ['chat/*'] }
      const tokenFor = async (id: string): Promise<string> =>
        (await client.post('/observation/tokens', { ...grant, member: { id } })).body.token
      const ada = await openSocket(t, first.url, { token: await tokenFor('ada') })
      await ada.join('chat/1', { presence: true })
      const bob = await openSocket(t, second.url, { token: await tokenFor('bob') })
      t.match(await bob.join('chat/1', { presence: true }), { type: 'joined' })
      await ada.waitFor((frame) => frame.change === 'join' && frame.member.id === 'bob', 'ada sees bob come')
      t.strictSame(
        (await bob.ask({ action: 'presence', room: 'chat/1' })).members.map(({ id }: { id: string }) => id),
        ['ada', 'bob'],
      )
      await bob.ask({ action: 'publish', room: 'chat/1', topic: 'said', data: 'hello' })
      await ada.waitFor((frame) => frame.type === 'message' && frame.data === 'hello', 'ada hears bob')
      t.equal(bob.messages('chat/1').length, 1, 'and bob himself, once')
      bob.socket.terminate()
      await ada.waitFor((frame) => frame.change === 'leave' && frame.member.id === 'bob', 'ada sees bob go')
    })

    if (backend === 'postgres') return
    await t.test('Redis killed in mid-stream: no event is missed', async (t) => {
      const observer = await openSocket(t, second.url, client)
      const { position } = await observer.join('all')
      const stream = await openRoomEvents(t, first.url, client.key, '?rooms=all')
      const writing = write(services, client)
      await until(() => observer.messages().length > 20, 'it is in mid-stream')
      await Promise.all([writing, killAndRestart()])
      const { body } = await client.post('/events', { type: 'spoken', payload: { writer: 0 } })
      await observer.waitFor((frame) => frame.position === body.position, 'the last one came')
      await until(() => stream.messages().at(-1)?.data.position === body.position, 'also to the stream')
      const positions = observer.messages('all').map((frame) => frame.position as number)
      t.equal(positions.length, (EVENTS / 4) * 3 + 1)
      t.strictSame(
        positions,
        [...new Set(positions)].toSorted((a, b) => a - b),
      )
      t.ok((positions[0] ?? 0) > position)
      t.strictSame(
        stream.messages().map(({ data }) => data.position as number),
        positions,
      )
      const chat = await openSocket(t, first.url, client)
      await chat.join('chat/2')
      await until(async () => {
        await client.post('/observation/publish', { rooms: ['chat/2'], topic: 'said', data: 1 })
        return chat.messages('chat/2').length > 0
      }, 'ephemeral messages flow again')
    })
  })
}
