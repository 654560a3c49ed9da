import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import { OPCODE, openRawWebSocket, rawFrame, type RawFrame } from '../../helpers/raw-websocket.ts'
import { openSocket } from '../../helpers/rooms.ts'
import { startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const text = (payload: string, more: Partial<RawFrame> = {}): RawFrame => ({
  opcode: OPCODE.text,
  payload,
  ...more,
})
const PING = '{"action":"ping"}'
const isPong = (answer: string): boolean => answer.includes('"pong"')

/** What may not come, and the code it is closed with (RFC 6455, sections 5 and 7.4; RFC 3629). */
const WRONG: [string, (RawFrame | Buffer)[], number][] = [
  ['a frame without a mask', [text(PING, { isMasked: false })], 1002],
  ['a reserved bit', [text(PING, { reserved: 4 })], 1002],
  ['a reserved opcode', [{ opcode: 3, payload: 'x' }], 1002],
  ['a reserved control opcode', [{ opcode: 11, payload: 'x' }], 1002],
  ['a continuation of nothing', [{ opcode: OPCODE.continuation, payload: 'x' }], 1002],
  ['a text within a fragmented text', [text('{', { isLast: false }), text('}')], 1002],
  ['a fragmented ping', [{ opcode: OPCODE.ping, isLast: false }], 1002],
  ['a ping that is too long', [{ opcode: OPCODE.ping, payload: 'x'.repeat(126) }], 1002],
  [
    'a close with a code that does not exist',
    [{ opcode: OPCODE.close, payload: Buffer.from([3, 236]) }],
    1002,
  ],
  ['a close with half a code', [{ opcode: OPCODE.close, payload: Buffer.from([3]) }], 1002],
  ['a text that is not UTF-8', [{ opcode: OPCODE.text, payload: Buffer.from([0xc3, 0x28]) }], 1007],
  ['a surrogate in UTF-8', [{ opcode: OPCODE.text, payload: Buffer.from([0xed, 0xa0, 0x80]) }], 1007],
  ['a binary frame', [{ opcode: OPCODE.binary, payload: PING }], 1003],
  ['an empty binary frame', [{ opcode: OPCODE.binary }], 1003],
  ['a frame that is too large', [text(`"${'x'.repeat(65_536)}"`)], 1009],
  ['a frame that says it is huge', [text('x', { length: 2 ** 40 })], 1009],
  [
    'fragments that together are too large',
    [
      text('x'.repeat(40_000), { isLast: false }),
      { opcode: OPCODE.continuation, payload: 'x'.repeat(40_000) },
    ],
    1009,
  ],
]

t.test('what is no WebSocket is closed with the right code and harms nobody else', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const bystander = await openSocket(t, service.url, client)
  await bystander.join('orders')

  for (const [what, frames, code] of WRONG) {
    const raw = await openRawWebSocket(t, service.url, client.key)
    raw.write(...frames)
    t.equal(await raw.closed, code, what)
    t.match(await bystander.ask({ action: 'ping' }), { type: 'pong' })
  }

  const raw = await openRawWebSocket(t, service.url, client.key)
  raw.write(
    text('{"action":', { isLast: false }),
    { opcode: OPCODE.ping, payload: 'in between' },
    { opcode: OPCODE.continuation, payload: '"pi', isLast: false },
    { opcode: OPCODE.continuation, payload: 'ng"}' },
  )
  await until(() => raw.texts.some(isPong), 'a fragmented frame is put together')

  for (const byte of rawFrame(text(PING))) raw.write(Buffer.from([byte]))
  await until(() => raw.texts.filter(isPong).length === 2, 'byte by byte it is the same')

  const many = Array.from({ length: 1_000 }, () => text(PING))
  raw.write(Buffer.concat(many.map(rawFrame)))
  await until(() => raw.texts.filter(isPong).length === 1_002, 'a thousand at once are all answered')

  const pings = Array.from({ length: 3_000 }, (_, index) => ({ opcode: OPCODE.ping, payload: `${index}` }))
  raw.write(Buffer.concat(pings.map(rawFrame)), text(PING))
  await until(() => raw.texts.filter(isPong).length === 1_003, 'many pings at once end nothing')
  t.strictSame(
    raw.pongs,
    ['in between', ...pings.map(({ payload }) => payload)],
    'each is answered with what it brought, in order',
  )

  raw.write({ opcode: OPCODE.close, payload: Buffer.from([3, 232]) })
  t.equal(await raw.closed, 1000, 'a close is answered with its code')
})

t.test('who reads none of its pongs is not read, and goes on when it reads again', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const raw = await openRawWebSocket(t, service.url, client.key)
  raw.pause()
  const ping = rawFrame({ opcode: OPCODE.ping, payload: 'x'.repeat(125) })
  const burst = Buffer.concat(Array.from({ length: 500 }, () => ping))
  const BURSTS = 200
  for (let index = 0; index < BURSTS; index++) raw.write(burst)
  raw.resume()
  await until(() => raw.pongs.length === 500 * BURSTS, 'all of them were answered')
  raw.write(text(PING))
  await until(() => raw.texts.some(isPong), 'it is served as ever')
})

t.test('a subprotocol is answered when it is ours, and left out when it is not', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const answered = async (protocols: string[]): Promise<string> => {
    const { url } = service
    const socket = new WebSocket(`${url.replace('http', 'ws')}/observation/ws`, protocols, {
      headers: { authorization: `Bearer ${client.key}` },
    })
    t.teardown(() => socket.terminate())
    return once(socket, 'open').then(
      () => socket.protocol,
      (error: Error) => error.message,
    )
  }
  t.equal(await answered([]), '')
  t.equal(await answered(['heliograph']), 'heliograph')
  t.equal(await answered(['graphql-ws', 'heliograph']), 'heliograph')
  t.equal(await answered(['graphql-ws']), 'Server sent no subprotocol', 'which the client finds out')
})

t.test('a request that is no upgrade, or whose upgrade is refused, gets an HTTP answer', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const plain = await client.get('/observation/ws')
  t.match(plain, { status: 426, body: { type: 'urn:heliograph:problem:upgrade-required' } })
  for (const [credential, status] of [
    [{ key: 'hg_0123456789abcdef_nonsense' }, 401],
    [{ token: 'nonsense' }, 401],
    [{ token: client.key }, 401],
  ] as const)
    await t.rejects(openSocket(t, service.url, credential), {
      message: `Unexpected server response: ${status}`,
    })
  const foreign = openSocket(t, service.url, client, { origin: 'https://evil.example' })
  await t.rejects(foreign, { message: 'Unexpected server response: 403' })
  t.match(await openSocket(t, service.url, client, { origin: service.url }), {}, 'its own origin may')
  const elsewhere = await fetch(`${service.url}/health/live`, { headers: { connection: 'close' } })
  t.equal(elsewhere.status, 200)
})
