import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { followLog } from '../../src/commands/listen/live-log.ts'
import { createServiceClient } from '../../src/commands/listen/service-client.ts'
import { newId } from '../../src/platform/identifiers/ids.ts'
import {
  encodeComment,
  encodeId,
  encodeMessage,
  encodeRetry,
  SSE_HEADERS,
} from '../../src/platform/http/sse.ts'
import { createTestDatabase } from '../helpers/environment.ts'
import { startListening } from '../helpers/listening.ts'
import { startProcess } from '../helpers/processes.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { ADMIN_KEY, call, createClient, serviceEnvironment, startService } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

/** A server that streams what a test says, one answer for each connection. */
async function startStreams(
  t: Test,
  answer: (response: ServerResponse, request: IncomingMessage, connection: number) => void,
): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    answer(response, request, asked.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, asked }
}

const appId = newId()

const message = (position: number, payload = '{}'): string =>
  encodeMessage({
    id: String(position),
    event: 'some.thing',
    data: `{"id":"${newId()}","position":${position},"appId":"${appId}","type":"some.thing","payload":${payload},"edges":[],"createdAt":"2026-11-21T17:32:56.123Z"}`,
  })

/** Follows a stream until it is told to stop, taking events as they come. */
function follow(t: Test, url: string, silentMs: number, after?: number) {
  const client = createServiceClient(url, 'some-key', silentMs)
  const abort = new AbortController()
  const said: string[] = []
  const events = followLog({
    client,
    patterns: ['*'],
    after,
    say: (text) => void said.push(text),
    signal: abort.signal,
  })
  t.teardown(() => {
    abort.abort()
    return client.close()
  })
  const take = async (): Promise<number | undefined> => {
    const { value } = await events.next()
    return value?.position
  }
  return { take, said }
}

t.test('a service that restarts: nothing is missed, nothing comes twice', async (t) => {
  const databaseUrl = await createTestDatabase()
  const environment = serviceEnvironment(databaseUrl, undefined, { LOG_LEVEL: 'info' })
  const [restarted, other] = await Promise.all([
    startProcess(t, 'api', environment),
    startService(t, { databaseUrl, worker: false }),
  ])
  const client = await createClient(other.url)
  const receiver = await startReceiver(t)
  const args = ['--url', restarted.url, '--forward', receiver.url, '--types', 'order.*']
  const listening = startListening(t, args, { HELIOGRAPH_API_KEY: client.key })
  await listening.connected()
  const appended: string[] = []
  const append = async (count: number): Promise<void> => {
    for (let number = 0; number < count; number++) {
      await client.post('/events', { type: 'left.out', payload: {} })
      const { body } = await client.post('/events', { type: 'order.placed', payload: { number } })
      appended.push(body.id)
    }
  }

  await append(10)
  await receiver.waitFor(3)
  await restarted.end('SIGKILL')
  await append(10)
  await listening.waitFor(/Not connected: .* Trying again in/, 2)
  const { port } = new URL(restarted.url)
  const again = await startProcess(t, 'api', { ...environment, PORT: port })
  await append(10)
  await receiver.waitFor(30)
  await listening.waitFor(/order\.placed/, 30)
  t.strictSame(
    receiver.received.map(({ headers }) => headers['webhook-id']),
    appended,
  )

  const path = `/apps/${client.appId}/api-keys`
  const { body } = await call(other.url, 'GET', path, { key: ADMIN_KEY })
  await call(other.url, 'DELETE', `${path}/${body.data[0].id}`, { key: ADMIN_KEY })
  await again.end('SIGTERM')
  await startProcess(t, 'api', { ...environment, PORT: port })
  t.equal(await listening.ended, 1, 'a key that is no longer taken ends it')
  t.match(listening.lines.join('\n'), /answered 401/)
})

t.test('a stream that falls silent counts as lost', async (t) => {
  const { url, asked } = await startStreams(t, (response, _request, connection) => {
    response.writeHead(200, SSE_HEADERS)
    response.write(encodeRetry(100) + encodeId('5'))
    if (connection === 1) response.write(message(6) + encodeId('9'))
    if (connection === 2) response.write(message(10))
    if (connection === 3) {
      const heartbeat = setInterval(() => response.write(encodeComment('still here')), 100)
      setTimeout(() => response.write(message(11)), 3_000)
      response.once('close', () => clearInterval(heartbeat))
    }
  })
  const { take, said } = follow(t, url, 1_000)
  t.equal(await take(), 6)
  t.equal(await take(), 10)
  t.equal(await take(), 11, 'heartbeats keep it')
  t.strictSame(
    asked.map((path) => new URL(path, url).searchParams.get('after')),
    [null, '9', '10'],
    'it goes on after the place that the service last named',
  )
  t.equal(said.filter((text) => /Nothing came for 1 s\. Trying again in 0\.1 s/.test(text)).length, 2)
})

