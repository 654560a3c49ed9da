import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { httpWebhook, startHttpPlatform } from '../../helpers/platforms/http.ts'
import {
  connect,
  deliver,
  type Connection,
  type Messenger,
  type SentFile,
} from '../../helpers/platforms/messenger.ts'
import { jsonReply, startPlatformServer, type Reply } from '../../helpers/platforms/server.ts'
import { slackEvent, startSlack } from '../../helpers/platforms/slack.ts'
import { startWhatsApp } from '../../helpers/platforms/whatsapp.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, call, startService, type Client, type Service } from '../../helpers/service.ts'

const INVOICE: SentFile = {
  id: 'F0RDC39U1',
  name: 'Rechnung März.pdf',
  type: 'application/pdf',
  content: Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251)),
}
const refused = { status: 502, type: 'platform-refused' }
const gone = { status: 410, type: 'content-gone' }
const unavailable = { status: 409, type: 'content-unavailable' }
const tooLarge = { status: 502, type: 'content-too-large' }
const timedOut = { status: 504, type: 'platform-timeout' }

/** Has somebody send a file. @returns the path of its content */
async function sendFile(
  service: Service,
  client: Client,
  connection: Connection,
  messenger: Messenger,
): Promise<string> {
  const id = messenger.platform === 'slack' ? '1355517523.000005' : 'MSG1'
  const webhook = messenger.inbound({ id, from: 'U2147483697', text: '', file: INVOICE })
  const answer = await deliver(service, connection, messenger, webhook)
  if (answer.status !== 200) throw new Error(answer.text)
  const [file] = (await client.get('/files')).body.data
  return `/files/${file.id}/content`
}

/** Files of a platform of one's own, each with the content that a test has in mind. */
async function startFiles(t: Test, settings: Record<string, string> = {}) {
  const messenger = await startHttpPlatform(t)
  const service = await startService(t, { worker: false, settings })
  const client = await service.client()
  const connection = await connect(client, messenger)
  /** @returns the path of its content */
  async function attach(attachment: { url: string; [more: string]: unknown }): Promise<string> {
    const id = crypto.randomUUID()
    const webhook = httpWebhook({ messages: [{ id, from: 'ada', text: '', attachments: [attachment] }] })
    const answer = await deliver(service, connection, messenger, webhook)
    if (answer.status !== 200) throw new Error(answer.text)
    const [event] = (await client.get('/events?order=desc&limit=1')).body.data
    return `/files/${event.payload.attachments[0].file_id}/content`
  }
  const bytesOf = async (path: string) => {
    const {
      statusCode: status,
      headers,
      body,
    } = await request(service.url + path, {
      headers: { authorization: `Bearer ${client.key}` },
    })
    return { status, headers, bytes: Buffer.from(await body.arrayBuffer()) }
  }
  return { messenger, service, client, connection, attach, bytesOf }
}

/** A server on the loopback that does as a test says. @returns its address */
async function startServer(t: Test, listener: RequestListener, host = '127.0.0.1'): Promise<string> {
  const server = createServer(listener).listen(0, host)
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://${host}:${(server.address() as { port: number }).port}`
}

