import t, { type Test } from 'tap'
import {
  connect,
  type Joined,
  type Observer,
  type Options,
  type PresenceChange,
  type RoomMessage,
  type Status,
  type StatusDetail,
} from '../../clients/browser/observer.ts'
import { startScripted, type ScriptedObservation } from '../helpers/scripted-observation.ts'
import { until } from '../helpers/until.ts'

const QUICK = { backoffMs: [5, 20], timeoutMs: 10_000 } as const

interface Seen {
  observer: Observer
  statuses: [Status, StatusDetail][]
  is: (status: Status) => boolean
}

function observe(t: Test, url: Options['url'], options: Partial<Options> = {}): Seen {
  const statuses: [Status, StatusDetail][] = []
  const observer = connect({
    url,
    token: 'a token',
    ...QUICK,
    onStatus: (...told) => statuses.push(told),
    ...options,
  })
  t.teardown(() => observer.close())
  return { observer, statuses, is: (status) => statuses.at(-1)?.[0] === status }
}

/** Joins a room and notes what happens in it. */
function join(observer: Observer, room: string, options: { after?: number; presence?: boolean } = {}) {
  const seen = {
    messages: [] as RoomMessage[],
    positions: [] as (number | null)[],
    joined: [] as Joined[],
    lost: [] as Joined[],
    presence: [] as PresenceChange[],
    refused: [] as { code: string }[],
    leave: () => {},
  }
  seen.leave = observer.join(room, options, {
    onMessage(message) {
      seen.messages.push(message)
      seen.positions.push(message.position)
    },
    onPresence: (change) => seen.presence.push(change),
    onJoined: (joined) => seen.joined.push(joined),
    onLost: (joined) => seen.lost.push(joined),
    onRefused: (error) => seen.refused.push(error),
  })
  return seen
}

const last = <T>(list: readonly T[]): T => list.at(-1) as T
const sockets = (server: ScriptedObservation, count: number) =>
  until(() => server.sockets.length >= count && last(server.sockets), `there are ${count} connections`)
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

t.test('many rooms over one connection', async (t) => {
  const server = await startScripted(t)
  for (let number = 0; number < 3; number++) server.append('a')
  const { observer } = observe(t, `${server.url}/`)
  const rooms = { a: join(observer, 'a'), b: join(observer, 'b', { after: 0, presence: true }) }
  t.throws(() => observer.join('a', {}, { onMessage() {} }), /joined already/)
  await until(() => rooms.a.joined.length + rooms.b.joined.length === 2, 'both are joined')
  t.strictSame([last(rooms.a.joined).position, last(rooms.b.joined).position], [3, 0])
  t.strictSame(rooms.b.joined[0]?.members, [{ id: 'ada', info: null }])
  const socket = last(server.sockets)
  t.equal(socket.token, 'a token')

  server.append('a', 'b')
  const ephemeral = { room: 'b', topic: 'x', position: null, data: 1, ephemeral: true }
  socket.send({ type: 'message', ...ephemeral })
  socket.send({ type: 'presence', room: 'b', change: 'leave', member: { id: 'ada', info: null } })
  const late = join(observer, 'late', { after: 0 })
  await until(() => rooms.b.presence.length === 1 && late.joined.length === 1, 'all of it was given')
  t.strictSame([rooms.a.positions, rooms.b.positions], [[4], [4, null]])
  t.match(rooms.a.messages[0], { topic: 'some/topic', data: { position: 4 }, event: { type: 'some.type' } })
  t.match(rooms.b.messages[1], { data: 1, ephemeral: true })

  await observer.publish('b', 'some/topic', { any: 'thing' })
  t.match(last(socket.frames), { action: 'publish', room: 'b', topic: 'some/topic', data: { any: 'thing' } })
  t.strictSame(await observer.members('b'), [{ id: 'ada', info: null }])
  await t.rejects(observer.publish('b', 'x', '€'.repeat(30_000)), { code: 'too-large' })
  server.onFrame = ({ ref }, { send }) => {
    send({ type: 'error', code: 'rate-limited', detail: 'slower', ref })
    return true
  }
  await t.rejects(observer.publish('b', 'x', 1), { code: 'rate-limited', message: 'slower' })
  server.onFrame = () => false

  rooms.a.leave()
  rooms.a.leave()
  const again = join(observer, 'a', { after: 3 })
  await until(() => again.positions.length === 1, 'it is joined again')
  server.append('a')
  await until(() => again.positions.length === 2, 'it is observed')
  t.strictSame([rooms.a.positions, again.positions], [[4], [4, 5]])
  t.equal(socket.frames.filter(({ action }) => action === 'leave').length, 1)
  t.equal(server.sockets.length, 1)
})

