import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import {
  createOutboundHttp,
  OutboundError,
  parseCidrs,
  type OutboundHttp,
  type OutboundResponse,
} from '../../src/platform/outbound-http.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { until } from '../helpers/until.ts'

const LOOPBACK = ['127.0.0.0/8', '::1/128']
/** Short where the deadline is what ends the exchange. */
const SHORT_MS = 300
const DRIP_MS = 20

function outbound(t: Test, allowed: readonly string[]): OutboundHttp {
  const http = createOutboundHttp(allowed)
  t.teardown(() => http.close())
  return http
}

const post = (
  http: OutboundHttp,
  url: string,
  { body = '{}', timeoutMs = 30_000, maxResponseBytes = 1_000 } = {},
): Promise<OutboundResponse> =>
  http.send(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    timeoutMs,
    maxResponseBytes,
  })

interface RawServer {
  url: string
  port: number
  /** Every connection there ever was. */
  sockets: Socket[]
}

/**
 * A server that can do what an HTTP server cannot.
 *
 * @param answer called once a connection has sent something
 */
async function startRaw(t: Test, answer: (socket: Socket) => void): Promise<RawServer> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/`, port, sockets }
}

/** Sends some bytes over and over until the connection ends. */
function drip(socket: Socket, bytes: string): void {
  const timer = setInterval(() => socket.write(bytes), DRIP_MS)
  socket.once('close', () => clearInterval(timer))
}

t.test('a request goes out and its response comes back', async (t) => {
  const receiver = await startReceiver(t)
  receiver.answer = (response) => {
    response.writeHead(201, { 'x-a': 'b', 'set-cookie': ['c=1', 'd=2'] })
    response.end('grüß')
  }
  const response = await post(outbound(t, LOOPBACK), receiver.url, { body: '{"ü":1}' })
  t.match(response, { status: 201, body: 'grüß', headers: { 'x-a': 'b', 'set-cookie': 'c=1, d=2' } })
  t.match(receiver.received, [{ text: '{"ü":1}', headers: { 'content-type': 'application/json' } }])
})

t.test('addresses that are not public are refused', async (t) => {
  const hosts = [
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '239.255.255.250',
    '240.0.0.1',
    '255.255.255.255',
    '169.254.169.254', // cloud metadata
    '[fd00:ec2::254]', // cloud metadata
    '[::]',
    '[::1]',
    '[fc00::1]',
    '[fd12:3456::1]',
    '[fe80::1]',
    '[fec0::1]',
    '[ff02::1]',
    '[::ffff:127.0.0.1]', // IPv4-mapped
    '[::ffff:10.0.0.1]',
    '[0:0:0:0:0:ffff:a9fe:a9fe]',
    '[64:ff9b::127.0.0.1]', // NAT64
    '[64:ff9b::a00:1]',
    '[64:ff9b:1::7f00:1]',
    '[2002:7f00:1::]', // 6to4
    '[2001:0:7f00:1::]', // Teredo
    '2130706433', // 127.0.0.1 by other names
    '0x7f.1',
    '0177.0.0.1',
    '127.1',
    '0',
    'localhost',
    'LOCALHOST',
  ]
  const http = outbound(t, [])
  for (const host of hosts) {
    const error = await post(http, `http://${host}:9/`).catch((thrown: unknown) => thrown)
    t.ok(error instanceof OutboundError, host)
    t.match(error, { code: 'address-refused', message: /is not a public address/ }, host)
  }
})

t.test('nothing is connected to when the address is refused', async (t) => {
  const server = await startRaw(t, (socket) => socket.end())
  const http = outbound(t, [])
  for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]']) {
    await t.rejects(post(http, `http://${host}:${server.port}/`), { code: 'address-refused' }, host)
  }
  t.equal(server.sockets.length, 0)
})

t.test('what is allowed is reached, by address and by name, and nothing else is', async (t) => {
  const receiver = await startReceiver(t)
  const { port } = new URL(receiver.url)
  const http = outbound(t, ['127.0.0.1/32'])
  t.match(await post(http, `http://127.0.0.1:${port}/`), { status: 200 })
  t.match(await post(http, `http://localhost:${port}/`), { status: 200 }, 'whichever other addresses it has')
  await t.rejects(post(http, `http://127.0.0.2:${port}/`), { code: 'address-refused' })
  await t.rejects(post(http, `http://[::1]:${port}/`), { code: 'address-refused' })
  await t.rejects(post(http, `http://10.0.0.1:${port}/`), { code: 'address-refused' })
})

t.test('redirects are answers, not followed', async (t) => {
  const target = await startReceiver(t)
  const receiver = await startReceiver(t)
  const http = outbound(t, LOOPBACK)
  for (const status of [301, 302, 303, 307, 308]) {
    receiver.answer = (response) => response.writeHead(status, { location: target.url }).end()
    t.match(await post(http, receiver.url), { status, headers: { location: target.url } })
  }
  t.equal(target.received.length, 0)
})

