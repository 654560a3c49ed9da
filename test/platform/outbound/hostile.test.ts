import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import t from 'tap'
import { OutboundError, type OutboundResponse } from '../../../src/platform/outbound/http.ts'
import { BEHAVIOURS, onRequest, POISON, says, startHostile } from '../../helpers/hostile-server.ts'
import { outbound, outcome, post } from '../../helpers/outbound.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { until } from '../../helpers/until.ts'

/** Where the deadline is what ends the exchange. */
const SHORT_MS = 500
/** Of a flood, what is read and what the buffers of two sockets hold; a second of it would be far more. */
const MAX_FLOOD_BYTES = 16 * 1_048_576
const LIMIT = 1_000
/** More than the buffers of two sockets hold. */
const LONG_BODY = 'x'.repeat(MAX_FLOOD_BYTES)

type Expected = Partial<OutboundResponse> | 'timeout' | RegExp

const NOT_HTTP = /^(The response is not valid|Response does not match the) HTTP\/1\.1/
const TOO_LONG = /^The response is longer than \d+ bytes\.$/
const WRONG_LENGTH = /^The body of the response is not as long as its Content-Length says\.$/
const CLOSED = /^The connection was closed before the response was complete\.$/
const RESET = /^The connection was reset before the response was complete\.$/
const NO_TEXT = `[at least ${LIMIT} bytes that are no text]`
const OK: Expected = { status: 200, body: 'ok' }
const FULL: Expected = { status: 200, body: 'x'.repeat(LIMIT) }

const EXPECTED: Record<keyof typeof BEHAVIOURS, Expected> = {
  'never answers': 'timeout',
  'never reads': 'timeout',
  'drips its status line': 'timeout',
  'drips its headers': 'timeout',
  'drips its body': 'timeout',
  'drips chunks': 'timeout',
  'drips interim responses': 'timeout',
  'drips empty lines': 'timeout',
  'floods its body': FULL,
  'floods its body of a given length': FULL,
  'floods chunks': FULL,
  'floods chunk extensions': TOO_LONG,
  'floods trailers': TOO_LONG,
  'floods one header': TOO_LONG,
  'floods one header name': TOO_LONG,
  'floods headers': TOO_LONG,
  'floods headers without values': TOO_LONG,
  'floods its reason phrase': TOO_LONG,
  'floods empty lines': TOO_LONG,
  'floods interim responses': TOO_LONG,
  'floods 102': TOO_LONG,
  'floods 100': TOO_LONG,
  'sends 103 first': OK,
  'speaks another protocol': NOT_HTTP,
  'speaks HTTP/9.9': NOT_HTTP,
  'answers with status 99': NOT_HTTP,
  'answers with status 099': NOT_HTTP,
  'answers with status 000': NOT_HTTP,
  'answers with status 1000': NOT_HTTP,
  'answers with status -1': NOT_HTTP,
  'answers with status OK': NOT_HTTP,
  'answers with status 999': { status: 999 },
  'sends an empty line first': OK,
  'promises more than it sends': CLOSED,
  'sends more than it promises': OK,
  'promises a negative length': NOT_HTTP,
  'promises no number': WRONG_LENGTH,
  'promises a length that no number holds': WRONG_LENGTH,
  'promises two lengths': WRONG_LENGTH,
  'promises a length and chunks': WRONG_LENGTH,
  'promises chunks twice': OK,
  'sends a chunk size that is none': NOT_HTTP,
  'sends a negative chunk size': NOT_HTTP,
  'sends a chunk size that no number holds': NOT_HTTP,
  'sends a chunk that is too long': NOT_HTTP,
  'ends its lines with LF': NOT_HTTP,
  'folds a header': NOT_HTTP,
  'sends NUL in a header value': NOT_HTTP,
  'sends NUL in a header name': NOT_HTTP,
  'sends a header without colon': NOT_HTTP,
  'switches protocols': NOT_HTTP,
  'switches protocols without saying to which': NOT_HTTP,
  'sends 100 without being asked': OK,
  'drips 100': 'timeout',
  'sends 100 and nothing else': 'timeout',
  'sends 100 and closes': CLOSED,
  'sends 204 with a body': { status: 204, body: '' },
  'sends 304 with a body': { status: 304, body: '' },
  'sends 204 with a body that it does not announce': { status: 204, body: '' },
  'sends junk after its response': OK,
  'answers before it reads': OK,
  'resets when it accepts': RESET,
  'resets instead of answering': RESET,
  'resets within its headers': RESET,
  'resets within its body': RESET,
  'closes when it accepts': CLOSED,
  'closes instead of answering': CLOSED,
  'closes within its status line': CLOSED,
  'closes within its headers': CLOSED,
  'closes within a chunk': CLOSED,
  'ends its body by closing': OK,
  'answers plain HTTP with TLS': NOT_HTTP,
  'unpacks to much (gzip)': { status: 200, body: NO_TEXT, headers: { 'content-encoding': 'gzip' } },
  'unpacks to much (brotli)': { status: 200, body: NO_TEXT, headers: { 'content-encoding': 'br' } },
  'unpacks to much (zstd)': { status: 200, body: NO_TEXT, headers: { 'content-encoding': 'zstd' } },
  'unpacks to much (gzip, twice)': {
    status: 200,
    body: NO_TEXT,
    headers: { 'content-encoding': 'gzip, gzip' },
  },
}