t.test('whatever ends a connection, each message comes once and in order', async (t) => {
  const servers = await Promise.all([startScripted(t), startScripted(t)])
  const names = ['a', 'b', 'a/b']
  const { observer, statuses, is } = observe(
    t,
    servers.map(({ url }) => url),
    { token: async () => `${Math.random()}` },
  )
  const rooms = names.map((name) => join(observer, name, { after: 0 }))
  const expected = names.map((): number[] => [])
  for (let round = 0; round < 120; round++) {
    const chosen = names.filter(() => Math.random() < 0.6)
    const [position = 0] = servers.map((server) => server.append(...chosen))
    for (const [index, name] of names.entries()) if (chosen.includes(name)) expected[index]?.push(position)
    if (round % 4 === 0) {
      await until(() => is('open'), 'it is open')
      const { url } = last(statuses)[1]
      const socket = last(servers.find((server) => server.url === url)?.sockets ?? [])
      const ends = [
        () => socket.cut(),
        () => socket.close(1012, 1),
        () => socket.close(4408, 0),
        () => socket.close(1001),
        () => socket.close(4401),
        () => socket.close(1013, 3),
      ]
      ends[(round / 4) % ends.length]?.()
    }
    if (round % 3 === 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
  }
  await until(
    () => rooms.every(({ positions }, index) => positions.length >= (expected[index]?.length ?? 0)),
    'everything was given',
  )
  t.strictSame(
    rooms.map(({ positions }) => positions),
    expected,
  )
  t.ok(statuses.filter(([status]) => status === 'open').length > 20, 'it came back often')
  t.ok(
    servers.every((server) => server.sockets.length > 0),
    'to both of them',
  )
  t.strictSame(
    rooms.flatMap(({ lost }) => lost),
    [],
  )
})

t.test('a server that repeats itself', async (t) => {
  const server = await startScripted(t)
  const { observer } = observe(t, server.url)
  const message = (position: number) => ({ type: 'message', room: 'a', topic: 'x', position, data: null })
  server.onFrame = ({ action }, { send }) => {
    // Of the time before, when the room was left and is joined again.
    if (action === 'join') send(message(2))
    return false
  }
  const room = join(observer, 'a', { after: 4 })
  for (let number = 0; number < 6; number++) server.append('a')
  await until(() => room.positions.length === 2, 'what was missed is given')
  for (const position of [5, 6, 1, 9, 9, 8]) last(server.sockets).send(message(position))
  last(server.sockets).send({ ...message(1), room: 'never joined' })
  await observer.publish('a', 'x', 1)
  t.strictSame(room.positions, [5, 6, 9], 'positions only go up')
})

t.test('what is not there any more', async (t) => {
  const server = await startScripted(t)
  const { observer } = observe(t, server.url)
  const room = join(observer, 'a', { after: 0 })
  for (let number = 0; number < 5; number++) server.append('a')
  await until(() => room.positions.length === 5, 'five are given')
  const missed = (how: () => void): void => {
    last(server.sockets).rooms.clear()
    for (let number = 0; number < 5; number++) server.append('a')
    how()
    last(server.sockets).cut()
  }
  missed(() => server.expire(8))
  await until(() => room.lost.length === 1, 'it is told')
  t.match(room.lost[0], { recovered: false, reason: 'expired', position: 10 })
  server.append('a')
  await until(() => room.positions.length === 6, 'it goes on')
  missed(() => server.restore(9))
  await until(() => room.lost.length === 2, 'it is told')
  t.match(room.lost[1], { recovered: false, reason: 'unknown', position: 9 })
  server.append('a')
  await until(() => room.positions.length === 7, 'it goes on')
  t.strictSame(room.positions, [...range(1, 5), 11, 10])
  t.equal(room.joined.length, 3)
})

t.test('answers that do not come', async (t) => {
  const server = await startScripted(t, 0.1)
  const { observer, is } = observe(t, server.url, { timeoutMs: 500 })
  await t.rejects(observer.publish('a', 'x', 1), { code: 'not-connected' })
  let silent = ''
  server.onFrame = ({ action }) => action === silent

  silent = 'join'
  const room = join(observer, 'a', { after: 0 })
  await sockets(server, 2)
  silent = ''
  await until(() => room.joined.length === 1, 'the room is joined over another connection')

  silent = 'publish'
  await until(() => is('open'), 'it is open')
  const before = server.sockets.length
  await t.rejects(observer.publish('a', 'x', 1), { code: 'no-answer' })
  await sockets(server, before + 1)
  const published = server.sockets
    .flatMap(({ frames }) => frames)
    .filter(({ action }) => action === 'publish')
  t.equal(published.length, 1, 'a publication is not repeated')

  const pings = () => last(server.sockets).frames.filter(({ action }) => action === 'ping').length
  await until(() => pings() > 1, 'silence is broken with pings')
  const { length } = server.sockets
  silent = 'ping'
  await sockets(server, length + 1)
  silent = ''
  server.append('a')
  await until(() => room.positions.length === 1 && is('open'), 'it is observed over another connection')
})

t.test('tokens', async (t) => {
  const server = await startScripted(t)
  let number = 0
  const next = () => `token ${++number}`
  const inMs = (ms: number) => new Date(Date.now() + ms).toISOString()

  t.test('are replaced in band before they end', async (t) => {
    const { observer, statuses } = observe(t, server.url, {
      token: async () => ({ token: next(), expiresAt: inMs(700) }),
    })
    const room = join(observer, 'a')
    const auth = await until(
      () => server.sockets[0]?.frames.find(({ action }) => action === 'auth'),
      'a new token is sent',
    )
    t.match(auth, { action: 'auth', token: 'token 2' })
    server.append('a')
    await until(() => room.positions.length === 1, 'it goes on')
    t.equal(statuses.filter(([status]) => status === 'open').length, 1)
    last(server.sockets).cut()
    await until(() => last(server.sockets).rooms.has('a') && server.sockets.length === 2, 'it came back')
    t.equal(last(server.sockets).token, 'token 2', 'one that is good is kept')
    last(server.sockets).close(4401)
    await sockets(server, 3)
    t.equal(last(server.sockets).token, 'token 3')
  })

  t.test('that the server does not take are replaced', async (t) => {
    const refused = new Set([next(), next()])
    number -= 2
    server.accepts = (token) => !refused.has(token)
    let failures = 0
    const { observer, statuses } = observe(t, server.url, {
      token() {
        if (failures++ === 0) throw new Error('no token today')
        // Over by this clock: which is wrong, since it is new.
        return { token: next(), expiresAt: inMs(-5000) }
      },
    })
    const room = join(observer, 'a', { after: 0 })
    await until(() => room.joined.length === 1, 'one is taken')
    t.notOk(refused.has(last(server.sockets).token))
    t.equal(failures, 4)
    t.match(
      statuses.find(([status]) => status === 'waiting'),
      ['waiting', { reason: /no token today/ }],
    )
  })

  t.test('that never change are not tried for ever', async (t) => {
    const { is, statuses } = observe(t, server.url, { token: 'fixed' })
    await until(() => is('open'), 'it is open')
    last(server.sockets).close(4401, 10)
    await until(() => is('closed'), 'it is closed')
    t.match(last(statuses), ['closed', { code: 4401, reason: 'as the test wants it' }])
  })
})

t.test('closes', async (t) => {
  const server = await startScripted(t)
  for (const code of [1002, 1003, 1007, 1009]) {
    const { is, statuses, observer } = observe(t, server.url)
    await until(() => is('open'), 'it is open')
    last(server.sockets).close(code)
    await until(() => is('closed'), `${code} is final`)
    t.match(last(statuses), ['closed', { code }])
    await t.rejects(observer.publish('a', 'x', 1), { code: 'not-connected' })
  }
  const waits = async (code: number, retryMs?: number): Promise<StatusDetail> => {
    const { is, statuses, observer } = observe(t, server.url)
    await until(() => is('open'), 'it is open')
    last(server.sockets).close(code, retryMs)
    const [, detail] = await until(
      () => statuses.find(([status]) => status === 'waiting'),
      'it waits to come back',
    )
    observer.close()
    return detail
  }
  t.match(await waits(1012, 123_456), { code: 1012, retryMs: 123_456 }, 'as long as the server asks')
  t.ok(((await waits(1013)).retryMs as number) >= 10_000, 'too many connections: later')
  t.ok(((await waits(1001)).retryMs as number) <= 20)

  t.test('another URL is tried when one does not answer', async (t) => {
    const { is, statuses } = observe(t, ['http://127.0.0.1:9', server.url])
    await until(() => is('open'), 'it is open')
    t.strictSame(
      statuses.map(([status, { url }]) => [status, url]),
      [
        ['connecting', 'http://127.0.0.1:9'],
        ['waiting', undefined],
        ['connecting', server.url],
        ['open', server.url],
      ],
    )
  })

  t.test('a room that is refused is left, the others stay', async (t) => {
    const codes: Record<string, string> = { no: 'forbidden', later: 'unavailable' }
    server.onFrame = (frame, { send }) => {
      const code = frame.action === 'join' && codes[frame.room]
      if (code) send({ type: 'error', code, detail: 'not now', ref: frame.ref })
      return Boolean(code)
    }
    const { observer } = observe(t, server.url)
    const [no, yes] = [join(observer, 'no'), join(observer, 'yes')]
    await until(() => no.refused.length === 1 && yes.joined.length === 1, 'each is answered')
    t.match(no.refused, [{ code: 'forbidden', detail: 'not now' }])
    const { length } = server.sockets
    const later = join(observer, 'later')
    await sockets(server, length + 1)
    codes['later'] = ''
    await until(() => later.joined.length === 1, 'what may pass is tried again')
    t.strictSame([later.refused, no.refused.length], [[], 1])
  })

  t.test('by the page', async (t) => {
    const { observer, is, statuses } = observe(t, server.url)
    await until(() => is('open'), 'it is open')
    server.onFrame = () => true
    const publication = observer.publish('a', 'x', 1)
    observer.close()
    await t.rejects(publication, { code: 'no-answer' })
    observer.close()
    t.equal(statuses.filter(([status]) => status === 'closed').length, 1)
    t.throws(() => connect({ url: 'no URL', token: '' }), TypeError)
  })
})
