import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { BEHAVIOURS, onRequest, says, startHostile } from '../../helpers/hostile-server.ts'
import { outbound, outcome, post } from '../../helpers/outbound.ts'
import { startReceiver } from '../../helpers/receiver.ts'

t.test('a request goes out and its response comes back', async (t) => {
  const receiver = await startReceiver(t)
  receiver.answer = (response) => {
    response.writeHead(201, { 'x-a': 'b', 'set-cookie': ['c=1', 'd=2'] })
    response.end('grüß')
  }
  const response = await post(outbound(t), receiver.url, { body: '{"ü":1}' })
  t.match(response, { status: 201, body: 'grüß', headers: { 'x-a': 'b', 'set-cookie': 'c=1, d=2' } })
  t.match(receiver.received, [{ text: '{"ü":1}', headers: { 'content-type': 'application/json' } }])
})

t.test('connections are used again', async (t) => {
  const server = await startHostile(t, says('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  const http = outbound(t)
  // A connection is free again only a moment after its response was handed over.
  for (let index = 0; index < 50; index++) t.match(await post(http, server.url), { body: 'ok' })
  t.ok(server.sockets.length <= 2)
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 10 }, () => post(http, server.url)))
  }
  t.ok(server.sockets.length <= 20)
})

t.test('a response body is read up to a limit', async (t) => {
  const receiver = await startReceiver(t)
  const http = outbound(t)
  const read = async (body: string | Buffer): Promise<string> => {
    receiver.answer = (response) => response.end(body)
    return (await post(http, receiver.url, { maxResponseBytes: 10 })).body
  }
  t.equal(await read(''), '')
  t.equal(await read('123456789'), '123456789')
  t.equal(await read('1234567890'), '1234567890')
  t.equal(await read('1234567890a'), '1234567890')
  t.equal(await read('x'.repeat(10_000_000)), 'x'.repeat(10))
  t.equal(await read('ééééééé'), 'ééééé', 'the limit is in bytes')
  t.equal(await read('aééééééé'), 'aéééé', 'a character that is cut in two is left out')
  t.equal(await read('12345678😀'), '12345678')
})

t.test('a long body is always cut, never a failure', async (t) => {
  const receiver = await startReceiver(t)
  receiver.answer = (response) => response.end('x'.repeat(1_000_000))
  const http = outbound(t)
  const responses = await Promise.all(
    Array.from({ length: 200 }, () => post(http, receiver.url, { maxResponseBytes: 16_384 })),
  )
  const full = 'x'.repeat(16_384)
  t.ok(responses.every(({ status, body }) => status === 200 && body === full))
})

t.test('headers are kept up to 16 KiB', async (t) => {
  const http = outbound(t)
  const many = (count: number, line: (index: number) => string): string =>
    Array.from({ length: count }, (_, index) => `${line(index)}\r\n`).join('')
  const floods: Record<string, string> = {
    'one that is long': `x-long: ${'a'.repeat(60_000)}\r\n`,
    'many of one name': many(10_000, () => 'a:'),
    'many names': many(5_000, (index) => `x${index}: 1`),
    'what JSON writes longer': many(100, (index) => `x${index}: ${'"'.repeat(150)}`),
    'what UTF-8 writes longer': many(100, (index) => `x${index}: ${'\xff'.repeat(150)}`),
    'names of an object': 'constructor: 1\r\nconstructor: 2\r\n__proto__: 3\r\ntoString: 4\r\n',
  }
  for (const [name, lines] of Object.entries(floods)) {
    const head = Buffer.from(`HTTP/1.1 200 OK\r\nx-first: 1\r\n${lines}content-length: 2\r\n\r\nok`, 'latin1')
    const server = await startHostile(t, says(head))
    const { status, headers, body } = await post(http, server.url)
    t.match({ status, body }, { status: 200, body: 'ok' }, name)
    t.equal(headers['x-first'], '1', name)
    t.ok(Buffer.byteLength(JSON.stringify(headers)) <= 16_384, name)
    t.ok(
      Object.values(headers).every((value) => typeof value === 'string' && !value.includes('\0')),
      name,
    )
  }
})

