import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { newSigningSecret } from '../../src/platform/secrets/signing.ts'
import { startListening } from '../helpers/listening.ts'
import { startReceiver, type Received } from '../helpers/receiver.ts'
import { ADMIN_KEY, call, startService, type Client } from '../helpers/service.ts'

/** Headers that do not depend on when a request is made and by whose secret it is signed. */
function lastingHeaders({ headers }: Received): Record<string, unknown> {
  const { host: _host, 'webhook-timestamp': _at, 'webhook-signature': _signature, ...lasting } = headers
  return lasting
}

async function append(client: Client, type: string, payload = '{}'): Promise<void> {
  const { status, text } = await client.post('/events', `{"type":"${type}","payload":${payload}}`)
  if (status !== 201) throw new Error(text)
}

const typesOf = (received: readonly Received[]): string[] =>
  received.map(({ text }) => JSON.parse(text).event_type)

t.test('what is posted is what a subscription posts', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const [real, own] = await Promise.all([startReceiver(t), startReceiver(t)])
  await client.subscribe(real.url)
  const secret = newSigningSecret()
  const args = ['--url', `${service.url}/`, '--forward', own.url, '--secret', secret]
  const listening = startListening(t, args, { HELIOGRAPH_API_KEY: client.key })
  await listening.connected()

  const { body: file } = await client.post('/files', { filename: 'ü.pdf', mimeType: 'application/pdf' })
  const edges = `[{"type":"about", "targetType":"order", "targetId":"A \\"1\\" ü"},
    {"type":"attachment","targetType":"file","targetId":"${file.id}"}]`
  const payloads = [
    '{"order_id" : "A-1",  "big": 12345678901234567890, "2": 1, "1": "ü\\n"}',
    '{"with":\r\n\t"every kind",\n"of": \r"line break"}',
    '{"payload":{"edges":[]},"edges":"none","a":1.0,"a":1e2}',
    '{}',
  ]
  for (const payload of payloads) {
    const body = `{"edges":${edges},"type":"order.shipped","payload":${payload}}`
    t.equal((await client.post('/events', body)).status, 201)
  }
  await Promise.all([real.waitFor(payloads.length), own.waitFor(payloads.length)])

  for (const [index, payload] of payloads.entries()) {
    const got = own.received[index]!
    const id = got.headers['webhook-id']
    const wanted = real.received.find(({ headers }) => headers['webhook-id'] === id)!
    t.equal(got.text, wanted.text)
    t.ok(
      got.text.includes(`"payload":${payload},"edges":{"about":{`),
      'the payload is passed on to the letter',
    )
    t.ok(got.text.includes(`"name":"ü.pdf"`), 'what its edges point to is told')
    t.same(lastingHeaders(got), lastingHeaders(wanted))
    t.ok(lastingHeaders(got)['user-agent'])
    new Webhook(secret).verify(got.text, got.headers as Record<string, string>)
  }

  const lines = await listening.waitFor(/order\.shipped/, payloads.length)
  t.match(lines[0], /^\d\d:\d\d:\d\d {2}1 {2}order\.shipped {2}[0-9a-f-]{36} {2}200 {2}\d+ ms$/)
  t.ok(lines[0]!.includes(String(own.received[0]!.headers['webhook-id'])))
  t.equal(await listening.stop(), 0)
  t.equal(listening.lines.at(-1), '4 forwarded, 0 failed.')
  const printed = listening.lines.join('\n')
  for (const said of [service.url, own.url, secret]) t.ok(printed.includes(said), `it says ${said}`)
  t.notOk(printed.includes(client.key), 'but never the API key')
})

t.test('which events are posted', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const environment = { HELIOGRAPH_API_KEY: client.key, HELIOGRAPH_URL: service.url }
  for (const type of ['order.placed', 'person.born', 'order.shipped']) await append(client, type)

  const listen = async (...more: string[]) => {
    const receiver = await startReceiver(t)
    const listening = startListening(t, ['--forward', receiver.url, ...more], environment)
    await listening.connected()
    return { receiver, listening }
  }
  const fromNow = await listen()
  const fromStart = await listen('--after', '0')
  const orders = await listen('--after', '1', '--types', 'order.*, item.sold')
  for (const type of ['order.item.added', 'item.sold', 'person.died', 'order.paid'])
    await append(client, type)

  const later = ['order.item.added', 'item.sold', 'person.died', 'order.paid']
  t.strictSame(typesOf(await fromNow.receiver.waitFor(4)), later, 'only new ones unless told')
  t.strictSame(
    typesOf(await fromStart.receiver.waitFor(7)),
    ['order.placed', 'person.born', 'order.shipped', ...later],
    'those from the beginning',
  )
  t.strictSame(
    typesOf(await orders.receiver.waitFor(3)),
    ['order.shipped', 'item.sold', 'order.paid'],
    'those after a position whose type matches',
  )

  const secrets = [fromNow, orders].map(({ listening }) => /whsec_\S+/.exec(listening.lines.join(' '))?.[0])
  t.not(secrets[0], secrets[1], 'each run has a secret of its own, which it prints')
  const [received] = fromNow.receiver.received
  new Webhook(secrets[0]!).verify(received!.text, received!.headers as Record<string, string>)
})

