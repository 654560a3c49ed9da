import t, { type Test } from 'tap'
import type { AttemptResult, OwedEvent } from '../../../src/features/destinations/destination.ts'
import { slack } from '../../../src/packs/slack/destination.ts'
import { sentEdges } from '../../../src/features/entities/index.ts'
import { attempt, destinationServices, owedEvent, targetOf } from '../../helpers/destinations.ts'
import { startReceiver, type Receiver } from '../../helpers/receiver.ts'

const TOKEN = 'XXXXsecretXXXX'

/** Sends as Slack's destination does, to a receiver in the place of Slack. */
async function connectSlack(t: Test) {
  const receiver = await startReceiver(t)
  receiver.answer = (response) => response.end('ok')
  const destination = slack.connect(destinationServices(t), {})
  const settings = { type: 'slack', url: `${receiver.url}services/T000/B000/${TOKEN}` }
  return {
    receiver,
    send: (given: Partial<OwedEvent> = {}, transformation: string | null = null): Promise<AttemptResult> =>
      destination.send(owedEvent(given), targetOf(settings, transformation), attempt()),
  }
}

const lastBody = ({ received }: Receiver): { text: string } =>
  JSON.parse(received.at(-1)?.text ?? '') as { text: string }

t.test('an event becomes a text that people can read', async (t) => {
  const { receiver, send } = await connectSlack(t)
  const result = await send({ payload: '{"id":12345678901234567890,"items":[],"note":"a, b: {c}"}' })
  t.match(result, { succeeded: true, responseStatus: 200, responseBody: 'ok', error: null })
  t.same(lastBody(receiver), {
    text: '*order.placed*\n```\n{\n  "id": 12345678901234567890,\n  "items": [],\n  "note": "a, b: {c}"\n}\n```',
  })
  t.equal(receiver.received[0]?.headers['content-type'], 'application/json; charset=utf-8')
})

t.test('a payload calls nobody, links nowhere and does not end the block', async (t) => {
  const { receiver, send } = await connectSlack(t)
  await send({ payload: '{"a":"<!channel> & <https://example.com|click> ``` *bold* ````"}' })
  const { text } = lastBody(receiver)
  t.match(text, '&lt;!channel&gt; &amp; &lt;https://example.com|click&gt;')
  t.notMatch(text, /[<>]/)
  t.equal(text.match(/```/g)?.length, 2, 'the only fences are its own')
})

t.test('a long payload is cut between whole characters', async (t) => {
  const { receiver, send } = await connectSlack(t)
  for (const filling of ['x', '😀', '&', '`']) {
    for (let shift = 0; shift < 6; shift++) {
      await send({ payload: JSON.stringify({ a: 'x'.repeat(shift) + filling.repeat(5_000) }) })
      const { text } = lastBody(receiver)
      t.ok(text.length <= 4_000 && text.length > 3_980, `${text.length} characters`)
      t.match(text, /\n…\n```$/)
      t.ok(text.isWellFormed())
      t.notMatch(text.replaceAll('&amp;', ''), '&', 'no escape is cut')
      t.equal(text.match(/```/g)?.length, 2)
    }
  }
})

t.test('a transformation makes the text or the whole body', async (t) => {
  const { receiver, send } = await connectSlack(t)
  const edges = sentEdges([{ type: 'about', targetType: 'user', targetId: 'u1' }])
  await send(
    { edges },
    `'*' & event_type & '* <' & payload.id & '> ' & edge_list[0].target_type & edges.about.user_id`,
  )
  t.same(lastBody(receiver), { text: '*order.placed* <42> useru1' }, 'a text goes as it is')
  await send({}, `{'blocks': [{'type': 'divider'}], 'text': event_id}`)
  t.same(lastBody(receiver), { blocks: [{ type: 'divider' }], text: owedEvent().event_id })
  await send({}, `$pad('', 50000, 'y')`)
  t.equal(lastBody(receiver).text.length, 40_000)
})

t.test('what is no message is not sent, and is not the fault of the endpoint', async (t) => {
  const { receiver, send } = await connectSlack(t)
  const wrong: Record<string, RegExp> = {
    '42': /a number/,
    true: /a boolean/,
    'payload.unknown': /nothing/,
    '[1, 2]': /a list/,
    "''": /an empty text/,
    '$error("no such order")': /The transformation failed: no such order/,
  }
  for (const [expression, error] of Object.entries(wrong)) {
    const result = await send({}, expression)
    t.match(result, { succeeded: false, ownFault: true, responseStatus: null, error }, expression)
  }
  t.equal(receiver.received.length, 0)
})