const NAMES = Object.keys(EXPECTED) as (keyof typeof BEHAVIOURS)[]

let silent: Awaited<ReturnType<typeof startHostile>>

t.test('TLS to a server that speaks plain HTTP, or not at all', async (test) => {
  const plain = await startHostile(test, says('HTTP/1.1 400 Bad Request\r\n\r\n'))
  // Until the end of the file: what became no TLS connection is given up after seconds.
  const http = outbound(t)
  silent = await startHostile(t, BEHAVIOURS['never answers'])
  test.match(await outcome(post(http, plain.url.replace('http:', 'https:'))), {
    code: 'connection-failed',
    message: /^No TLS connection could be made \(.+\)\.$/,
  })
  await allClosed(plain.sockets)
  test.match(await outcome(post(http, silent.url.replace('http:', 'https:'), { timeoutMs: SHORT_MS })), {
    code: 'timeout',
  })
  test.equal(silent.sockets.length, 1)
})

for (const name of NAMES) {
  t.test(`an endpoint that ${name}`, async (t) => {
    const expected = EXPECTED[name]
    const server = await startHostile(t, BEHAVIOURS[name])
    const good = await startReceiver(t)
    const http = outbound(t)
    const [result, ...others] = await Promise.all([
      outcome(
        post(http, server.url, {
          body: name === 'never reads' ? LONG_BODY : '{}',
          maxResponseBytes: LIMIT,
          ...(expected === 'timeout' && { timeoutMs: SHORT_MS }),
        }),
      ),
      ...Array.from({ length: 3 }, () => post(http, good.url)),
    ])
    if (expected === 'timeout' || expected instanceof RegExp) {
      t.ok(result instanceof OutboundError)
      t.match(
        result,
        expected === 'timeout'
          ? { code: 'timeout', message: `No complete response within ${SHORT_MS} ms.` }
          : { code: 'connection-failed', message: expected },
      )
    } else {
      t.match(result, expected)
      t.ok(Buffer.byteLength((result as OutboundResponse).body) <= 3 * LIMIT, 'little is unpacked')
    }
    t.match(
      others,
      Array.from({ length: 3 }, () => ({ status: 200 })),
      'others are answered meanwhile',
    )
    t.match(await post(http, good.url), { status: 200 }, 'and afterwards')
    t.equal(server.sockets.length, 1, 'it gets one connection')
    if (result instanceof OutboundError) await allClosed(server.sockets)
    await http.close()
    await allClosed(server.sockets)
    t.ok(server.written() < MAX_FLOOD_BYTES, 'no more is read than is of use')
  })
}

/** A server that does not read does not see either that its connection is closed. */
async function allClosed(sockets: readonly { resume(): unknown; closed: boolean }[]): Promise<void> {
  for (const socket of sockets) socket.resume()
  await until(() => sockets.every((socket) => socket.closed), 'the connection is closed')
}

t.test('a certificate that nobody vouches for is not accepted', async (t) => {
  const server = new SMTPServer({ secure: true }) // its own certificate is signed by itself
  server.on('error', () => {})
  const listener = server.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.teardown(() => server.close())
  const { port } = listener.address() as AddressInfo
  t.match(await outcome(post(outbound(t), `https://127.0.0.1:${port}/`)), {
    code: 'connection-failed',
    message: /^The TLS certificate is not valid: [^;]+\.$/,
  })
})

t.test('redirects are answers, not followed', async (t) => {
  const target = await startReceiver(t)
  const receiver = await startReceiver(t)
  const http = outbound(t)
  const locations = [
    target.url,
    receiver.url,
    '/elsewhere',
    'http://10.0.0.1/',
    'http://169.254.169.254/',
    'file:///etc/passwd',
    'gopher://127.0.0.1:6379/_FLUSHALL',
    'data:text/plain,hello',
    '//evil.example/',
  ]
  for (const status of [300, 301, 302, 303, 307, 308]) {
    for (const location of locations) {
      receiver.answer = (response) => response.writeHead(status, { location, refresh: '0' }).end()
      t.match(await post(http, receiver.url), { status, headers: { location } })
    }
  }
  t.equal(target.received.length, 0)
  t.equal(receiver.received.length, 6 * locations.length, 'one request each')
})

