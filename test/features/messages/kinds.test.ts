import t, { type Test } from 'tap'
import { httpWebhook, startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect, deliver, type Messenger, type Webhook } from '../../helpers/platforms/messenger.ts'
import { eventsOf, sendThrough } from '../../helpers/platforms/messages.ts'
import { slackEvent, startSlack } from '../../helpers/platforms/slack.ts'
import { startTwilio, twilioWebhook } from '../../helpers/platforms/twilio.ts'
import {
  startWhatsApp,
  whatsappText,
  whatsappValue,
  whatsappWebhook,
} from '../../helpers/platforms/whatsapp.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'

async function setUp(t: Test, start: (t: Test) => Promise<Messenger>, { worker = false } = {}) {
  const messenger = await start(t)
  const service = await startService(t, { worker })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const send = (webhook: Webhook) => deliver(service, connection, messenger, webhook)
  /** `message` of what a webhook becomes. */
  async function become(webhook: Webhook): Promise<object> {
    const answer = await send(webhook)
    t.equal(answer.status, 200, answer.text)
    const [{ payload, schemaValid }] = await eventsOf(client, 'message.inbound')
    t.equal(schemaValid, true, 'as the schema of the type has it')
    return payload.message
  }
  return { messenger, client, connection, send, become }
}

const role = 'user'
let made = 0
const nextId = (): string => `id-${++made}`

t.test('what a WhatsApp message is, and the parts that matter', async (t) => {
  const { client, become } = await setUp(t, startWhatsApp)
  const ada = '16315551181'
  const of = (content: object) =>
    become(
      whatsappWebhook(
        whatsappValue({ messages: [{ from: ada, id: nextId(), timestamp: '1748956200', ...content }] }),
      ),
    )
  t.strictSame(await of({ type: 'text', text: { body: 'hi' } }), { text: 'hi', role, kind: 'text' })
  for (const kind of ['image', 'video', 'document', 'audio', 'sticker']) {
    t.strictSame(await of({ type: kind, [kind]: { id: '1' } }), { text: '', role, kind })
    t.strictSame(await of({ type: kind, [kind]: { id: '1', caption: 'look' } }), { text: 'look', role, kind })
  }
  t.strictSame(
    await of({
      type: 'location',
      location: { latitude: 37.48, longitude: -122.14, name: 'HQ', url: 'https://x' },
    }),
    {
      text: '',
      role,
      kind: 'location',
      location: { latitude: 37.48, longitude: -122.14, name: 'HQ', address: null },
    },
  )
  t.strictSame(
    await of({
      type: 'contacts',
      contacts: [
        {
          name: { formatted_name: 'Bob B.', first_name: 'Bob' },
          phones: [{ phone: '+1 650', wa_id: '1650' }, { wa_id: '1651' }, { type: 'HOME' }],
          emails: [{ email: 'bob@example.com', type: 'WORK' }],
        },
        { vcard: 'BEGIN:VCARD' },
      ],
    }),
    {
      text: '',
      role,
      kind: 'contacts',
      contacts: [
        { name: 'Bob B.', phones: ['+1 650', '1651'], emails: ['bob@example.com'] },
        { name: null, phones: [], emails: [] },
      ],
    },
  )
  t.strictSame(await of({ type: 'button', button: { text: 'Yes', payload: 'yes-1' } }), {
    text: 'Yes',
    role,
    kind: 'button',
    button: { id: 'yes-1', title: 'Yes' },
  })
  for (const type of ['button_reply', 'list_reply'])
    t.strictSame(
      await of({ type: 'interactive', interactive: { type, [type]: { id: 'r', title: 'Row' } } }),
      {
        text: 'Row',
        role,
        kind: 'button',
        button: { id: 'r', title: 'Row' },
      },
    )
  t.strictSame(
    await of({
      type: 'system',
      system: {
        body: 'User A changed from 1 to 2',
        wa_id: '12195555358',
        user_id: 'US.2',
        type: 'user_changed_number',
      },
    }),
    {
      text: 'User A changed from 1 to 2',
      role,
      kind: 'system',
      system: { type: 'user_changed_number', external_id: '12195555358', other_external_id: 'US.2' },
    },
  )
  t.strictSame(
    await of({ type: 'unsupported', errors: [{ code: 131_051, title: 'Message type unknown' }] }),
    {
      text: '',
      role,
      kind: 'unsupported',
      unsupported: { type: null, error: { code: '131051', message: 'Message type unknown' } },
    },
  )
  t.strictSame(await of({ type: 'hologram', hologram: { id: '1' } }), {
    text: '',
    role,
    kind: 'unsupported',
    unsupported: { type: 'hologram', error: null },
  })
  for (const odd of [
    { type: 'location', location: { latitude: 'north', longitude: 1 } },
    { type: 'text', text: { body: 5 } },
    { type: 'reaction', reaction: { emoji: '👍' } },
    { type: 'reaction' },
  ])
    t.match(await of(odd), { kind: 'unsupported', text: '', unsupported: { type: odd.type } })
  t.strictSame(
    await eventsOf(client, 'system.platform.skipped'),
    [],
    'whoever wrote something sent a message',
  )
})

