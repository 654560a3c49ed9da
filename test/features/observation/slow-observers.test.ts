import t from 'tap'
import { OPCODE, openRawWebSocket } from '../../helpers/raw-websocket.ts'
import { openRoomEvents, openSocket } from '../../helpers/rooms.ts'
import { startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const BUFFER_BYTES = 65_536
const TEXT = 'x'.repeat(20_000)
const EVENTS = 1_500

t.test('an observer that does not read', async (t) => {
  const service = await startService(t, {
    worker: false,
    settings: { OBSERVER_BUFFER_BYTES: String(BUFFER_BYTES) },
  })
  const client = await service.client()
  t.equal((await client.post('/event-types', { name: 'long', rooms: ['all'] })).status, 201)
  const join = { opcode: OPCODE.text, payload: '{"action":"join","room":"all","after":0}' }
  const positionsOf = (texts: readonly string[]): number[] =>
    texts
      .filter((text) => text.startsWith('{"type":"message"'))
      .map((text) => (JSON.parse(text) as { position: number }).position)

  await t.test('is given the rest at its own pace, while others are not kept', async (t) => {
    const slow = await openRawWebSocket(t, service.url, client.key)
    slow.write(join)
    await until(() => slow.texts.length >= 2, 'it has joined')
    slow.pause()
    const quick = await openSocket(t, service.url, client)
    await quick.join('all', { after: 0 })
    for (let left = EVENTS; left > 0; left -= 100) {
      const events = Array.from({ length: 100 }, () => ({ type: 'long', payload: { text: TEXT } }))
      t.equal((await client.post('/events/batch', { events: events.slice(0, 50) })).status, 201)
      t.equal((await client.post('/events/batch', { events: events.slice(50) })).status, 201)
    }
    await until(() => quick.messages().length === EVENTS, 'the quick one has all of it')
    t.ok(positionsOf(slow.texts).length < EVENTS, 'the slow one has not')
    slow.resume()
    await until(() => positionsOf(slow.texts).length === EVENTS, 'once it reads again it gets the rest')
    t.strictSame(
      positionsOf(slow.texts),
      Array.from({ length: EVENTS }, (_, index) => index + 1),
    )
    const { body } = await client.post('/events', { type: 'long', payload: {} })
    await until(() => positionsOf(slow.texts).at(-1) === body.position, 'and what comes from then on')
  })

  await t.test('is sent away when what cannot wait in the log does not fit', async (t) => {
    const slow = await openRawWebSocket(t, service.url, client.key)
    slow.write({ opcode: OPCODE.text, payload: '{"action":"join","room":"chat"}' })
    await until(() => slow.texts.length >= 2, 'it has joined')
    slow.pause()
    const quick = await openSocket(t, service.url, client)
    await quick.join('chat')
    const end = { isSeen: false }
    void slow.closed.then(() => (end.isSeen = true))
    const message = { rooms: ['chat'], topic: 'said', data: 'x'.repeat(16_000) }
    let sent = 0
    while (sent < 1_000 && !end.isSeen) {
      await client.post('/observation/publish', message)
      sent += 1
      if (sent % 100 === 0) await until(() => quick.messages().length === sent, 'the quick one has all of it')
      if (sent === 600) slow.resume()
    }
    await until(() => end.isSeen, 'the slow one is gone')
    t.match(await quick.ask({ action: 'ping' }), { type: 'pong' })
  })
})

t.test('an observer that is not heard of, or reads nothing, is sent away', async (t) => {
  const settings = { OBSERVER_HEARTBEAT_MS: '500', OBSERVER_STALL_MS: '1000' }
  const service = await startService(t, { worker: false, settings })
  const client = await service.client()
  for (const type of [{ name: 'long', rooms: ['all'] }, { name: 'silent' }])
    t.equal((await client.post('/event-types', type)).status, 201)

  await t.test('a WebSocket that does not answer pings', async (t) => {
    const answering = await openSocket(t, service.url, client)
    t.equal(answering.frames[0]?.heartbeatSeconds, 0.5)
    const mute = await openRawWebSocket(t, service.url, client.key)
    t.equal(await mute.closed, 1001)
    t.match(JSON.parse(mute.texts.at(-1) ?? ''), { type: 'closing', code: 1001 })
    t.match(await answering.ask({ action: 'ping' }), { type: 'pong' }, 'one that does stays')
  })

  await t.test('a stream shows that it is alive, and how far its rooms are read', async (t) => {
    const stream = await openRoomEvents(t, service.url, client.key, '?rooms=all')
    const { body } = await client.post('/events', { type: 'silent', payload: {} })
    const isPast = ({ event, id }: { event?: string | undefined; id?: string | undefined }): boolean =>
      event === 'heartbeat' && id === String(body.position)
    await stream.waitFor(isPast, 'the heartbeat says so')
    t.strictSame(stream.messages(), [])
  })

  await t.test('one that reads nothing of what waits for it', async (t) => {
    const grant = { rooms: ['all'], member: { id: 'stuck' } }
    const { body } = await client.post('/observation/tokens', grant)
    const present = async (): Promise<number> =>
      (await client.get('/observation/presence?room=all')).body.data.length
    const stuck = await openSocket(t, service.url, { token: body.token })
    await stuck.join('all')
    await until(async () => (await present()) === 1, 'it is there')
    stuck.socket.pause()
    const events = Array.from({ length: 50 }, () => ({ type: 'long', payload: { text: TEXT } }))
    await until(async () => {
      await client.post('/events/batch', { events })
      return (await present()) === 0
    }, 'it was sent away')
  })
})