t.test('what Slack answers', async (t) => {
  const { receiver, send } = await connectSlack(t)
  const answers: [number, string, Partial<AttemptResult>][] = [
    [
      400,
      'invalid_payload',
      { final: true, code: 'invalid_payload', error: 'The server answered 400: invalid_payload.' },
    ],
    [403, 'action_prohibited', { final: false, code: 'action_prohibited' }],
    [404, 'channel_not_found', { final: false }],
    [404, 'no_service', { final: true, gone: true, code: 'no_service' }],
    [404, 'no_team', { final: true, gone: true }],
    [410, 'channel_is_archived', { final: true, gone: true }],
    [500, 'rollup_error', { final: false, code: 'rollup_error' }],
    [503, '<html>Down & out</html>', { final: false, code: undefined, error: 'The server answered 503.' }],
    [413, '', { final: true }],
  ]
  for (const [status, body, expected] of answers) {
    receiver.answer = (response) => response.writeHead(status).end(body)
    const result = await send()
    t.match(result, {
      succeeded: false,
      responseStatus: status,
      responseBody: body,
      throttled: false,
      ...expected,
    })
    t.equal(result.gone ?? false, expected.gone ?? false, `${status} ${body}`)
  }
})

t.test('a rate limit holds the next attempt', async (t) => {
  const { receiver, send } = await connectSlack(t)
  receiver.answer = (response) => response.writeHead(429, { 'retry-after': '30' }).end('rate_limited')
  t.match(await send(), { succeeded: false, final: false, throttled: true, retryAfterMs: 30_000 })
})

t.test('nothing that is kept tells the address', async (t) => {
  const { receiver, send } = await connectSlack(t)
  receiver.answer = (response) =>
    response
      .writeHead(302, { location: `https://elsewhere.example/services/T000/B000/${TOKEN}` })
      .end(`Moved to ${receiver.url}services/T000/B000/${TOKEN}, token ${TOKEN}.`)
  const moved = await send()
  t.match(moved, { succeeded: false, responseStatus: 302, final: false })
  t.equal(moved.responseHeaders?.['location'], 'https://elsewhere.example***')
  t.notMatch(JSON.stringify(moved), TOKEN)

  receiver.answer = (response) => response.socket?.destroy()
  const cut = await send()
  t.match(cut, { succeeded: false, responseStatus: null, responseBody: null, error: /./ })
  t.notMatch(JSON.stringify(cut), TOKEN)
})

t.test('a long answer is read up to 16 KiB, and a silent one ends at the deadline', async (t) => {
  const { receiver, send } = await connectSlack(t)
  receiver.answer = (response) => response.writeHead(500).end('e'.repeat(1_000_000))
  t.equal((await send()).responseBody?.length, 16_384)

  receiver.answer = (response) => response.writeHead(200).write('o')
  const destination = slack.connect(destinationServices(t), {})
  const settings = { type: 'slack', url: receiver.url }
  t.match(await destination.send(owedEvent(), targetOf(settings), attempt({ timeoutMs: 300 })), {
    succeeded: false,
    error: 'No complete response within 300 ms.',
  })
})

t.test('an address that is not public is refused', async (t) => {
  const destination = slack.connect(destinationServices(t), {})
  const settings = { type: 'slack', url: 'http://10.0.0.1/services/x' }
  t.match(await destination.send(owedEvent(), targetOf(settings), attempt()), {
    succeeded: false,
    error: /not a public address/,
  })
})

t.test('addresses that cannot be used are refused when they are set', async (t) => {
  const check = (url: string) => slack.check({ type: 'slack', url })
  check('https://hooks.slack.com/services/T000/B000/XXXX')
  check('http://mattermost.internal:8065/hooks/abc')
  for (const url of [
    'https://user@example.com/',
    'https://:secret@example.com/',
    'http://example.com:99999/',
  ]) {
    t.throws(() => check(url), { name: 'Problem', problem: 'invalid-destination' }, url)
  }
  t.same(slack.hidden, ['url'])
})