t.test('a reaction names the message that it is about, and its event', async (t) => {
  const { messenger, client, connection, become } = await setUp(t, startWhatsApp, { worker: true })
  const ada = '16315551181'
  const ours = await sendThrough(client, connection, messenger)
  const oursId = messenger.taken[0]?.id
  await become(whatsappWebhook(whatsappValue({ messages: [whatsappText('wamid.theirs', ada, 'hi')] })))
  const [theirs] = await eventsOf(client, 'message.inbound')
  const react = async (reaction: object) => {
    const content = { from: ada, id: nextId(), timestamp: '1748956201', type: 'reaction', reaction }
    return become(whatsappWebhook(whatsappValue({ messages: [content] })))
  }
  const as = (reaction: object) => ({ text: '', role, kind: 'reaction', reaction })
  t.strictSame(
    await react({ message_id: oursId, emoji: '👍' }),
    as({ emoji: '👍', message_id: oursId, removed: false, event_id: ours.id }),
  )
  t.strictSame(
    await react({ message_id: 'wamid.theirs', emoji: '😀' }),
    as({ emoji: '😀', message_id: 'wamid.theirs', removed: false, event_id: theirs.id }),
  )
  for (const gone of [{}, { emoji: '' }])
    t.strictSame(
      await react({ message_id: oursId, ...gone }),
      as({ emoji: null, message_id: oursId, removed: true, event_id: ours.id }),
    )
  for (const message_id of ['wamid.unknown', 'a\0'])
    t.strictSame(
      await react({ message_id, emoji: '👍' }),
      as({ emoji: '👍', message_id, removed: false, event_id: null }),
    )
})

t.test('what a Slack event is: a file, a reaction, something that happened', async (t) => {
  const { client, become } = await setUp(t, startSlack)
  const message = { type: 'message', channel: 'C1', user: 'U1' }
  t.strictSame(await become(slackEvent({ ...message, ts: '1.1', text: 'hi' })), {
    text: 'hi',
    role,
    kind: 'text',
  })
  const [said] = await eventsOf(client, 'message.inbound')
  for (const [index, [mimetype, kind]] of [
    ['image/png', 'image'],
    ['audio/mp4', 'audio'],
    ['video/mp4', 'video'],
    ['application/pdf', 'document'],
    [undefined, 'document'],
  ].entries()) {
    const file = {
      ...message,
      ts: `2.${index}`,
      subtype: 'file_share',
      text: 'see',
      files: [{ id: 'F1', mimetype }],
    }
    t.strictSame(await become(slackEvent(file)), { text: 'see', role, kind })
  }
  const item = { type: 'message', channel: 'C1', ts: '1.1' }
  for (const [type, removed] of [
    ['reaction_added', false],
    ['reaction_removed', true],
  ] as const) {
    const reacted = slackEvent({
      type,
      user: 'U1',
      reaction: 'thumbsup',
      item,
      event_ts: '1360782804.083113',
    })
    const webhook = { ...reacted, body: reacted.body.toString().replace('Ev0PV52K21', `Ev${type}`) }
    t.strictSame(await become(webhook), {
      text: '',
      role,
      kind: 'reaction',
      reaction: { emoji: ':thumbsup:', message_id: 'C1:1.1', removed, event_id: said.id },
    })
    const [{ payload }] = await eventsOf(client, 'message.inbound')
    t.match(payload, { external_message_id: `Ev${type}`, sent_at: '2013-02-13T19:13:24.083Z' })
  }
  const joined = { ...message, ts: '3.1', subtype: 'channel_join', text: '<@U1> has joined the channel' }
  t.match(await become(slackEvent(joined)), { kind: 'system', system: { type: 'channel_join' } })
})

