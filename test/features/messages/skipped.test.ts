import t, { type Test } from 'tap'
import { httpWebhook, startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect, deliver, type Messenger, type Webhook } from '../../helpers/platforms/messenger.ts'
import { eventsOf } from '../../helpers/platforms/messages.ts'
import { slackEvent, slackWebhook, startSlack } from '../../helpers/platforms/slack.ts'
import { startTwilio, twilioWebhook } from '../../helpers/platforms/twilio.ts'
import {
  startWhatsApp,
  whatsappText,
  whatsappValue,
  whatsappWebhook,
} from '../../helpers/platforms/whatsapp.ts'
import { startService } from '../../helpers/service.ts'

async function setUp(t: Test, start: (t: Test) => Promise<Messenger>) {
  const messenger = await start(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const send = async (webhook: Webhook): Promise<void> => {
    const { status, text } = await deliver(service, connection, messenger, webhook)
    t.equal(status, 200, text)
  }
  const skipped = async () => (await eventsOf(client, 'system.platform.skipped')).toReversed()
  const texts = async (): Promise<string[]> =>
    (await eventsOf(client, 'message.inbound')).map(({ payload }) => payload.message.text)
  return { client, connection, send, skipped, texts }
}

t.test(
  'what WhatsApp sends in one batch with messages and no rule understands is kept, each with its reason',
  async (t) => {
    const { connection, send, skipped, texts } = await setUp(t, startWhatsApp)
    const ada = '16315551181'
    const [noId, noSender] = [
      { from: ada, type: 'text', text: { body: 'no id' } },
      { id: 'wamid.2', type: 'text', text: { body: 'from nobody' } },
    ]
    const oddStatus = { id: 'wamid.3', status: 'pondered', timestamp: '1748956300' }
    const foreign = whatsappValue({
      metadata: { display_phone_number: '15550000009', phone_number_id: '999' },
      messages: [whatsappText('wamid.4', ada, 'for the other number')],
    })
    const errors = [{ code: 130_429, title: 'Rate limit hit' }]
    const account = { field: 'account_update', value: { event: 'VERIFIED_ACCOUNT' } }
    const batch = whatsappWebhook(
      whatsappValue({
        messages: [noId, noSender, whatsappText('wamid.1', ada, 'kept')],
        statuses: [oddStatus, { ...oddStatus, status: 'sent' }],
      }),
      foreign,
      whatsappValue({ errors }),
      whatsappValue({}),
    )
    const body = JSON.parse(batch.body.toString())
    body.entry.push({ id: '1', changes: [account] }, { id: '2' }, 'no entry')
    const webhook = { ...batch, body: JSON.stringify(body) }
    await send(webhook)
    await send(webhook)
    t.strictSame(await texts(), ['kept'])
    const events = await skipped()
    t.match(
      new Map(events.map(({ payload }) => [JSON.stringify(payload.item), payload.reason])),
      new Map<string, RegExp>([
        [JSON.stringify(noId), /no proper id/],
        [JSON.stringify(noSender), /no sender/],
        [JSON.stringify(oddStatus), /no status that is known/],
        [JSON.stringify({ field: 'messages', value: foreign }), /another number \(phone_number_id 999\)/],
        [JSON.stringify(whatsappValue({ errors })), /errors/],
        [JSON.stringify({ field: 'messages', value: whatsappValue({}) }), /no message and no status/],
        [JSON.stringify(account), /something else than messages/],
        [JSON.stringify({ id: '2' }), /cannot be read/],
        ['"no entry"', /cannot be read/],
      ]),
    )
    t.equal(events.length, 9, 'each once, however often the platform repeats it')
    const { payload, schemaValid, edges, status } = events[0]
    t.match(payload, { platform: 'whatsapp', platform_connection_id: connection.id })
    t.strictSame([schemaValid, edges, status], [true, [], 'completed'])
  },
)

t.test('what Slack and Twilio sign and no rule understands is answered with 200 and kept', async (t) => {
  const slack = await setUp(t, startSlack)
  const limited = { type: 'app_rate_limited', team_id: 'T1', minute_rate_limited: 1_518_467_820 }
  const edit = {
    type: 'message',
    subtype: 'message_changed',
    channel: 'C1',
    ts: '1.2',
    message: { text: 'x' },
  }
  await slack.send(slackWebhook({ ...limited, token: 'the verification token' }))
  await slack.send(slackEvent(edit))
  t.notMatch(JSON.stringify(await slack.skipped()), /verification.token/, 'a secret is not kept')
  t.match(await slack.skipped(), [{ payload: { item: limited } }, { payload: { item: { event: edit } } }])

  const twilio = await setUp(t, startTwilio)
  const odd = { MessageSid: 'SM1', MessageStatus: 'pondered' }
  await twilio.send(twilioWebhook(odd))
  await twilio.send(twilioWebhook({ CallSid: 'CA1' }))
  await twilio.send(twilioWebhook({ ...odd, MessageStatus: 'constructor' }))
  t.match(await twilio.skipped(), [
    { payload: { item: odd, reason: /"pondered" is no status/ } },
    { payload: { item: { CallSid: 'CA1' }, reason: /no "MessageSid"/ } },
    { payload: { reason: /"constructor" is no status/ } },
  ])
})

t.test('what tells only what the log knows already is not kept again', async (t) => {
  const { client, send } = await setUp(t, startSlack)
  const echo = { type: 'message', channel: 'C1', user: 'U0123ABCDEF', bot_id: 'B1', text: 'ours', ts: '1.1' }
  await send(slackEvent(echo))
  t.strictSame((await client.get('/events')).body.data, [])
})

t.test('one part that cannot be read does not keep the others back', async (t) => {
  const { send, skipped, texts } = await setUp(t, startHttpPlatform)
  const bad = { id: 'bad\0', from: 'ada', text: 'not lost' }
  await send(httpWebhook({ messages: [bad, { id: 'good', from: 'ada', text: 'kept' }] }))
  t.strictSame(await texts(), ['kept'])
  t.match(await skipped(), [{ payload: { item: bad, reason: /no proper id/ } }])
})

t.test('of what is larger than payloads may be, the beginning is kept', async (t) => {
  const { send, skipped, texts } = await setUp(t, startWhatsApp)
  const large = whatsappText('wamid.1', '1', 'x'.repeat(300_000))
  await send(whatsappWebhook(whatsappValue({ messages: [large, whatsappText('wamid.2', '1', 'kept')] })))
  t.strictSame(await texts(), ['kept'])
  const [event, ...others] = await skipped()
  t.strictSame(others, [])
  t.match(event.payload.reason, /may take \d+ bytes/)
  t.equal(event.payload.item, JSON.stringify(large).slice(0, 10_000))
})