for (const [platform, start] of PLATFORMS) {
  t.test(`the content is fetched when it is asked for, and every time (${platform})`, async (t) => {
    const messenger = await start(t)
    const service = await startService(t, { worker: false })
    const client = await service.client()
    const connection = await connect(client, messenger)
    const path = await sendFile(service, client, connection, messenger)
    const key = { authorization: `Bearer ${client.key}` }
    const known = await request(service.url + path, { method: 'HEAD', headers: key })
    await known.body.dump()
    t.strictSame(messenger.server.requests, [], 'not when only the head is asked for')
    for (let time = 1; time <= 2; time++) {
      const { statusCode, headers, body } = await request(service.url + path, { headers: key })
      t.equal(statusCode, 200)
      t.ok(INVOICE.content.equals(Buffer.from(await body.arrayBuffer())))
      t.match(headers, {
        'content-type': 'application/pdf',
        'content-length': String(INVOICE.content.length),
        'content-security-policy': 'sandbox',
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
      })
      const [ascii, utf8] = ['filename="Rechnung M?rz.pdf"', "filename*=UTF-8''Rechnung%20M%C3%A4rz.pdf"]
      t.equal(
        headers['content-disposition'],
        platform === 'twilio' ? 'attachment; filename=document.pdf' : `attachment; ${ascii}; ${utf8}`,
      )
      for (const name of ['content-type', 'content-disposition', 'content-security-policy', 'cache-control'])
        t.equal(known.headers[name], headers[name], name)
      t.equal(messenger.server.requests.length, time * (platform === 'whatsapp' ? 2 : 1))
    }
    t.strictSame([...new Set(messenger.server.requests.map(({ method }) => method))], ['GET'])
  })

  t.test(`credentials go to the platform’s own origin, wherever it redirects to (${platform})`, async (t) => {
    const elsewhere = await startPlatformServer(t, () => ({ status: 200, body: 'elsewhere' }))
    const messenger = await start(t)
    const service = await startService(t, { worker: false })
    const client = await service.client()
    const connection = await connect(client, messenger)
    const path = await sendFile(service, client, connection, messenger)
    const url = `${elsewhere.url}/x?y=z`
    const away: Reply = { status: 302, headers: { location: url }, body: '' }
    const back: Reply = { status: 302, headers: { location: '/relative' }, body: '' }
    messenger.server.script.push(...(platform === 'whatsapp' ? [jsonReply(200, { url })] : [back, away]))
    const { status, text } = await client.get(path)
    t.strictSame(
      [platform === 'whatsapp' || platform === 'http' ? 200 : status, elsewhere.requests.length],
      [200, 1],
    )
    if (status === 200 && platform !== 'http') t.equal(text, 'elsewhere')
    const [asked] = elsewhere.requests
    t.equal(asked?.path, '/x?y=z')
    const names = Object.keys(asked?.headers ?? {})
    t.strictSame(names.toSorted(), ['accept-encoding', 'connection', 'host'], 'nothing of ours')
    for (const { headers } of messenger.server.requests) {
      t.ok('authorization' in headers || 'webhook-signature' in headers, 'the platform is told who asks')
    }
  })

  t.test(`what a platform refuses is told (${platform})`, async (t) => {
    const messenger = await start(t)
    const service = await startService(t, { worker: false, settings: { ATTACHMENT_TIMEOUT_MS: '300' } })
    const client = await service.client()
    const connection = await connect(client, messenger)
    const path = await sendFile(service, client, connection, messenger)
    const { server } = messenger
    for (const status of [401, 403, 429, 500]) {
      server.script.push({ status, body: 'no' })
      const answer = await client.get(path)
      expectProblem(t, answer, refused)
      t.match(answer.body.detail, `answered ${status}`)
    }
    server.script.push({ status: 404, body: '' })
    expectProblem(t, await client.get(path), gone)
    server.script.push('reset')
    expectProblem(t, await client.get(path), refused)
    server.script.push('hang')
    expectProblem(t, await client.get(path), timedOut)
    t.equal((await client.get(path)).status, 200, 'the next time it may be well again')

    expectProblem(
      t,
      await (await service.client()).get(path),
      { status: 404, type: 'not-found' },
      'another app',
    )
    await client.delete(`/platform-connections/${connection.id}`)
    const asked = server.requests.length
    expectProblem(t, await client.get(path), unavailable, 'its connection was deleted')
    t.equal(server.requests.length, asked)
  })
}

t.test('what did not come with a message is to be got elsewhere', async (t) => {
  const { client, messenger } = await startFiles(t)
  const { body: plain } = await client.post('/files', { filename: 'x' })
  const answer = await client.get(`/files/${plain.id}/content`)
  expectProblem(t, answer, unavailable)
  t.match(answer.body.detail, /no content/)
  const { body: linked } = await client.post('/files', { filename: 'x', url: `${messenger.server.url}/x` })
  const other = await client.get(`/files/${linked.id}/content`)
  expectProblem(t, other, unavailable)
  t.match(other.body.detail, /at its url/)
  expectProblem(t, await client.get(`/files/${client.appId}/content`), { status: 404, type: 'not-found' })
  t.strictSame(messenger.server.requests, [])
})

t.test('an address that may not be reached is not, at whatever hop it stands', async (t) => {
  const forbidden: string[] = []
  const inside = await startServer(t, (_, response) => response.end(forbidden.push('asked')), '127.0.0.2')
  const { attach, client, messenger } = await startFiles(t, { OUTBOUND_ALLOW_CIDRS: '127.0.0.1/32' })
  const direct = await client.get(await attach({ url: `${inside}/` }))
  expectProblem(t, direct, refused)
  t.match(direct.body.detail, /127\.0\.0\.2 is not a public address/)
  const path = await attach({ url: `${messenger.server.url}/moved` })
  for (const location of [`${inside}/`, 'http://169.254.169.254/', 'http://[::ffff:127.0.0.2]/']) {
    messenger.server.script.push({ status: 302, headers: { location }, body: '' })
    const redirected = await client.get(path)
    expectProblem(t, redirected, refused, location)
    t.match(redirected.body.detail, /is not a public address/)
  }
  for (const location of ['file:///etc/passwd', 'http://', 'ftp://127.0.0.1/']) {
    messenger.server.script.push({ status: 302, headers: { location }, body: '' })
    expectProblem(t, await client.get(path), refused, location)
  }
  const circle: Reply = { status: 302, headers: { location: '/moved' }, body: '' }
  messenger.server.script.push(...Array.from({ length: 50 }, () => circle))
  const asked = messenger.server.requests.length
  expectProblem(t, await client.get(path), refused, 'a circle')
  t.equal(messenger.server.requests.length, asked + 6)
  t.strictSame(forbidden, [])
})