t.test('nothing that a caller gives ends a header early', async (t) => {
  const server = await startHostile(t, says('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))
  const http = outbound(t)
  const bad = [
    'a\r\nx-injected: 1',
    'a\nx-injected: 1',
    'a\rx-injected: 1',
    'a\0b',
    '\r\n\r\nGET /',
    '\u010D\u010A',
  ]
  const refused = { name: 'OutboundError', code: 'connection-failed', message: /not valid/ }
  for (const text of bad) {
    for (const name of ['x-a', 'host', 'content-type', 'cookie']) {
      t.match(await outcome(post(http, server.url, { headers: { [name]: text } })), refused, name)
    }
    t.match(await outcome(post(http, server.url, { headers: { [text]: 'a' } })), refused, 'as a name')
    t.match(await outcome(post(http, `http://127.0.0.1 ${text}:${server.port}/`)), refused)
  }
  const others: [string, string][] = [
    ['transfer-encoding', 'chunked'],
    ['content-length', '0, 5'],
    ['upgrade', 'websocket'],
    ['x a', 'b'],
    ['', 'b'],
  ]
  for (const [name, value] of others) {
    t.match(await outcome(post(http, server.url, { headers: { [name]: value } })), refused, name)
  }
  t.equal(server.sockets.length, 0)
  for (const text of [...bad, 'ü\u{1F600}', ' HTTP/1.1\r\n\r\n']) {
    await post(http, `${server.url}${text}?${text}#${text}`)
  }
  for (const request of server.sockets
    .map(server.received)
    .join('')
    .split(/(?=POST )/)) {
    t.match(request, /^POST \/[!-~]* HTTP\/1\.1\r\n(?!x-injected)/)
    t.notMatch(request, /\nx-injected|\0/)
  }
})

t.test('a length that is not that of the body is not sent', async (t) => {
  const server = await startHostile(t, BEHAVIOURS['never answers'])
  const sent = post(outbound(t), server.url, { headers: { 'content-length': '1' }, body: 'POST / HTTP/1.1' })
  t.match(await outcome(sent), { code: 'connection-failed', message: /body of the request/ })
  t.equal(server.sockets.map(server.received).join(''), '')
})

t.test('a proxy in the environment is not used', async (t) => {
  const proxy = await startHostile(t, BEHAVIOURS['never answers'])
  const receiver = await startReceiver(t)
  const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY']
  const before = names.map((name) => process.env[name])
  t.teardown(() => {
    names.forEach((name, index) => {
      const value = before[index]
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    })
  })
  for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.url
  t.match(await post(outbound(t), receiver.url), { status: 200 })
  t.equal(proxy.sockets.length, 0)
})

t.test('nobody there, and no such URL, are failures', async (t) => {
  const server = await startHostile(t, BEHAVIOURS['never answers'])
  const gone = createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  gone.close()
  await once(gone, 'close')
  const http = outbound(t)
  t.match(await outcome(post(http, `http://127.0.0.1:${port}/`)), {
    name: 'OutboundError',
    code: 'connection-failed',
    message: `The connection failed: connect ECONNREFUSED 127.0.0.1:${port}.`,
  })
  for (const url of ['', 'nonsense', 'ftp://127.0.0.1/', 'file:///etc/passwd', 'http://127.0.0.1:99999/']) {
    t.match(
      await outcome(post(http, url)),
      { name: 'OutboundError', code: 'connection-failed', message: /^The URL/ },
      url,
    )
  }
  t.equal(server.sockets.length, 0)
})

t.test('what is closed sends nothing more', async (t) => {
  const server = await startHostile(
    t,
    onRequest(() => {}),
  )
  const http = outbound(t)
  const running = outcome(post(http, server.url))
  await http.close()
  const failure = {
    code: 'connection-failed',
    message: 'The service stopped before the response was complete.',
  }
  t.match(await running, failure)
  t.match(await outcome(post(http, server.url)), failure)
})
