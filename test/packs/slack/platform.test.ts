import t, { type Test } from 'tap'
import { escapeText, readableText } from '../../../src/packs/slack/text.ts'
import { connect, deliver, type Webhook } from '../../helpers/platforms/messenger.ts'
import { eventsOf, sendText, settled } from '../../helpers/platforms/messages.ts'
import {
  slackEvent,
  slackForm,
  slackInteraction,
  slackWebhook,
  startSlack,
} from '../../helpers/platforms/slack.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService, type Answer } from '../../helpers/service.ts'

async function setUp(t: Test, { worker = false } = {}) {
  const messenger = await startSlack(t)
  const service = await startService(t, { worker })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const send = (webhook: Webhook, signing = {}): Promise<Answer> =>
    deliver(service, connection, messenger, webhook, signing)
  /** Sends a webhook twice, which Slack answers with nothing. @returns the payload that it became */
  async function become(webhook: Webhook): Promise<Answer['body']> {
    const { length } = await eventsOf(client, 'message.inbound')
    for (let time = 0; time < 2; time++) {
      const answer = await send(webhook)
      t.strictSame([answer.status, answer.text], [200, ''])
    }
    const events = await eventsOf(client, 'message.inbound')
    t.equal(events.length, length + 1, 'once')
    t.equal(events[0].schemaValid, true)
    return events[0].payload
  }
  return { messenger, client, connection, send, become }
}

t.test('a slash command is answered with nothing and taken', async (t) => {
  const { client, connection, send, become } = await setUp(t)
  const form = {
    team_id: 'T0001',
    channel_id: 'C2147483705',
    user_id: 'U2147483697',
    user_name: 'Steve',
    command: '/weather',
    text: '94070 &amp; <@U1|ada>',
    response_url: 'https://hooks.slack.com/commands/1234/5678',
    trigger_id: '13345224609.738474920.8088930838d88f008e0',
  }
  t.match(await become(slackForm(form)), {
    external_message_id: form.trigger_id,
    message: { text: '94070 & @ada', kind: 'command', command: { name: '/weather' } },
    raw: form,
  })
  const [{ payload }] = await eventsOf(client, 'message.inbound')
  t.equal(payload.raw.token, undefined, 'the verification token is a secret')
  const { body } = await client.get(
    `/platform-users?platformConnectionId=${connection.id}&externalId=U2147483697`,
  )
  t.match(body.data, [{ name: 'Steve' }])
  expectProblem(
    t,
    await send(slackForm(form), { secret: 'wrong' }),
    {
      status: 401,
      type: 'invalid-signature',
    },
    'another secret',
  )
  t.equal((await send(slackForm({ ssl_check: '1' }))).status, 200)
  t.equal((await client.get('/events')).body.data.length, 1)
})

t.test('what people press, choose and send in forms is answered as Slack wants and taken', async (t) => {
  const { client, send, become } = await setUp(t)
  const common = { user: { id: 'U1', username: 'ada' }, team: { id: 'T1' }, channel: { id: 'C1' } }
  let count = 0
  const interaction = (more: object) =>
    slackInteraction({ ...common, trigger_id: `12466734323.${++count}`, ...more })
  const action = (more: object) =>
    interaction({ type: 'block_actions', actions: [{ block_id: 'b', ...more }] })
  const text = (words: string) => ({ type: 'plain_text', text: words })
  for (const [webhook, message] of [
    [
      action({ type: 'button', action_id: 'approve', text: text('Yes &amp; no'), value: 'order-7' }),
      { kind: 'button', text: 'Yes & no', button: { id: 'order-7', title: 'Yes & no' } },
    ],
    [
      action({ type: 'button', action_id: 'approve', text: text('Yes') }),
      { kind: 'button', button: { id: 'approve', title: 'Yes' } },
    ],
    [
      action({ type: 'static_select', action_id: 's', selected_option: { text: text('Red'), value: 'r' } }),
      { kind: 'button', button: { id: 'r', title: 'Red' } },
    ],
    [
      action({ type: 'datepicker', action_id: 'd', selected_date: '2026-11-28' }),
      { kind: 'button', button: { id: '2026-11-28', title: '2026-11-28' } },
    ],
    [
      interaction({
        type: 'interactive_message',
        actions: [{ name: 'game', type: 'button', value: 'chess' }],
      }),
      { kind: 'button', button: { id: 'chess', title: 'chess' } },
    ],
    [
      interaction({
        type: 'view_submission',
        view: { id: 'V1', callback_id: 'survey', title: text('Survey'), submit: text('Send') },
      }),
      { kind: 'button', button: { id: 'survey', title: 'Send' } },
    ],
    [
      slackInteraction({ ...common, type: 'view_closed', view: { id: 'V1', callback_id: 'survey' } }),
      { kind: 'system', system: { type: 'view_closed' } },
    ],
    [
      interaction({ type: 'shortcut', callback_id: 'new-task' }),
      { kind: 'command', command: { name: 'new-task' } },
    ],
    [
      interaction({ type: 'message_action', callback_id: 'pin' }),
      { kind: 'command', command: { name: 'pin' } },
    ],
  ] as const) {
    const payload = await become(webhook)
    t.match(payload.message, message)
    t.match(payload.raw, { user: { id: 'U1' }, token: undefined })
  }
  t.strictSame(await eventsOf(client, 'system.platform.skipped'), [])

  const asked = await send(interaction({ type: 'block_suggestion', action_id: 'a', value: 're' }))
  t.strictSame([asked.status, asked.body], [200, { options: [] }])
  t.match(asked.headers['content-type'], /^application\/json/)
  for (const odd of [
    interaction({ type: 'telepathy' }),
    interaction({ type: 'block_actions', actions: [null] }),
    slackForm({ payload: '{' }),
    slackForm({ more: 'x' }),
    slackForm({ command: '/weather' }),
  ])
    t.equal((await send(odd)).status, 200)
  t.equal((await eventsOf(client, 'system.platform.skipped')).length, 6, 'each is kept')
})

