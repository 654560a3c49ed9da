import { once } from 'node:events'
import { connect as connectTo } from 'node:net'
import { Readable } from 'node:stream'
import {
  brotliCompressSync,
  constants,
  createZstdCompress,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import t from 'tap'
import { request } from 'undici'
import { BATCH, STRUCTURED } from '../../helpers/cloud-events.ts'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { connect, deliver } from '../../helpers/platforms/messenger.ts'
import { expectEmptyLog, expectProblem } from '../../helpers/problems.ts'
import { call, startService, type Answer, type Client } from '../../helpers/service.ts'

const ENCODERS: Record<string, (body: string | Buffer) => Buffer> = {
  gzip: gzipSync,
  'X-GZIP': gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
}
const TAKEN = 'gzip, deflate, br, zstd'
const EVENT = { type: 'a.b', payload: { n: 1 } }
const CLOUD_EVENT = { specversion: '1.0', id: '1', source: '/s', type: 'a.b', data: { n: 1 } }

/** What may be sent to which route, and what is answered. */
const BODIES: [path: string, body: object, headers: Record<string, string>, status: number][] = [
  ['/events', EVENT, {}, 201],
  ['/events/batch', { events: [EVENT, EVENT] }, {}, 201],
  ['/events', CLOUD_EVENT, { 'content-type': STRUCTURED }, 201],
  ['/events', [{ ...CLOUD_EVENT, id: '2' }], { 'content-type': BATCH }, 201],
  ['/events', { n: 1 }, { 'ce-specversion': '1.0', 'ce-id': '3', 'ce-source': '/s', 'ce-type': 'a.b' }, 201],
  ['/graphql', { query: '{ events(first: 1) { edges { node { id } } } }' }, {}, 200],
  ['/event-types', { name: 'c.d' }, {}, 201],
  ['/users', {}, {}, 201],
]

const limit = 4096

t.test('bodies that are encoded', async (t) => {
  const service = await startService(t, { worker: false, settings: { MAX_BATCH_BYTES: String(limit) } })
  const post = (client: Client, path: string, body: Buffer | string, encoding: string, headers = {}) =>
    client.post(path, body, { 'content-encoding': encoding, ...headers })

  for (const [encoding, encode] of Object.entries(ENCODERS)) {
    t.test(encoding, async (t) => {
      const client = await service.client()
      for (const [path, body, headers, status] of BODIES) {
        const answer = await post(client, path, encode(JSON.stringify(body)), encoding, headers)
        t.equal(answer.status, status, `${path} ${answer.text}`)
      }
      const { body: page } = await client.get('/events?limit=1')
      t.strictSame(page.data[0].payload, { n: 1 })

      t.test('in chunks of unknown length', async (t) => {
        const whole = encode(JSON.stringify(EVENT))
        const { statusCode } = await request(`${service.url}/events`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${client.key}`,
            'content-type': 'application/json',
            'content-encoding': encoding,
          },
          body: Readable.from(Array.from(whole, (byte) => Buffer.from([byte]))),
        })
        t.equal(statusCode, 201)
      })

      t.test('the limit is on what comes out', async (t) => {
        const batch = (length: number): string => {
          const text = JSON.stringify({ events: [{ type: 'a.b', payload: { x: '' } }] })
          return text.replace('""', `"${'x'.repeat(length - text.length)}"`)
        }
        t.equal((await post(client, '/events/batch', encode(batch(limit)), encoding)).status, 201)
        for (const length of [limit + 1, 50_000_000]) {
          const answer = await post(client, '/events/batch', encode(batch(length)), encoding)
          expectProblem(t, answer, { status: 413, type: 'payload-too-large' }, `${length} bytes`)
        }
      })

      t.test('what is not encoded in this way', async (t) => {
        const other = await service.client()
        const whole = encode(JSON.stringify(EVENT))
        const bodies = [
          JSON.stringify(EVENT),
          whole.subarray(0, -3),
          Buffer.concat([Buffer.from([1]), whole]),
        ]
        for (const body of bodies) {
          const answer = await post(other, '/events', body, encoding)
          expectProblem(t, answer, { status: 400, type: 'validation-failed' }, `${body.length} bytes`)
        }
        await expectEmptyLog(t, other, encoding)
      })
    })
  }

  t.test('from a client that goes away in the middle', async (t) => {
    const client = await service.client()
    const whole = gzipSync(JSON.stringify(EVENT))
    const head =
      `POST /events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${client.key}\r\n` +
      `content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: ${whole.length}\r\n\r\n`
    const socket = connectTo(Number(new URL(service.url).port), '127.0.0.1')
    socket.write(head)
    socket.write(whole.subarray(0, 20), () => socket.resetAndDestroy())
    await once(socket, 'close')
    await expectEmptyLog(t, client, 'half a body')
    t.pass('the service goes on')
  })

  t.test('identity is no encoding', async (t) => {
    const client = await service.client()
    for (const encoding of ['identity', 'Identity', ''])
      t.equal((await post(client, '/events', JSON.stringify(EVENT), encoding)).status, 201, encoding)
  })

  t.test('in another way: what may be sent is told', async (t) => {
    const client = await service.client()
    for (const encoding of ['compress', 'lz4', 'gzip, gzip', 'constructor', '__proto__', 'a"b'])
      for (const path of ['/events', '/graphql', '/subscriptions']) {
        const answer = await post(client, path, gzipSync('{}'), encoding)
        expectProblem(t, answer, { status: 415, type: 'unsupported-media-type' }, `${path} ${encoding}`)
        t.equal(answer.headers['accept-encoding'], TAKEN, encoding)
      }
    await expectEmptyLog(t, client, 'other encodings')
  })

  t.test('with a window that would take much memory', async (t) => {
    const client = await service.client()
    for (const [windowLog, status] of [
      [23, 201],
      [24, 400],
    ] as const) {
      // Not told the length, the encoder cannot make the window smaller.
      const encoder = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: windowLog } })
      const parts: Buffer[] = []
      encoder.on('data', (part: Buffer) => parts.push(part))
      encoder.write(JSON.stringify(EVENT))
      encoder.flush(() => encoder.end())
      await once(encoder, 'end')
      const answer = await post(client, '/events', Buffer.concat(parts), 'zstd')
      t.equal(answer.status, status, `2 ** ${windowLog} bytes: ${answer.text}`)
    }
  })

  t.test('are decoded before a signature is looked at', async (t) => {
    for (const [, start] of PLATFORMS) {
      const messenger = await start(t)
      const client = await service.client()
      const connection = await connect(client, messenger)
      const webhook = messenger.inbound({ id: 'm-1', from: messenger.somebody, text: 'hello' })
      const address = service.url + new URL(connection.webhookUrl, service.url).pathname
      const signed = messenger.sign(webhook, address)
      const answer = await call(service.url, 'POST', new URL(address).pathname, {
        headers: { ...signed, 'content-type': webhook.contentType, 'content-encoding': 'gzip' },
        body: gzipSync(webhook.body),
      })
      t.equal(answer.status, 200, `${messenger.platform} ${answer.text}`)
      const { body } = await client.get('/events?type=message.inbound')
      t.equal(body.data[0]?.payload.message.text, 'hello', messenger.platform)
    }
  })
})

t.test('text in another charset than UTF-8', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const body = JSON.stringify(EVENT)
  const send = (path: string, type: string): Promise<Answer> =>
    client.post(path, body, { 'content-type': type })
  for (const charset of ['iso-8859-1', 'latin1', 'UTF-16', 'windows-1252', '"utf-16le"'])
    for (const path of ['/events', '/events/batch', '/graphql', '/link-codes']) {
      const answer = await send(path, `application/json; charset=${charset}`)
      expectProblem(t, answer, { status: 415, type: 'unsupported-media-type' }, `${path} ${charset}`)
    }
  expectProblem(
    t,
    await send('/events', `${STRUCTURED};charset=latin1`),
    { status: 415, type: 'unsupported-media-type' },
    'CloudEvent',
  )
  for (const charset of ['utf-8', 'UTF-8', '"utf-8"', 'utf8', 'us-ascii'])
    t.equal((await send('/events', `application/json;charset=${charset}`)).status, 201, charset)
  const utf16 = Buffer.from(`\ufeff${body}`, 'utf16le')
  expectProblem(t, await client.post('/events', utf16), { status: 400, type: 'invalid-json' }, 'UTF-16')
})

t.test('a byte order mark is passed over', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const [path, body, headers, status] of BODIES) {
    const answer = await client.post(path, `\ufeff${JSON.stringify(body)}`, headers)
    t.equal(answer.status, status, `${path} ${answer.text}`)
  }
  const text = '{"type":"a.b", "payload" :{ "n":1.10 }}'
  const { body: event } = await client.post('/events', `\ufeff${text}`)
  t.match(
    (await client.get(`/events/${event.id}`)).text,
    '"payload":{ "n":1.10 }',
    'payloads are kept to the letter',
  )
  const [marked, plain] = await Promise.all(
    ['\ufeff', ''].map((mark) => client.post('/events', `${mark}{"type":"a.b",\n "payload" 1}`)),
  )
  expectProblem(t, marked as Answer, { status: 400, type: 'invalid-json' }, 'no JSON behind it')
  t.equal(marked?.body.detail, plain?.body.detail, 'it says the same place as without')
  t.match(plain?.body.detail, /position 26 \(line 2 column 12\)/)
  for (const body of ['\ufeff\ufeff{}', '{}\ufeff'])
    expectProblem(t, await client.post('/events', body), { status: 400, type: 'invalid-json' }, 'elsewhere')

  for (const [, start] of PLATFORMS.filter(([name]) => name !== 'twilio')) {
    const messenger = await start(t)
    const connection = await connect(client, messenger)
    const webhook = messenger.inbound({ id: 'm-1', from: messenger.somebody, text: 'hello' })
    const answer = await deliver(service, connection, messenger, {
      ...webhook,
      body: `\ufeff${String(webhook.body)}`,
    })
    t.equal(answer.status, 200, `signed with it: ${messenger.platform} ${answer.text}`)
  }
})
