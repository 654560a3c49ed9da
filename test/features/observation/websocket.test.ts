import { sql } from 'kysely'
import t from 'tap'
import { openRoomEvents, openSocket } from '../../helpers/rooms.ts'
import { ADMIN_KEY, call, startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

async function declare(client: Client, name: string, topic: string, rooms: string[]): Promise<void> {
  const { status, text } = await client.post('/event-types', { name, topic, rooms })
  if (status !== 201) throw new Error(text)
}

async function append(client: Client, type: string, payload: object): Promise<number> {
  const { status, body, text } = await client.post('/events', { type, payload })
  if (status !== 201) throw new Error(text)
  return body.position
}

async function tokenOf(client: Client, grant: object): Promise<string> {
  const { status, body, text } = await client.post('/observation/tokens', grant)
  if (status !== 201) throw new Error(text)
  return body.token
}

t.test('rooms over a WebSocket', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  await declare(client, 'order.shipped', 'orders/shipped', ['orders', 'orders/{payload.order_id}'])

  t.test('an observer is given what is in its rooms, and nothing else', async (t) => {
    const observer = await openSocket(t, service.url, client)
    const welcome = await observer.waitFor(({ type }) => type === 'welcome', 'it is welcome')
    t.match(welcome, { connection: /^[0-9a-f-]{36}$/, heartbeatSeconds: 25 })
    const joined = await observer.join('orders/7')
    t.match(joined, { type: 'joined', room: 'orders/7', recovered: true })
    const first = await append(client, 'order.shipped', { order_id: 7, weight: 1.5 })
    t.equal(first > joined.position, true, 'it began before the event')
    await append(client, 'order.shipped', { order_id: 8 })
    const last = await append(client, 'order.shipped', { order_id: 7 })
    await observer.waitFor(({ position }) => position === last, 'the last event came')
    t.strictSame(
      observer.messages().map(({ position, room }) => ({ position, room })),
      [first, last].map((position) => ({ position, room: 'orders/7' })),
    )
    t.match(observer.messages()[0], {
      type: 'message',
      topic: 'orders/shipped',
      data: { order_id: 7, weight: 1.5 },
      event: { type: 'order.shipped', id: /^[0-9a-f-]{36}$/, createdAt: /Z$/ },
    })

    t.match(await observer.ask({ action: 'leave', room: 'orders/7' }), { type: 'left', room: 'orders/7' })
    t.match(await observer.join('orders'), { type: 'joined' })
    const after = await append(client, 'order.shipped', { order_id: 7 })
    await observer.waitFor(({ position, room }) => position === after && room === 'orders', 'it came')
    t.equal(observer.messages('orders/7').length, 2, 'nothing comes of a room that was left')
  })

  t.test('a room is resumed from the log, each from a position of its own', async (t) => {
    const { position: start } = await (await openSocket(t, service.url, client)).join('orders')
    const positions: number[] = []
    for (let number = 0; number < 5; number++)
      positions.push(await append(client, 'order.shipped', { order_id: 'resumed' }))
    const observer = await openSocket(t, service.url, client)
    const [, second = 0] = positions
    t.match(await observer.join('orders', { after: start }), { position: start, recovered: true })
    t.match(await observer.join('orders/resumed', { after: second }), { position: second })
    positions.push(await append(client, 'order.shipped', { order_id: 'resumed' }))
    await until(() => observer.messages().length >= 10, 'all of it came')
    t.strictSame(
      observer.messages('orders').map(({ position }) => position),
      positions,
    )
    t.strictSame(
      observer.messages('orders/resumed').map(({ position }) => position),
      positions.slice(2),
    )
    const again = await observer.join('orders/resumed', { after: positions[3] as number })
    t.match(again, { position: positions[3], recovered: true }, 'joining again begins anew')
    await until(() => observer.messages('orders/resumed').length >= 6, 'it begins anew')
  })

  t.test('a position that the log does not have, or no longer has, is said to be lost', async (t) => {
    const observer = await openSocket(t, service.url, client)
    const beyond = await observer.join('orders', { after: 1_000_000 })
    t.match(beyond, { recovered: false, reason: 'unknown' })
    const next = await append(client, 'order.shipped', { order_id: 1 })
    t.equal(beyond.position, next - 1, 'it begins at the newest position')
    await observer.waitFor(({ position }) => position === next, 'and goes on from there')

    // As when a partition is dropped: the log no longer begins with the first event.
    await service.platform.db.connection().execute(async (connection) => {
      await sql`set session_replication_role = replica`.execute(connection)
      await sql`delete from events where app_id = ${client.appId} and position <= 3`.execute(connection)
      await sql`set session_replication_role = default`.execute(connection)
    })
    const restarted = await startService(t, { databaseUrl: service.databaseUrl, worker: false })
    const later = await openSocket(t, restarted.url, client)
    t.match(await later.join('orders', { after: 2 }), { recovered: false, reason: 'expired', position: next })
    t.match(await later.join('orders', { after: 3 }), { recovered: true, position: 3 })
    await later.waitFor(({ position }) => position === next, 'what is still there comes')
  })

  t.test('connections of an app and of an address are limited', async (t) => {
    const settings = { MAX_OBSERVERS_PER_APP: '2', MAX_OBSERVERS_PER_ADDRESS: '3' }
    const limited = await startService(t, { worker: false, settings })
    const [one, other] = [await limited.client(), await limited.client()]
    const first = await openSocket(t, limited.url, one)
    await openRoomEvents(t, limited.url, one.key, '?rooms=orders')
    await t.rejects(openSocket(t, limited.url, one), { message: 'Unexpected server response: 429' })
    await openSocket(t, limited.url, other)
    await t.rejects(openRoomEvents(t, limited.url, other.key, '?rooms=orders'), {
      message: /429.*urn:heliograph:problem:too-many-connections/,
    })
    first.socket.terminate()
    await until(
      () =>
        openSocket(t, limited.url, one).then(
          () => true,
          () => false,
        ),
      'there is room again',
    )
  })

  t.test('a frame that is wrong is answered, and the connection stays', async (t) => {
    const observer = await openSocket(t, service.url, client)
    observer.socket.send('{"action":')
    observer.socket.send('[]')
    for (const frame of [
      { action: 'dance' },
      { action: 'join' },
      { action: 'join', room: 'a//b' },
      { action: 'join', room: 'orders', after: -1 },
      { action: 'join', room: 'orders', after: 1, more: true },
      { action: 'leave', room: 'orders/never' },
      { action: 'presence', room: 'orders/never' },
    ]) {
      const answer = await observer.ask(frame)
      t.match(answer, { type: 'error', code: /^(bad-frame|not-joined)$/, detail: /./ })
    }
    t.equal(observer.frames.filter(({ code }) => code === 'bad-frame').length, 7)
    t.match(await observer.ask({ action: 'ping' }), { type: 'pong' })
  })

  t.test('a connection may be in so many rooms', async (t) => {
    const observer = await openSocket(t, service.url, client)
    for (let room = 0; room < 128; room++) observer.send({ action: 'join', room: `many/${room}` })
    t.match(await observer.join('many/more'), { type: 'error', code: 'too-many-rooms' })
    t.match(await observer.join('many/5'), { type: 'joined' }, 'one that it is in may be joined again')
    t.match(await observer.ask({ action: 'leave', room: 'many/7' }), { type: 'left' })
    t.match(await observer.join('many/more'), { type: 'joined' })
  })

  t.test('a token allows what it says, and no more', async (t) => {
    await declare(client, 'order.cancelled', 'orders/cancelled', ['orders'])
    const token = await tokenOf(client, {
      rooms: ['orders', 'chat/*'],
      types: ['order.shipped'],
      publish: ['chat/42'],
    })
    const observer = await openSocket(t, service.url, { token })
    t.match(await observer.join('orders'), { type: 'joined' })
    t.match(await observer.join('orders/7'), { type: 'error', code: 'forbidden' })
    t.match(await observer.join('chat/42'), { type: 'joined' })
    await append(client, 'order.cancelled', { order_id: 1 })
    const shipped = await append(client, 'order.shipped', { order_id: 1 })
    await observer.waitFor(({ position }) => position === shipped, 'what it may see came')
    t.equal(observer.messages('orders').length, 1, 'and only that')
    const say = (room: string) =>
      observer.ask({ action: 'publish', room, topic: 'chat/said', data: { a: 1 } })
    t.match(await say('chat/43'), { type: 'error', code: 'forbidden' })
    t.match(await say('chat/42'), { type: 'published', room: 'chat/42' })
    const said = await observer.waitFor(
      ({ room, type }) => type === 'message' && room === 'chat/42',
      'it came',
    )
    t.strictSame(said, {
      type: 'message',
      room: 'chat/42',
      topic: 'chat/said',
      position: null,
      data: { a: 1 },
      ephemeral: true,
    })
    const large = { action: 'publish', room: 'chat/42', topic: 'x', data: 'x'.repeat(16_384) }
    t.match(await observer.ask(large), { type: 'error', code: 'too-large' })
    const answers = await Promise.all(Array.from({ length: 60 }, () => say('chat/42')))
    t.ok(
      answers.some(({ code }) => code === 'rate-limited'),
      'publishing is limited',
    )
  })

  t.test('a token is replaced in band, and what it no longer allows is left', async (t) => {
    const member = { id: 'ada' }
    const token = await tokenOf(client, { rooms: ['orders', 'chat/**'], member })
    const observer = await openSocket(t, service.url, { token })
    await observer.join('orders')
    await observer.join('chat/1')
    const narrower = await tokenOf(client, { rooms: ['chat/**'], ttlSeconds: 60, member })
    const authorized = await observer.ask({ action: 'auth', token: narrower })
    t.match(authorized, { type: 'authorized', expiresAt: /Z$/ })
    t.match(await observer.waitFor(({ type }) => type === 'left', 'a room was left'), {
      room: 'orders',
      reason: 'forbidden',
    })
    t.match(await observer.join('orders'), { type: 'error', code: 'forbidden' })
    const other = await service.client()
    for (const wrong of [
      'nonsense',
      client.key,
      await tokenOf(other, { rooms: ['chat/**'], member }),
      await tokenOf(client, { rooms: ['**'], member: { id: 'bob' } }),
    ])
      t.match(await observer.ask({ action: 'auth', token: wrong }), { type: 'error', code: 'unauthorized' })
    t.match(await observer.ask({ action: 'ping' }), { type: 'pong' })
  })

  t.test('who comes and goes is told to those who ask', async (t) => {
    const watcher = await openSocket(t, service.url, client)
    t.match(await watcher.join('chat/7', { presence: true }), { type: 'joined', members: [] })
    const token = await tokenOf(client, { rooms: ['chat/*'], member: { id: 'ada', info: { name: 'Ada' } } })
    const ada = await openSocket(t, service.url, { token })
    await ada.join('chat/7')
    const ofAda = (change: string) => (frame: { change?: string; member?: { id: string } }) =>
      frame.change === change && frame.member?.id === 'ada'
    t.match(await watcher.waitFor(ofAda('join'), 'she is said to have come'), {
      type: 'presence',
      room: 'chat/7',
      member: { id: 'ada', info: { name: 'Ada' } },
    })
    t.strictSame((await watcher.ask({ action: 'presence', room: 'chat/7' })).members, [
      { id: 'ada', info: { name: 'Ada' } },
    ])
    const late = await openSocket(t, service.url, client)
    t.match(await late.join('chat/7', { presence: true }), { members: [{ id: 'ada' }] })
    // To the letter, whichever way it goes out.
    const body = '{"rooms":["chat/*"],"member":{"id":"bob","info":{"n":12345678901234567890}}}'
    const { body: granted } = await call(service.url, 'POST', '/observation/tokens', {
      key: client.key,
      body,
      headers: { 'content-type': 'application/json' },
    })
    await (await openSocket(t, service.url, { token: granted.token })).join('chat/7')
    const texts: string[] = []
    watcher.socket.on('message', (data) => texts.push((data as Buffer).toString()))
    await until(
      async () => (await watcher.ask({ action: 'presence', room: 'chat/7' })).members.length === 2,
      'bob is there',
    )
    t.ok(texts.some((text) => text.includes('"members"') && text.includes('{"n":12345678901234567890}')))
    ada.socket.terminate()
    await watcher.waitFor(ofAda('leave'), 'she is said to have gone')
    await until(
      async () => (await watcher.ask({ action: 'presence', room: 'chat/7' })).members.length === 1,
      'only bob is left',
    )
  })

  t.test('a key that is revoked ends its connections', async (t) => {
    const { body } = await client.post('/observation/tokens', { rooms: ['orders'] })
    const observer = await openSocket(t, service.url, { token: body.token })
    const other = await service.client()
    const bystander = await openSocket(t, service.url, other)
    const [, keyId = ''] = /^hg_([0-9a-f]+)_/.exec(client.key) ?? []
    await call(service.url, 'DELETE', `/apps/${client.appId}/api-keys/${keyId}`, { key: ADMIN_KEY })
    t.match(await observer.closed, { code: 4401 })
    t.ok(observer.frames.some(({ type, code }) => type === 'closing' && code === 4401))
    t.match(await bystander.ask({ action: 'ping' }), { type: 'pong' })
  })
})
