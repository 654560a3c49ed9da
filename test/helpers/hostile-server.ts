import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Test } from 'tap'

const DRIP_MS = 20
const FLOOD_BYTES = 65_536
/** How much a bomb is when unpacked; packed it fits into the beginning of a body that is read. */
const BOMB_BYTES = 10_000_000

export interface HostileServer {
  url: string
  port: number
  /** Every connection there ever was. */
  sockets: Socket[]
  /** What each connection sent so far. */
  received: (socket: Socket) => string
  /** How many bytes went out on all connections. */
  written: () => number
}

/** What is done with each connection, from its beginning. */
export type Behaviour = (socket: Socket) => void

/** A TCP server on the loopback that can do what an HTTP server cannot; gone when the test ends. */
export async function startHostile(
  t: Test,
  behave: Behaviour,
  { host = '127.0.0.1', port = 0 } = {},
): Promise<HostileServer> {
  const texts = new Map<Socket, string>()
  const server = createServer((socket) => {
    texts.set(socket, '')
    socket.on('error', () => {})
    behave(socket)
    if (socket.isPaused() || socket.destroyed) return
    socket.on('data', (bytes) => texts.set(socket, `${texts.get(socket)}${bytes.toString('latin1')}`))
  })
  server.listen(port, host)
  await once(server, 'listening')
  const started: HostileServer = {
    url: '',
    port: (server.address() as AddressInfo).port,
    get sockets() {
      return [...texts.keys()]
    },
    received: (socket) => texts.get(socket) ?? '',
    written: () =>
      started.sockets.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0),
  }
  started.url = `http://${host}:${started.port}/`
  t.teardown(() => {
    for (const socket of started.sockets) socket.destroy()
    server.close()
  })
  return started
}

/** Does something whenever a connection brings a request, which is small enough to come in one piece. */
export const onRequest =
  (answer: (socket: Socket, number: number) => void): Behaviour =>
  (socket) => {
    let number = 0
    socket.on('data', () => answer(socket, ++number))
  }

/** Answers with these very bytes and leaves the connection open. */
export const says = (...pieces: (string | Buffer)[]): Behaviour =>
  onRequest((socket) => {
    for (const piece of pieces) socket.write(piece)
  })

/** Answers with these very bytes and closes. */
const saysAndCloses = (bytes: string): Behaviour => onRequest((socket) => socket.end(bytes))

/** Sends a text, then another over and over, one byte at a time. */
const drips = (beginning: string, endless: string): Behaviour =>
  onRequest((socket) => {
    socket.write(beginning)
    let at = 0
    const timer = setInterval(() => socket.write(endless.charAt(at++ % endless.length)), DRIP_MS)
    socket.once('close', () => clearInterval(timer))
  })

/** Sends a text, then another over and over, as fast as it is taken. */
const floods = (beginning: string, endless: string): Behaviour =>
  onRequest((socket) => {
    socket.write(beginning)
    const bytes = Buffer.from(endless.repeat(Math.ceil(FLOOD_BYTES / endless.length)))
    const flood = (): void => {
      while (!socket.destroyed && socket.write(bytes));
    }
    socket.on('drain', flood)
    flood()
  })