t.test('a response that no request asked for is the answer to none', async (t) => {
  const first = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst'
  const answers: Record<string, string> = {
    'after a response': `${first}${POISON}`,
    'as the body of a 204': `HTTP/1.1 204 No Content\r\n\r\n${POISON}`,
    'as the body of a 304 with a length': `HTTP/1.1 304 Not Modified\r\ncontent-length: 45\r\n\r\n${POISON}`,
    'after chunks': `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n${POISON}`,
    'after empty lines': `${first}\r\n\r\n${POISON}`,
  }
  for (const [name, answer] of Object.entries(answers)) {
    const server = await startHostile(t, says(answer))
    const http = outbound(t)
    for (let round = 1; round <= 5; round++) {
      t.not((await post(http, server.url)).body, 'poison', name)
      t.equal(server.sockets.length, round, 'the connection is not used again')
    }
  }
})

t.test('a response that comes while the connection is idle closes it', async (t) => {
  const server = await startHostile(t, says('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst'))
  const http = outbound(t)
  t.match(await post(http, server.url), { body: 'first' })
  server.sockets[0]?.write(POISON)
  await allClosed(server.sockets)
  t.match(await post(http, server.url), { body: 'first' })
  t.equal(server.sockets.length, 2)
})

t.test('the deadline is over all phases together', async (t) => {
  const phase = SHORT_MS * 0.6
  const later = (run: () => void): NodeJS.Timeout => setTimeout(run, phase)
  const headers = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n'
  const slowHeaders = await startHostile(
    t,
    onRequest((socket) => later(() => socket.write(`${headers}ok`))),
  )
  const slowBody = await startHostile(
    t,
    onRequest((socket) =>
      later(() => {
        socket.write(headers)
        later(() => socket.write('ok'))
      }),
    ),
  )
  const http = outbound(t, undefined, (_host, _options, callback) => {
    later(() => callback(null, [{ address: '127.0.0.1', family: 4 }]))
  })
  const late = { code: 'timeout', message: `No complete response within ${SHORT_MS} ms.` }
  for (const url of [`http://slow.test:${slowHeaders.port}/`, slowBody.url]) {
    await t.rejects(post(http, url, { timeoutMs: SHORT_MS }), late, url)
    t.match(await post(http, url), { body: 'ok' }, 'with more time there is a response')
  }
})

t.test('a name that is never found does not hold up the deadline, nor other names', async (t) => {
  const asked: string[] = []
  const http = outbound(t, undefined, (host, _options, callback) => {
    asked.push(host)
    if (host === 'good.test') callback(null, [{ address: '127.0.0.1', family: 4 }])
  })
  const good = await startReceiver(t)
  const lost = Array.from({ length: 10 }, () =>
    outcome(post(http, 'http://lost.test/', { timeoutMs: SHORT_MS })),
  )
  t.match(await post(http, good.url.replace('127.0.0.1', 'good.test')), { status: 200 })
  t.match(
    await Promise.all(lost),
    Array.from({ length: 10 }, () => ({ code: 'timeout' })),
  )
  t.same(asked.toSorted(), ['good.test', 'lost.test'], 'a name is looked up once at a time')
})

t.test('connections to one origin are bounded, and who waits for one is given up in time', async (t) => {
  const waiting: (() => void)[] = []
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
  let isSilent = true
  const server = await startHostile(
    t,
    onRequest((socket) => {
      if (isSilent) waiting.push(() => socket.write(answer))
      else socket.write(answer)
    }),
  )
  const http = outbound(t)
  const held = Array.from({ length: 512 }, () => post(http, server.url, { body: '"held"' }))
  await until(() => waiting.length === 512, 'all connections are in use')
  const late = Array.from({ length: 50 }, () =>
    outcome(post(http, server.url, { body: '"late"', timeoutMs: SHORT_MS })),
  )
  t.match(
    await Promise.all(late),
    Array.from({ length: 50 }, () => ({ code: 'timeout' })),
  )
  const next = Array.from({ length: 50 }, () => post(http, server.url, { body: '"next"' }))
  isSilent = false
  for (const release of waiting) release()
  t.match(
    await Promise.all([...held, ...next]),
    Array.from({ length: 562 }, () => ({ body: 'ok' })),
  )
  t.equal(server.sockets.length, 512, 'those who gave up cost no connection')
  t.notMatch(server.sockets.map(server.received).join(''), /late/, 'and were not sent')
})

t.test('a server that takes no connection is asked once for each request', async (t) => {
  const server = await startHostile(t, BEHAVIOURS['resets when it accepts'])
  const http = outbound(t)
  const results = await Promise.all(Array.from({ length: 100 }, () => outcome(post(http, server.url))))
  t.match(
    results,
    Array.from({ length: 100 }, () => ({ name: 'OutboundError', code: 'connection-failed' })),
  )
  t.equal(server.sockets.length, 100)
})

t.test('a connection on which TLS got no answer is closed too', async () => {
  await allClosed(silent.sockets)
})