t.test('what a message through Twilio is', async (t) => {
  const { become } = await setUp(t, startTwilio)
  const of = (form: Record<string, string>) =>
    become(twilioWebhook({ MessageSid: nextId(), From: '+14155551234', Body: '', NumMedia: '0', ...form }))
  t.strictSame(await of({ Body: 'hi' }), { text: 'hi', role, kind: 'text' })
  for (const [type, kind] of [
    ['image/jpeg', 'image'],
    ['audio/ogg', 'audio'],
    ['video/3gpp', 'video'],
    ['application/pdf', 'document'],
  ] as const)
    t.strictSame(await of({ NumMedia: '1', MediaContentType0: type, Body: 'see' }), {
      text: 'see',
      role,
      kind,
    })
  t.strictSame(await of({ Latitude: '51.5', Longitude: '-0.12', Label: 'Here' }), {
    text: '',
    role,
    kind: 'location',
    location: { latitude: 51.5, longitude: -0.12, name: 'Here', address: null },
  })
  t.strictSame(await of({ Body: 'Yes', ButtonText: 'Yes', ButtonPayload: 'yes-1' }), {
    text: 'Yes',
    role,
    kind: 'button',
    button: { id: 'yes-1', title: 'Yes' },
  })
})

t.test('an http connection takes every kind, in the form that the log has', async (t) => {
  const { send, become, client } = await setUp(t, startHttpPlatform)
  const of = (content: object) => httpWebhook({ messages: [{ id: nextId(), from: 'ada', ...content }] })
  t.strictSame(await become(of({ text: 'hi' })), { text: 'hi', role, kind: 'text' })
  t.strictSame(await become(of({ kind: 'image' })), { text: '', role, kind: 'image' })
  t.strictSame(await become(of({ reaction: { message_id: 'm-0', emoji: '👍' } })), {
    text: '',
    role,
    kind: 'reaction',
    reaction: { emoji: '👍', removed: false, message_id: 'm-0', event_id: null },
  })
  t.strictSame(await become(of({ location: { latitude: 1, longitude: 2 } })), {
    text: '',
    role,
    kind: 'location',
    location: { name: null, address: null, latitude: 1, longitude: 2 },
  })
  t.strictSame(await become(of({ contacts: [{ name: 'Bob' }] })), {
    text: '',
    role,
    kind: 'contacts',
    contacts: [{ name: 'Bob', phones: [], emails: [] }],
  })
  t.strictSame(await become(of({ button: { title: 'Yes' } })), {
    text: 'Yes',
    role,
    kind: 'button',
    button: { id: null, title: 'Yes' },
  })
  t.match(await become(of({ command: { name: '/help' }, text: 'me' })), {
    kind: 'command',
    text: 'me',
    command: { name: '/help' },
  })
  t.match(await become(of({ system: { type: 'left' } })), { kind: 'system', system: { type: 'left' } })
  const before = (await eventsOf(client, 'message.inbound')).length
  for (const wrong of [
    {},
    { kind: 'telepathy', text: '' },
    { kind: 'reaction', text: '' },
    { reaction: {} },
    { location: { latitude: 91, longitude: 0 } },
    { contacts: [] },
  ])
    expectProblem(t, await send(of(wrong)), { status: 400, type: 'validation-failed' }, JSON.stringify(wrong))
  t.equal((await eventsOf(client, 'message.inbound')).length, before)
})