t.test('what is too large is not given', async (t) => {
  const { attach, client, bytesOf } = await startFiles(t, { MAX_ATTACHMENT_BYTES: '1024' })
  const url = await startServer(t, ({ url: path }, response) => {
    const [, kind, size] = (path ?? '').split('/')
    const content = Buffer.alloc(Number(size), 'x')
    if (kind === 'told') response.setHeader('content-length', content.length)
    if (kind === 'gzip') response.setHeader('content-encoding', 'gzip')
    response.write(kind === 'gzip' ? gzipSync(content) : content)
    response.end()
  })
  for (const kind of ['told', 'chunked', 'gzip']) {
    const { status, bytes } = await bytesOf(await attach({ url: `${url}/${kind}/1024` }))
    t.strictSame([status, bytes.toString()], [200, 'x'.repeat(1024)], `${kind}, just as large as it may be`)
  }
  expectProblem(t, await client.get(await attach({ url: `${url}/told/1025` })), tooLarge, 'by its length')
  const known = await client.get(await attach({ url: 'http://127.0.0.1:9/', size_bytes: 1025 }))
  expectProblem(t, known, tooLarge, 'as the platform told with the message')
  t.match(known.body.detail, /more than 1024 bytes.*MAX_ATTACHMENT_BYTES/)
  for (const kind of ['chunked/1025', 'chunked/1000000', 'gzip/1025', 'gzip/50000000'])
    expectProblem(t, await client.get(await attach({ url: `${url}/${kind}` })), tooLarge, kind)
})

t.test('what turns out wrong at once is told', async (t) => {
  const { attach, client } = await startFiles(t, { ATTACHMENT_TIMEOUT_MS: '300' })
  const url = await startServer(t, ({ url: path }, response) => {
    if (path === '/known') response.setHeader('content-length', 5)
    if (path === '/short') response.setHeader('content-length', 50)
    if (path === '/encoded') response.setHeader('content-encoding', 'gzip')
    if (path === '/unknown') response.setHeader('content-encoding', 'x-own')
    response.write('hello', () => {
      if (path === '/short') response.destroy()
      else if (path !== '/stops') response.end()
    })
  })
  for (const name of ['known', 'chunked']) {
    const wrong = await client.get(await attach({ url: `${url}/${name}`, sha256: '0'.repeat(64) }))
    expectProblem(t, wrong, refused, `${name}: another SHA-256`)
    t.match(wrong.body.detail, /SHA-256/)
    const right = createHash('sha256').update('hello').digest('hex')
    for (const sha256 of [right, undefined]) {
      t.equal((await client.get(await attach({ url: `${url}/${name}`, sha256 }))).text, 'hello')
    }
  }
  for (const name of ['short', 'encoded', 'unknown'])
    expectProblem(t, await client.get(await attach({ url: `${url}/${name}` })), refused, name)
  expectProblem(t, await client.get(await attach({ url: `${url}/stops` })), timedOut)
})

t.test('what turns out wrong later breaks off, and does not end as if it were whole', async (t) => {
  const piece = Buffer.alloc(65_536, 'x')
  const { attach, service, client } = await startFiles(t, {
    ATTACHMENT_TIMEOUT_MS: '300',
    MAX_ATTACHMENT_BYTES: String(4 * piece.length),
  })
  const key = { authorization: `Bearer ${client.key}` }
  let next = Promise.withResolvers<ServerResponse>()
  const url = await startServer(t, ({ url: path }, response) => {
    if (path === '/known') response.setHeader('content-length', 3 * piece.length)
    response.write(piece)
    response.write(piece)
    next.resolve(response)
  })
  /** @param later what the platform does once the beginning has arrived */
  async function broken(path: string, later: (response: ServerResponse) => void, more: object = {}) {
    next = Promise.withResolvers<ServerResponse>()
    const { statusCode, body } = await request(service.url + (await attach({ url: url + path, ...more })), {
      headers: key,
    })
    t.equal(statusCode, 200)
    later(await next.promise)
    await t.rejects(body.arrayBuffer(), path)
  }
  const end = (response: ServerResponse): void => void response.end(piece)
  await broken('/known', end, { sha256: '0'.repeat(64) })
  await broken('/chunked', end, { sha256: '0'.repeat(64) })
  await broken('/known', (response) => response.destroy())
  await broken('/chunked', (response) => response.destroy())
  await broken('/stops', () => {})
  await broken('/too-large', (response) => response.end(Buffer.alloc(5 * piece.length)))

  next = Promise.withResolvers<ServerResponse>()
  const { body } = await request(service.url + (await attach({ url: `${url}/left` })), { headers: key })
  const response = await next.promise
  const isClosed = once(response, 'close')
  body.on('error', () => {})
  body.destroy()
  await isClosed
  t.pass('who goes away takes the connection to the platform along')
})