const bomb = (encoding: string, pack: (bytes: Buffer) => Buffer): Behaviour => {
  const packed = pack(Buffer.alloc(BOMB_BYTES))
  return says(
    `HTTP/1.1 200 OK\r\ncontent-encoding: ${encoding}\r\ncontent-length: ${packed.length}\r\n\r\n`,
    packed,
  )
}

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`
/** A whole response that no request asked for. */
export const POISON = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison'

/** What hostile, broken and overloaded endpoints do, by what it is. */
export const BEHAVIOURS = {
  'never answers': (socket) => socket.resume(),
  'never reads': (socket) => socket.pause(),
  'drips its status line': drips('HTTP/1.1 200 ', 'a'),
  'drips its headers': drips(OK, 'x-drip: 1\r\n'),
  'drips its body': drips(`${OK}content-length: 100000\r\n\r\n`, 'x'),
  'drips chunks': drips(CHUNKED, '1\r\nx\r\n'),
  'drips interim responses': drips('', 'HTTP/1.1 103 Early Hints\r\n\r\n'),
  'drips 100': drips('', 'HTTP/1.1 100 Continue\r\n\r\n'),
  'drips empty lines': drips('', '\r\n'),

  'floods its body': floods(`${OK}\r\n`, 'x'),
  'floods its body of a given length': floods(`${OK}content-length: 99999999999\r\n\r\n`, 'x'),
  'floods chunks': floods(CHUNKED, '1\r\nx\r\n'),
  'floods chunk extensions': floods(`${CHUNKED}1;a=`, 'b'),
  'floods trailers': floods(`${CHUNKED}0\r\n`, 'x-trailer: 1\r\n'),
  'floods one header': floods(`${OK}x-long: `, 'a'),
  'floods one header name': floods(OK, 'a'),
  'floods headers': floods(OK, 'x-many: 1\r\n'),
  'floods headers without values': floods(OK, 'a:\r\n'),
  'floods its reason phrase': floods('HTTP/1.1 200 ', 'a'),
  'floods empty lines': floods('', '\r\n'),
  'floods interim responses': floods('', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'),
  'floods 102': floods('', 'HTTP/1.1 102 Processing\r\n\r\n'),
  'floods 100': floods('', 'HTTP/1.1 100 Continue\r\n\r\n'),

  'sends 103 first': says(
    'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n',
    `${OK}content-length: 2\r\n\r\nok`,
  ),
  'speaks another protocol': saysAndCloses('220 mail.example ESMTP\r\n'),
  'speaks HTTP/9.9': says('HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n'),
  'answers with status 99': says('HTTP/1.1 99 Low\r\ncontent-length: 0\r\n\r\n'),
  'answers with status 099': says('HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n'),
  'answers with status 000': says('HTTP/1.1 000 None\r\ncontent-length: 0\r\n\r\n'),
  'answers with status 1000': says('HTTP/1.1 1000 High\r\ncontent-length: 0\r\n\r\n'),
  'answers with status -1': says('HTTP/1.1 -1 Negative\r\ncontent-length: 0\r\n\r\n'),
  'answers with status OK': says('HTTP/1.1 OK\r\ncontent-length: 0\r\n\r\n'),
  'answers with status 999': says('HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n'),
  'sends an empty line first': says(`\r\n\r\n${OK}content-length: 2\r\n\r\nok`),
  'promises more than it sends': saysAndCloses(`${OK}content-length: 9\r\n\r\nabc`),
  'sends more than it promises': says(`${OK}content-length: 2\r\n\r\nokmore`),
  'promises a negative length': says(`${OK}content-length: -1\r\n\r\nabc`),
  'promises no number': says(`${OK}content-length: 3x\r\n\r\nabc`),
  'promises a length that no number holds': says(`${OK}content-length: ${'9'.repeat(40)}\r\n\r\nabc`),
  'promises two lengths': says(`${OK}content-length: 2\r\ncontent-length: 3\r\n\r\nabc`),
  'promises a length and chunks': says(
    `${OK}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  ),
  'promises chunks twice': says(`${OK}transfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  'sends a chunk size that is none': says(`${CHUNKED}zz\r\nok\r\n0\r\n\r\n`),
  'sends a negative chunk size': says(`${CHUNKED}-2\r\nok\r\n0\r\n\r\n`),
  'sends a chunk size that no number holds': says(`${CHUNKED}${'f'.repeat(40)}\r\nok\r\n`),
  'sends a chunk that is too long': says(`${CHUNKED}2\r\nokmore\r\n0\r\n\r\n`),
  'ends its lines with LF': says('HTTP/1.1 200 OK\ncontent-length: 2\n\nok'),
  'folds a header': says(`${OK}x-folded: a\r\n b\r\ncontent-length: 2\r\n\r\nok`),
  'sends NUL in a header value': says(`${OK}x-a: b\0c\r\ncontent-length: 2\r\n\r\nok`),
  'sends NUL in a header name': says(`${OK}x\0a: b\r\ncontent-length: 2\r\n\r\nok`),
  'sends a header without colon': says(`${OK}nonsense\r\ncontent-length: 2\r\n\r\nok`),
  'switches protocols': says(
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nwhatever',
  ),
  'switches protocols without saying to which': says('HTTP/1.1 101 Switching Protocols\r\n\r\nwhatever'),
  'sends 100 without being asked': says('HTTP/1.1 100 Continue\r\n\r\n', `${OK}content-length: 2\r\n\r\nok`),
  'sends 100 and nothing else': says('HTTP/1.1 100 Continue\r\n\r\n'),
  'sends 100 and closes': saysAndCloses('HTTP/1.1 100 Continue\r\n\r\n'),
  'sends 204 with a body': says('HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nabc'),
  'sends 304 with a body': says(
    'HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  ),
  'sends 204 with a body that it does not announce': says('HTTP/1.1 204 No Content\r\n\r\nabc'),
  'sends junk after its response': says(`${OK}content-length: 2\r\n\r\nok`, 'junk\0junk'),
  'answers before it reads': (socket) => socket.write(`${OK}content-length: 2\r\n\r\nok`),
  'resets when it accepts': (socket) => socket.resetAndDestroy(),
  'resets instead of answering': onRequest((socket) => socket.resetAndDestroy()),
  'resets within its headers': onRequest((socket) =>
    socket.write(`${OK}x-a: b`, () => socket.resetAndDestroy()),
  ),
  'resets within its body': onRequest((socket) =>
    socket.write(`${OK}content-length: 9\r\n\r\nabc`, () => socket.resetAndDestroy()),
  ),
  'closes when it accepts': (socket) => socket.end(),
  'closes instead of answering': saysAndCloses(''),
  'closes within its status line': saysAndCloses('HTTP/1.1 20'),
  'closes within its headers': saysAndCloses(`${OK}x-a: b`),
  'closes within a chunk': saysAndCloses(`${CHUNKED}9\r\nabc`),
  'ends its body by closing': saysAndCloses(`${OK}\r\nok`),
  'answers plain HTTP with TLS': says(Buffer.from('150303000202280d0a', 'hex')),
  'unpacks to much (gzip)': bomb('gzip', gzipSync),
  'unpacks to much (brotli)': bomb('br', brotliCompressSync),
  'unpacks to much (zstd)': bomb('zstd', zstdCompressSync),
  'unpacks to much (gzip, twice)': bomb('gzip, gzip', (bytes) => gzipSync(gzipSync(bytes))),
} satisfies Record<string, Behaviour>
