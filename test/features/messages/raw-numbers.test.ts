import t, { type Test } from 'tap'
import { HARD_NUMBERS } from '../../helpers/numbers.ts'
import { httpWebhook, startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect, deliver, type Messenger, type Webhook } from '../../helpers/platforms/messenger.ts'
import { slackWebhook, startSlack } from '../../helpers/platforms/slack.ts'
import {
  startWhatsApp,
  whatsappText,
  whatsappValue,
  whatsappWebhook,
} from '../../helpers/platforms/whatsapp.ts'
import { startService } from '../../helpers/service.ts'

const LIST = `[${HARD_NUMBERS.join(',')}]`
const PLACE = '"place of the numbers"'

/** The webhook with the numbers, to the letter, in place of a string. */
const withNumbers = (webhook: Webhook): Webhook => ({
  ...webhook,
  body: String(webhook.body).replaceAll(PLACE, LIST),
})

/** The events that a webhook became. */
async function keptIn(t: Test, start: (t: Test) => Promise<Messenger>, webhook: Webhook): Promise<string> {
  const messenger = await start(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const answer = await deliver(service, connection, messenger, withNumbers(webhook))
  t.equal(answer.status, 200, answer.text)
  return (await client.get('/events')).text
}

/** How many times the numbers stand there, to the letter. */
const timesIn = (text: string): number => text.split(LIST).length - 1
const numbers = JSON.parse(PLACE)

t.test('the numbers of what a platform sent are kept to the letter', async (t) => {
  const message = { ...whatsappText('wamid.1', '16315551181', 'hi'), context: { numbers } }
  const odd = { id: 'wamid.2', status: 'pondered', numbers }
  const whatsapp = whatsappWebhook(whatsappValue({ messages: [message], statuses: [odd] }))
  t.equal(timesIn(await keptIn(t, startWhatsApp, whatsapp)), 2, 'of a message and of a skipped status')

  const event = { type: 'message', channel: 'C1', user: 'U1', text: 'hi', ts: '1.1', blocks: numbers }
  const slack = slackWebhook({ type: 'event_callback', event_id: 'Ev1', event })
  t.equal(timesIn(await keptIn(t, startSlack, slack)), 1)

  const http = httpWebhook({
    messages: [{ id: '1', from: 'ada', text: 'hi', numbers }],
    statuses: [{ id: 'unknown', status: 'read', numbers }],
  })
  t.equal(timesIn(await keptIn(t, startHttpPlatform, http)), 2, 'of a message and of a status of nothing')
})

t.test('how deep a body is nested is told before its numbers are looked at', async (t) => {
  const deep = `{"entry":${'['.repeat(100_000)}1.10${']'.repeat(100_000)}}`
  const kept = await keptIn(t, startWhatsApp, { ...whatsappWebhook(), body: deep })
  t.match(JSON.parse(kept).data, [
    { type: 'system.platform.skipped', payload: { reason: /nested deeper than 100/ } },
  ])
})

t.test('a number that is written otherwise than JavaScript would is read as what it is', async (t) => {
  const location = { latitude: 'place', longitude: 0, name: 'here' }
  const at = (body: Webhook['body']) => String(body).replaceAll('"place"', '0.10000000000000000001')
  const placeIn = (text: string): object => JSON.parse(text).data[0].payload.message.location
  const where = { latitude: 0.1, longitude: 0, name: 'here', address: null }

  const message = { from: '16315551181', id: 'wamid.1', timestamp: '1748956200', type: 'location', location }
  const whatsapp = whatsappWebhook(whatsappValue({ messages: [message] }))
  t.strictSame(placeIn(await keptIn(t, startWhatsApp, { ...whatsapp, body: at(whatsapp.body) })), where)

  const http = httpWebhook({ messages: [{ id: '1', from: 'ada', location }] })
  t.strictSame(placeIn(await keptIn(t, startHttpPlatform, { ...http, body: at(http.body) })), where)
})