t.test('a receiver that fails', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const receiver = await startReceiver(t)
  receiver.answer = (response, { text }) => {
    const type: string = JSON.parse(text).event_type
    if (type === 'be.silent') return
    if (type === 'be.gone') {
      response.destroy()
      return
    }
    response.statusCode = Number(/\d+/.exec(type)?.[0] ?? 204)
    response.setHeader('location', '/elsewhere').end('x'.repeat(100_000))
  }
  const types = ['answer.500', 'answer.302', 'be.silent', 'be.gone', 'be.well']
  for (const type of types) await append(client, type)
  const args = ['--url', service.url, '--forward', receiver.url, '--after', '0', '--timeout', '0.3']
  const listening = startListening(t, args, { HELIOGRAPH_API_KEY: client.key })

  await listening.waitFor(/be\.well/)
  const lines = listening.lines.filter((line) => line.endsWith(' ms'))
  t.match(lines[0], / answer\.500 .* 500 {2}\d+ ms/)
  t.match(lines[1], / answer\.302 .* 302 {2}\d+ ms/)
  t.match(lines[2], / be\.silent .* No complete response within 300 ms\. {2}\d+ ms/)
  t.match(lines[3], / be\.gone .* \d+ ms/)
  t.match(lines[4], / be\.well .* 204 {2}\d+ ms/)
  t.strictSame(typesOf(receiver.received), types, 'each is posted once')
  await listening.stop()
  t.equal(listening.lines.at(-1), '1 forwarded, 4 failed.')
})

t.test('a receiver that is not there', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  await append(client, 'order.placed')
  const gone = await startService(t, { worker: false })
  await gone.close()
  const forward = gone.url.replace('127.0.0.1', 'localhost')
  const args = ['--url', service.url, '--forward', forward, '--after', '0']
  const listening = startListening(t, args, { HELIOGRAPH_API_KEY: client.key })
  const [line] = await listening.waitFor(/order\.placed/)
  t.match(line, /ECONNREFUSED/)
})

t.test('Ctrl-C does not wait for a receiver', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  await append(client, 'order.placed')
  const receiver = await startReceiver(t)
  receiver.answer = () => {}
  const args = ['--url', service.url, '--forward', receiver.url, '--after', '0', '--timeout', '86400']
  const listening = startListening(t, args, { HELIOGRAPH_API_KEY: client.key })
  await receiver.waitFor(1)
  t.equal(await listening.stop(), 0)
  t.equal(listening.lines.at(-1), '0 forwarded, 0 failed.')
})

t.test('a service that refuses', async (t) => {
  const service = await startService(t, { worker: false })
  const { appId } = await service.client()
  const listen = async (key: string, url = service.url) => {
    const listening = startListening(t, ['--url', url, '--forward', 'http://127.0.0.1:1/'], {
      HELIOGRAPH_API_KEY: key,
    })
    t.equal(await listening.ended, 1)
    const text = listening.lines.join('\n')
    t.notOk(text.includes(key))
    return text
  }
  t.match(await listen('not-a-key'), /answered 401: .*\nSet HELIOGRAPH_API_KEY to a key of the app/)
  t.match(await listen('not-a-key', `${service.url}/elsewhere`), /answered 404.*\nCheck --url/)

  const { body } = await call(service.url, 'POST', `/apps/${appId}/api-keys`, {
    key: ADMIN_KEY,
    body: { name: 'writer', scopes: ['events:write'] },
  })
  t.match(await listen(body.apiKey), /answered 403: .*\nSet HELIOGRAPH_API_KEY to a key with the scope/)

  const receiver = await startReceiver(t)
  t.match(await listen('not-a-key', receiver.url), /no Heliograph\.\nCheck --url/)
})
