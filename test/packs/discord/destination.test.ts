import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import type { AttemptResult, OwedEvent } from '../../../src/features/destinations/destination.ts'
import { discord } from '../../../src/packs/discord/destination.ts'
import { attempt, destinationServices, owedEvent, targetOf } from '../../helpers/destinations.ts'

const TOKEN = 'discord-secret-token'
const ID = '223704706495545344'

interface Message {
  content?: string
  allowed_mentions?: unknown
  [more: string]: unknown
}

/** A server that answers as Discord's documentation says, and keeps what was posted. */
async function startDiscord(t: Test) {
  const posted: { url: string; text: string; message: Message }[] = []
  const fake = {
    posted,
    answer: undefined as ((response: ServerResponse) => void) | undefined,
    url: '',
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://discord')
      const text = Buffer.concat(chunks).toString('utf8')
      const message = JSON.parse(text) as Message
      posted.push({ url: request.url ?? '', text, message })
      if (fake.answer) return fake.answer(response)
      if (url.pathname !== `/api/webhooks/${ID}/${TOKEN}`) {
        return json(response, 404, { message: 'Unknown Webhook', code: 10015 })
      }
      if ((message.content ?? '').length > 2_000) {
        return json(response, 400, { message: 'Invalid Form Body', code: 50035 })
      }
      if (url.searchParams.get('wait') !== 'true') return response.writeHead(204).end()
      json(response, 200, { id: '1', webhook_id: ID, content: message.content })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  fake.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  return fake
}

const json = (
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void =>
  void response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify(body))

async function connectDiscord(t: Test, path = `/api/webhooks/${ID}/${TOKEN}`) {
  const fake = await startDiscord(t)
  const destination = discord.connect(destinationServices(t), {})
  const target = { type: 'discord', url: fake.url + path }
  return {
    fake,
    send: (given: Partial<OwedEvent> = {}, transformation: string | null = null): Promise<AttemptResult> =>
      destination.send(owedEvent(given), targetOf(target, transformation), attempt()),
    last: (): Message => fake.posted.at(-1)?.message ?? {},
  }
}

t.test('an event becomes a message that people can read and that calls nobody', async (t) => {
  const { fake, send, last } = await connectDiscord(t)
  t.match(await send(), { succeeded: true, responseStatus: 200, error: null })
  t.same(last(), {
    allowed_mentions: { parse: [] },
    content: '**order.placed**\n```\n{\n  "id": 42,\n  "total": 12.50\n}\n```',
  })
  t.equal(fake.posted[0]?.url, `/api/webhooks/${ID}/${TOKEN}?wait=true`, 'it waits until the message is kept')
})

t.test('a thread in the address is kept', async (t) => {
  const { fake, send } = await connectDiscord(t, `/api/webhooks/${ID}/${TOKEN}?thread_id=77&wait=false`)
  t.match(await send(), { succeeded: true })
  t.equal(fake.posted[0]?.url, `/api/webhooks/${ID}/${TOKEN}?thread_id=77&wait=true`)
})

t.test('a long payload is cut to what Discord takes', async (t) => {
  const { send, last } = await connectDiscord(t)
  for (const filling of ['x', '😀', '`', '\\"']) {
    for (const shift of [0, 1]) {
      const payload = JSON.stringify({ a: 'x'.repeat(shift) + filling.repeat(3_000) })
      t.match(await send({ payload }), { succeeded: true })
      const { content = '' } = last()
      t.ok(content.length <= 2_000 && content.length > 1_980, `${content.length} characters`)
      t.ok(content.isWellFormed())
      t.equal(content.match(/```/g)?.length, 2, 'the only fences are its own')
    }
  }
})

t.test('a transformation makes the content or the whole body', async (t) => {
  const { fake, send, last } = await connectDiscord(t)
  await send({}, `'@everyone ' & payload.id`)
  t.same(last(), { allowed_mentions: { parse: [] }, content: '@everyone 42' })
  await send({}, `$pad('', 5000, 'y')`)
  t.equal(last().content?.length, 2_000)
  await send({}, `{'embeds': [{'title': event_type}]}`)
  t.same(last(), { allowed_mentions: { parse: [] }, embeds: [{ title: 'order.placed' }] })
  await send({}, `{'content': 'x', 'allowed_mentions': {'parse': ['everyone']}}`)
  t.same(last(), { allowed_mentions: { parse: ['everyone'] }, content: 'x' }, 'who asks for it may call')
  await send({ payload: '{"id":813683310949021977,"n":1e400}' }, `{'id': payload.id, 'in': [payload.n]}`)
  t.match(fake.posted.at(-1)?.text, '"id":813683310949021977,"in":[1e400]')
  for (const number of ['42', '813683310949021977']) {
    t.match(await send({}, number), { succeeded: false, ownFault: true, error: /made a number/ }, number)
  }
})

t.test('what Discord answers', async (t) => {
  const { fake, send } = await connectDiscord(t)
  const answers: [number, object, Partial<AttemptResult>][] = [
    [404, { message: 'Unknown Webhook', code: 10015 }, { final: true, gone: true, code: '10015' }],
    [401, { message: 'Invalid Webhook Token', code: 50027 }, { final: true, gone: true, code: '50027' }],
    [403, { message: 'Missing Access', code: 50001 }, { final: true, code: '50001' }],
    [404, { message: 'Unknown Channel', code: 10003 }, { final: false }],
    [
      400,
      { message: 'Invalid Form Body', code: 50035 },
      { final: true, error: 'The server answered 400: Invalid Form Body' },
    ],
    [
      500,
      { message: `Broken at ${TOKEN}`, code: 0 },
      { final: false, error: 'The server answered 500: Broken at ***' },
    ],
    [502, [], { final: false, error: 'The server answered 502.' }],
  ]
  for (const [status, body, expected] of answers) {
    fake.answer = (response) => json(response, status, body)
    const result = await send()
    t.match(result, { succeeded: false, responseStatus: status, throttled: false, ...expected })
    t.equal(result.gone ?? false, expected.gone ?? false, `${status}`)
    t.notMatch(JSON.stringify(result), TOKEN)
  }
  for (const body of ['null', '<html>', '"x"', '']) {
    fake.answer = (response) => response.writeHead(520).end(body)
    t.match(await send(), { succeeded: false, final: false, error: 'The server answered 520.' })
  }
})

t.test('a rate limit holds the next attempt, by the body or else by the header', async (t) => {
  const { fake, send } = await connectDiscord(t)
  fake.answer = (response) =>
    json(
      response,
      429,
      { message: 'You are being rate limited.', retry_after: 64.57, global: false },
      { 'retry-after': '65' },
    )
  t.match(await send(), { succeeded: false, final: false, throttled: true, retryAfterMs: 64_570 })
  fake.answer = (response) => response.writeHead(429, { 'retry-after': '7' }).end('<html>error 1015</html>')
  t.match(await send(), { throttled: true, retryAfterMs: 7_000 })
  fake.answer = (response) => json(response, 429, { retry_after: 'soon' })
  t.match(await send(), { throttled: true, retryAfterMs: undefined })
})

t.test('addresses that cannot be used are refused when they are set', async (t) => {
  discord.check({ type: 'discord', url: `https://discord.com/api/webhooks/${ID}/${TOKEN}` })
  const withPassword = 'https://a:b@discord.com/api/webhooks/1/x'
  t.throws(() => discord.check({ type: 'discord', url: withPassword }), {
    name: 'Problem',
    problem: 'invalid-destination',
  })
  t.same(discord.hidden, ['url'])
})