t.test('one deadline is over the whole exchange', async (t) => {
  const servers: [string, (socket: Socket) => void][] = [
    ['a server that never answers', () => {}],
    [
      'a server that drips its headers',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        drip(socket, 'x-drip: 1\r\n')
      },
    ],
    [
      'a server that drips its body',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n')
        drip(socket, 'x')
      },
    ],
    ['a server that drips interim responses', (socket) => drip(socket, 'HTTP/1.1 102 Processing\r\n\r\n')],
  ]
  const http = outbound(t, LOOPBACK)
  for (const [name, answer] of servers) {
    const server = await startRaw(t, answer)
    const error = await post(http, server.url, { timeoutMs: SHORT_MS, maxResponseBytes: 100_000 }).catch(
      (thrown: unknown) => thrown,
    )
    t.ok(error instanceof OutboundError, name)
    t.match(error, { code: 'timeout', message: `${SHORT_MS} ms` }, name)
    await until(() => server.sockets.every((socket) => socket.closed), `the connection to ${name} is closed`)
  }
})

t.test('a response body is read up to a limit', async (t) => {
  const receiver = await startReceiver(t)
  const http = outbound(t, LOOPBACK)
  const read = async (body: string): Promise<string> => {
    receiver.answer = (response) => response.end(body)
    return (await post(http, receiver.url, { maxResponseBytes: 10 })).body
  }
  t.equal(await read(''), '')
  t.equal(await read('123456789'), '123456789')
  t.equal(await read('1234567890'), '1234567890')
  t.equal(await read('1234567890a'), '1234567890')
  t.equal(await read('x'.repeat(10_000_000)), 'x'.repeat(10))
  t.equal(await read('ééééééé'), 'ééééé', 'the limit is in bytes')
})

t.test('a body without end is cut off with its connection', async (t) => {
  const server = await startRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    drip(socket, '5\r\nabcde\r\n')
  })
  const response = await post(outbound(t, LOOPBACK), server.url, { maxResponseBytes: 12 })
  t.match(response, { status: 200, body: 'abcdeabcdeab' })
  await until(() => server.sockets.every((socket) => socket.closed), 'the connection is closed')
})

t.test('a connection that breaks is a failure', async (t) => {
  const servers: [string, (socket: Socket) => void][] = [
    ['reset before the answer', (socket) => socket.resetAndDestroy()],
    ['closed before the answer', (socket) => socket.end()],
    ['closed within the body', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc')],
    ['no HTTP', (socket) => socket.end('220 mail.example ESMTP\r\n')],
    ['headers without end', (socket) => socket.end(`HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(100_000)}\r\n\r\n`)],
  ]
  const http = outbound(t, LOOPBACK)
  for (const [name, answer] of servers) {
    const server = await startRaw(t, answer)
    const error = await post(http, server.url).catch((thrown: unknown) => thrown)
    t.ok(error instanceof OutboundError, name)
    t.match(error, { code: 'connection-failed', message: /./ }, name)
  }
})

t.test('nobody there, and no such URL, are failures', async (t) => {
  const server = await startRaw(t, () => {})
  const gone = createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  gone.close()
  await once(gone, 'close')
  const http = outbound(t, LOOPBACK)
  await t.rejects(post(http, `http://127.0.0.1:${port}/`), {
    name: 'OutboundError',
    code: 'connection-failed',
  })
  for (const url of ['nonsense', 'ftp://127.0.0.1/', 'file:///etc/passwd', 'http://127.0.0.1:99999/']) {
    await t.rejects(post(http, url), { name: 'OutboundError', code: 'connection-failed' }, url)
  }
  t.equal(server.sockets.length, 0)
})

t.test('lists of address ranges', async (t) => {
  t.same(parseCidrs(''), [])
  t.same(parseCidrs(' , '), [])
  t.same(parseCidrs('10.0.0.0/8'), ['10.0.0.0/8'])
  t.same(parseCidrs(' 10.0.0.0/8 ,fd00::/8,0.0.0.0/0,::1/128,'), [
    '10.0.0.0/8',
    'fd00::/8',
    '0.0.0.0/0',
    '::1/128',
  ])
  const wrong = [
    '10.0.0.1',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8.5',
    '10.0.0.0/a',
    '10.0.0/8',
    '10.0.0.256/8',
    '::1/129',
    'fd00::',
    '/8',
    'localhost/8',
    '10.0.0.0/8 fd00::/8',
    '10.0.0.0/8/16',
  ]
  for (const range of wrong) {
    t.throws(
      () => parseCidrs(`127.0.0.0/8,${range}`),
      { message: `"${range}" is not an address range` },
      range,
    )
  }
})