t.test('an event is taken again from a connection that broke in the middle of it', async (t) => {
  const { url, asked } = await startStreams(t, (response, _request, connection) => {
    response.writeHead(200, SSE_HEADERS)
    response.write(encodeRetry(100) + encodeId('1'))
    const text = message(2, '{"text":"ü€😀"}')
    if (connection === 1) response.write(text.slice(0, -1), () => response.destroy())
    else for (const byte of Buffer.from(text)) response.write(Buffer.of(byte))
  })
  const { take } = follow(t, url, 10_000)
  t.equal(await take(), 2)
  t.strictSame(
    asked.map((path) => new URL(path, url).searchParams.get('after')),
    [null, '1'],
  )
})

t.test('waits grow until it is connected', async (t) => {
  const { url } = await startStreams(t, (response, _request, connection) => {
    if (connection === 1 || connection === 6) {
      response.writeHead(200, SSE_HEADERS)
      response.end(encodeRetry(100) + encodeId('1'))
    } else if (connection < 6) response.writeHead([503, 429, 500, 502][connection - 2]!).end()
    else response.writeHead(200, SSE_HEADERS).write(message(2))
  })
  const { take, said } = follow(t, url, 10_000)
  t.equal(await take(), 2)
  t.strictSame(
    said.flatMap((text) => /Trying again in (.*)\./.exec(text)?.[1] ?? []),
    ['0.1 s', '0.2 s', '0.4 s', '0.8 s', '1.6 s', '0.1 s'],
  )
})

t.test('a stream that is none of a Heliograph', async (t) => {
  const streams = [
    'id: x\n\n',
    'data: {}\n\n',
    'id: 1\ndata: {}\n\n',
    'id: 1\ndata: no JSON\n\n',
    message(1).replace('some.thing",', 'some"thing",'),
    message(1, '[]'),
    message(1).replace('2026-11-21', '2026-99-21'),
  ]
  for (const text of streams) {
    const { url } = await startStreams(t, (response) => response.writeHead(200, SSE_HEADERS).end(text))
    const { take } = follow(t, url, 10_000)
    await t.rejects(take(), { name: 'ServiceRefused', message: /Check --url/ }, text)
  }
})

t.test('a slow receiver: events wait at the service', async (t) => {
  const COUNT = 64
  const payload = JSON.stringify({ text: 'x'.repeat(1024 * 1024) })
  let written = 0
  const { url } = await startStreams(t, (response) => {
    response.writeHead(200, SSE_HEADERS)
    response.write(encodeId('0'))
    const writeMore = (): void => {
      while (written < COUNT && !response.writableNeedDrain) response.write(message(++written, payload))
    }
    response.on('drain', writeMore)
    writeMore()
  })
  const receiver = await startReceiver(t)
  const waiting: (() => void)[] = []
  let most = 0
  receiver.answer = (response) => {
    waiting.push(() => response.end())
    most = Math.max(most, waiting.length)
  }
  const args = ['--url', url, '--forward', receiver.url, '--timeout', '1000']
  const listening = startListening(t, args, { HELIOGRAPH_API_KEY: 'some-key' })

  await receiver.waitFor(1)
  let before = -1
  let same = 0
  await until(() => {
    same = written === before ? same + 1 : 0
    before = written
    return same === 20
  }, 'the stream stands still')
  t.ok(written < COUNT / 2, `${written} of ${COUNT} are on their way`)

  for (let count = 1; count <= COUNT; count++) {
    await receiver.waitFor(count)
    waiting.shift()?.()
  }
  await listening.waitFor(/some\.thing/, COUNT)
  t.equal(written, COUNT)
  t.equal(most, 1, 'one after the other')
  t.equal(await listening.stop(), 0)
  t.equal(listening.lines.at(-1), `${COUNT} forwarded, 0 failed.`)
})