t.test('Slack’s notice of a rate limit is answered with 200', async (t) => {
  const { client, send } = await setUp(t)
  const notice = {
    type: 'app_rate_limited',
    team_id: 'T1',
    minute_rate_limited: 1_518_467_820,
    api_app_id: 'A1',
  }
  t.equal((await send(slackWebhook(notice))).status, 200)
  t.match(await eventsOf(client, 'system.platform.skipped'), [{ payload: { item: notice } }])
})

t.test('a mention is a message, and one with the message that it is in', async (t) => {
  const { client, send, become } = await setUp(t)
  const mention = { type: 'app_mention', channel: 'C1', user: 'U1', text: '<@U0123ABCDEF> hi', ts: '1.1' }
  t.match(await become(slackEvent(mention)), {
    external_message_id: 'C1:1.1',
    message: { text: '@U0123ABCDEF hi', kind: 'text' },
    raw: mention,
  })
  const both = [mention, { ...mention, type: 'message' }].map((event) => slackEvent({ ...event, ts: '2.2' }))
  const answers = await Promise.all([...both, ...both].map((webhook) => send(webhook)))
  t.strictSame([...new Set(answers.map(({ status }) => status))], [200])
  t.equal((await eventsOf(client, 'message.inbound')).length, 2)
})

t.test('people on Slack read what was sent, to the letter', async (t) => {
  const { messenger, client, connection } = await setUp(t, { worker: true })
  const text = 'if (a < b && b > c) &amp; <!channel> <@U1>'
  const event = await sendText(client, connection, messenger.somebody, text)
  await settled(client, event.id)
  const escaped = 'if (a &lt; b &amp;&amp; b &gt; c) &amp;amp; &lt;!channel&gt; &lt;@U1&gt;'
  const [request] = messenger.server.requests
  t.equal(JSON.parse(request?.text ?? '').text, escaped)
  t.match(messenger.taken, [{ text }])
  t.equal(event.payload.message.text, text, 'the log has it as it was given')
})

t.test('what comes from Slack is what a person reads, and raw has the original', async (t) => {
  const { become } = await setUp(t)
  const text = '<@U1|ada>, see <https://example.com/a?b=1&amp;c=2|the page> &amp; &lt;b&gt;'
  const payload = await become(slackEvent({ type: 'message', channel: 'C1', user: 'U1', text, ts: '1.1' }))
  t.equal(payload.message.text, '@ada, see the page & <b>')
  t.equal(payload.raw.text, text)
})

t.test('texts of Slack, read and written', (t) => {
  for (const [slack, read] of [
    ['plain', 'plain'],
    ['a &lt;b&gt; &amp; c', 'a <b> & c'],
    ['&amp;lt;', '&lt;'],
    ['<@U1>', '@U1'],
    ['<@W1|bob>', '@bob'],
    ['<#C1|general> and <#C2> and <#C3|>', '#general and #C2 and #C3'],
    ['<!here> <!channel|channel> <!everyone|@everyone>', '@here @channel @everyone'],
    ['<!subteam^S1|@writers> <!subteam^S1>', '@writers @subteam'],
    ['<!date^1392734382^{date}|18 February>', '18 February'],
    ['<https://example.com>', 'https://example.com'],
    ['<https://example.com?a=1&amp;b=2>', 'https://example.com?a=1&b=2'],
    ['<https://example.com|example.com &gt; docs>', 'example.com > docs'],
    ['<mailto:bob@example.com|bob@example.com> <mailto:eve@example.com>', 'bob@example.com eve@example.com'],
    ['1 < 2', '1 < 2'],
    ['<>', ''],
  ] as const)
    t.equal(readableText(slack), read, slack)
  for (const text of ['a < b & c > d', '&amp;', '<@U1> <!here> <https://example.com|x>', '', '🎁'])
    t.equal(readableText(escapeText(text)), text, `${text} comes back as it went`)
  t.end()
})
