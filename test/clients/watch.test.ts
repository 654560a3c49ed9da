import t from 'tap'
import { EventSource as NodeEventSource } from 'undici'
import { watch, type Joined, type RoomMessage, type Status } from '../../clients/browser/observer.ts'
import { startScripted } from '../helpers/scripted-observation.ts'
import { until } from '../helpers/until.ts'

const last = <T>(list: readonly T[]): T => list.at(-1) as T

t.test('rooms over server-sent events', async (t) => {
  const server = await startScripted(t)
  let tokens = 0
  const positions: Record<string, (number | null)[]> = { a: [], b: [], c: [] }
  const expected: Record<string, number[]> = { a: [], b: [], c: [] }
  const seen = { joined: [] as Joined[], lost: [] as Joined[], presence: 0, other: [] as RoomMessage[] }
  const statuses: [Status, number | undefined][] = []
  const end = watch(
    {
      url: ['http://127.0.0.1:9', server.url],
      token: () => ({ token: `token ${++tokens}`, expiresAt: null }),
      rooms: Object.keys(positions),
      presence: true,
      EventSource: NodeEventSource,
      backoffMs: [5, 20],
      timeoutMs: 2_000,
      onStatus: (status, { retryMs }) => statuses.push([status, retryMs]),
    },
    {
      onMessage(message) {
        if (message.position === null) seen.other.push(message)
        else positions[message.room]?.push(message.position)
      },
      onJoined: (joined) => seen.joined.push(joined),
      onLost: (joined) => seen.lost.push(joined),
      onPresence: () => (seen.presence += 1),
    },
  )
  t.teardown(end)
  const append = (...rooms: string[]): void => {
    const position = server.append(...rooms)
    for (const room of rooms) expected[room]?.push(position)
  }
  const given = () =>
    until(() => JSON.stringify(positions) === JSON.stringify(expected), 'everything was given').catch(() =>
      t.strictSame(positions, expected),
    )
  const isOpen = () => until(() => statuses.at(-1)?.[0] === 'open', 'it is open')

  await until(() => seen.joined.length === 3, 'all are joined')
  const [{ query } = { query: new URLSearchParams() }] = server.streams
  t.strictSame([query.get('rooms'), query.get('presence'), query.get('after')], ['a,b,c', 'true', null])

  t.test('what happens between the start and the first message is not lost', async () => {
    last(server.streams).cut()
    append('a')
    await given()
    t.equal(last(server.streams).query.get('after'), '0')
  })

  t.test('a stream that breaks anywhere, also between the rooms of an event', async (t) => {
    server.streamLimit = 4
    last(server.streams).cut()
    for (let round = 0; round < 40; round++) {
      append(...['a', 'b', 'c'].filter(() => Math.random() < 0.8))
      if (round % 5 === 0) await given()
    }
    await given()
    server.streamLimit = Infinity
    t.ok(server.streams.length > 10, `${server.streams.length} streams`)
    t.strictSame(seen.lost, [])
  })

  t.test('what has no position', async (t) => {
    await isOpen()
    const ephemeral = { room: 'b', topic: 'x', position: null, data: 1, ephemeral: true }
    last(server.streams).send(`data: ${JSON.stringify(ephemeral)}\n\n`)
    const change = { room: 'b', change: 'join', member: { id: 'ada', info: null } }
    last(server.streams).send(`event: presence\ndata: ${JSON.stringify(change)}\n\n`)
    await until(() => seen.presence === 1, 'it is given')
    t.match(seen.other, [ephemeral])
  })

  t.test('a token that ended', async (t) => {
    await isOpen()
    const old = last(server.streams).query.get('token')
    server.accepts = (token) => token !== old
    const closing = { code: 4401, reason: 'the token ended', retryMs: 30 }
    last(server.streams).end(`event: closing\ndata: ${JSON.stringify(closing)}\n\n`)
    append('a', 'c')
    await given()
    t.not(last(server.streams).query.get('token'), old)
    const waits = statuses.filter(([status]) => status === 'waiting').map(([, retryMs]) => retryMs)
    t.ok((last(waits) as number) >= 30, 'it waited for as long as it was told')
  })

  t.test('what is not there any more', async (t) => {
    await isOpen()
    server.restore(3)
    last(server.streams).cut()
    await until(() => seen.lost.length === 3, 'it is told of every room')
    t.match(seen.lost[0], { position: 3, recovered: false, reason: 'unknown' })
    append('a')
    await given()
  })

  t.test('nothing comes after its end', async (t) => {
    end()
    const { length } = statuses
    append('a')
    t.strictSame(statuses.slice(length - 1), [['closed', undefined]])
    t.equal(positions['a']?.length, (expected['a']?.length ?? 0) - 1)
  })
})