t.test('whatever names and types say, the answer is a download', async (t) => {
  const { attach, bytesOf, messenger } = await startFiles(t)
  const url = `${messenger.server.url}/files/x`
  const reply: Reply = { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: 'x' }
  const cases: [object, string | RegExp, string][] = [
    [{ name: '../../etc/passwd' }, /^attachment; filename="?passwd"?$/, 'text/plain; charset=utf-8'],
    [{ name: 'a"b\r\nset-cookie: x=y' }, /^attachment; filename[^\r\n]*$/, 'text/plain; charset=utf-8'],
    [{ mime_type: 'text/html' }, 'attachment; filename=text.html', 'text/html'],
    [{ mime_type: 'image/png\r\nx: y' }, 'attachment; filename=image.png', 'application/octet-stream'],
    [{ mime_type: 'nonsense' }, 'attachment; filename=attachment', 'application/octet-stream'],
  ]
  for (const [attachment, disposition, type] of cases) {
    messenger.server.script.push(reply)
    const { status, headers } = await bytesOf(await attach({ url, ...attachment }))
    t.equal(status, 200)
    t.match(headers['content-disposition'], disposition)
    t.equal(headers['content-type'], type)
    t.strictSame([headers['set-cookie'], headers['x']], [undefined, undefined])
    t.match(headers, { 'content-security-policy': 'sandbox', 'x-content-type-options': 'nosniff' })
  }
  messenger.server.script.push({ status: 200, body: '' })
  const { status, bytes } = await bytesOf(await attach({ url }))
  t.strictSame([status, bytes.length], [200, 0], 'empty')
})

t.test(
  'Slack is asked for the address of what another workspace shares, and its pages are no contents',
  async (t) => {
    const messenger = await startSlack(t)
    const service = await startService(t, { worker: false })
    const client = await service.client()
    const connection = await connect(client, messenger)
    messenger.inbound({ id: '1', from: 'U2', file: INVOICE })
    const share = async (id: string, ts: string): Promise<string> => {
      const files = [{ id, mode: 'file_access', file_access: 'check_file_info' }]
      const event = {
        type: 'message',
        subtype: 'file_share',
        channel: 'D024BE91L',
        user: 'U2',
        ts,
        text: '',
        files,
      }
      t.equal((await deliver(service, connection, messenger, slackEvent(event))).status, 200)
      const [{ payload }] = (await client.get('/events?order=desc&limit=1')).body.data
      return `/files/${payload.attachments[0].file_id}/content`
    }
    const path = await share(INVOICE.id, '1355517523.000001')
    t.equal((await client.get(path)).headers['content-length'], String(INVOICE.content.length))
    expectProblem(t, await client.get(await share('F404', '1355517523.000002')), gone)

    const credentials = { ...messenger.credentials, botToken: 'xoxb-without-scope' }
    await client.patch(`/platform-connections/${connection.id}`, { credentials })
    const answer = await client.get(path)
    expectProblem(t, answer, refused)
    t.match(answer.body.detail, /Slack answered 200: invalid_auth/)
    const direct = await sendFile(service, client, connection, messenger)
    t.equal(direct, path, 'the same file')
  },
)

t.test('Slack answers a token without the scope with a page', async (t) => {
  const messenger = await startSlack(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const credentials = { ...messenger.credentials, botToken: 'xoxb-without-scope' }
  const connection = await connect(client, { ...messenger, credentials })
  const answer = await client.get(await sendFile(service, client, connection, messenger))
  expectProblem(t, answer, refused)
  t.match(answer.body.detail, /files:read/)
})

t.test('WhatsApp tells of a medium that is not there any more', async (t) => {
  const messenger = await startWhatsApp(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const path = await sendFile(service, client, connection, messenger)
  messenger.server.script.push(jsonReply(400, { error: { code: 100, message: 'Unsupported get request.' } }))
  const answer = await client.get(path)
  expectProblem(t, answer, gone)
  t.match(answer.body.detail, 'Unsupported get request.')
})

t.test('a key that may not read files gets no content', async (t) => {
  const { attach, service, client, messenger } = await startFiles(t)
  const path = await attach({ url: `${messenger.server.url}/files/x` })
  const { body: other } = await call(service.url, 'POST', `/apps/${client.appId}/api-keys`, {
    key: ADMIN_KEY,
    body: { name: 'reads events', scopes: ['events:read'] },
  })
  const answer = await call(service.url, 'GET', path, { key: other.apiKey })
  expectProblem(t, answer, { status: 403, type: 'forbidden' })
  t.strictSame(messenger.server.requests, [])
})
