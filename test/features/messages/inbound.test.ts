import t from 'tap'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { httpWebhook, startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect, deliver } from '../../helpers/platforms/messenger.ts'
import { eventsOf } from '../../helpers/platforms/messages.ts'
import { slackEvent, startSlack } from '../../helpers/platforms/slack.ts'
import {
  startWhatsApp,
  whatsappContact,
  whatsappText,
  whatsappValue,
  whatsappWebhook,
} from '../../helpers/platforms/whatsapp.ts'
import { startService } from '../../helpers/service.ts'

for (const [platform, start] of PLATFORMS) {
  t.test(`a message from outside becomes one message.inbound (${platform})`, async (t) => {
    const messenger = await start(t)
    const service = await startService(t, { worker: false })
    const client = await service.client()
    const connection = await connect(client, messenger)
    const id = platform === 'slack' ? '1355517523.000005' : 'MSG1'
    const from = platform === 'slack' ? 'U2147483697' : '16315551181'
    const webhook = messenger.inbound({ id, from, text: 'Hello «ü» 🎁', name: 'Kerry' })
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => deliver(service, connection, messenger, webhook)),
    )
    answers.push(await deliver(service, connection, messenger, webhook))
    t.strictSame(
      [...new Set(answers.map(({ status, text }) => `${status} ${text}`))],
      [platform === 'twilio' ? '200 <Response></Response>' : '200 '],
    )
    if (platform === 'twilio') t.match(answers[0]?.headers['content-type'], /^text\/xml/)

    const { body: page } = await client.get(`/platform-users?platformConnectionId=${connection.id}`)
    const people = page.data.filter((user: { id: string }) => user.id !== connection.ownPlatformUserId)
    t.equal(people.length, 1, 'the sender is made once')
    t.match(people[0], { externalId: from, name: platform === 'slack' ? null : 'Kerry' })
    t.equal((await client.get('/users')).body.data.length, 2, 'and so is the user')

    const events = await eventsOf(client, 'message.inbound')
    t.equal(events.length, 1)
    const [{ payload, edges, status, schemaValid, originEventId }] = events
    t.strictSame([status, schemaValid, originEventId], ['completed', true, null])
    const externalId = platform === 'slack' ? `D024BE91L:${id}` : id
    t.match(payload, {
      type: 'message',
      message: { text: 'Hello «ü» 🎁', role: 'user', kind: 'text' },
      platform,
      external_message_id: externalId,
      delivered_at: null,
      read_at: null,
      failed_at: null,
      platform_connection_id: connection.id,
    })
    t.equal(payload.created_at, payload.sent_at)
    t.ok(Date.parse(payload.sent_at) > 0)
    t.strictSame(edges, [
      { type: 'sent_by', targetType: 'platform_user', targetId: people[0].id },
      { type: 'sent_to', targetType: 'user', targetId: connection.ownUserId },
    ])

    const picture = messenger.inbound({ id: platform === 'slack' ? '1355517524.000001' : 'MSG2', from })
    t.equal((await deliver(service, connection, messenger, picture)).status, 200)
    const [newest] = (await client.get('/events?type=message.inbound&order=desc&limit=1')).body.data
    t.match(newest.payload, { message: { text: '', kind: platform === 'http' ? 'text' : 'image' }, raw: /./ })
    t.equal(newest.edges[0].targetId, people[0].id, 'from the same sender')
    t.equal((await eventsOf(client, 'message.inbound')).length, 2)

    // The same ids on another connection are other messages of another sender.
    const other = await connect(client, messenger)
    t.equal((await deliver(service, other, messenger, webhook)).status, 200)
    t.equal((await eventsOf(client, 'message.inbound')).length, 3)
    t.equal((await client.get(`/platform-users?externalId=${from}`)).body.data.length, 2)
  })
}

t.test('a sender’s name follows the profile, whatever is in it', async (t) => {
  const messenger = await startHttpPlatform(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const nameAfter = async (message: object): Promise<string | null> => {
    const id = crypto.randomUUID()
    const webhook = httpWebhook({ messages: [{ id, from: 'ada', text: 'hi', ...message }] })
    const answer = await deliver(service, connection, messenger, webhook)
    t.equal(answer.status, 200, answer.text)
    return (await client.get('/platform-users?externalId=ada')).body.data[0].name
  }
  t.equal(await nameAfter({}), null)
  t.equal(await nameAfter({ name: 'Ada' }), 'Ada')
  t.equal(await nameAfter({ name: 'Ada Lovelace' }), 'Ada Lovelace')
  t.equal(await nameAfter({}), 'Ada Lovelace', 'a name that is not told stays')
  t.equal(await nameAfter({ name: 'A\0da \ud800' }), 'Ada \ufffd')
  const long = { name: `${'x'.repeat(199)}🎁` }
  t.match(await nameAfter(long), /^x{199}.?$/u, 'cut off')
  const [before] = (await client.get('/platform-users?externalId=ada')).body.data
  await nameAfter(long)
  const [after] = (await client.get('/platform-users?externalId=ada')).body.data
  t.strictSame(after, before, 'the same name is no change')
})

t.test('one WhatsApp webhook may hold many entries, messages and reports', async (t) => {
  const messenger = await startWhatsApp(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const [ada, bob] = ['16315551181', '16315551182']
  const at = { timestamp: '1748956200' }
  const webhook = whatsappWebhook(
    whatsappValue({
      contacts: [whatsappContact(bob, 'Bob'), whatsappContact(ada, 'Ada')],
      messages: [
        whatsappText('wamid.1', ada, 'one'),
        whatsappText('wamid.1', ada, 'one'),
        { from: bob, id: 'wamid.2', ...at, type: 'button', button: { text: 'two', payload: 'x' } },
        {
          from: bob,
          id: 'wamid.3',
          ...at,
          type: 'interactive',
          interactive: { type: 'list_reply', list_reply: { id: 'r', title: 'three' } },
        },
      ],
    }),
    whatsappValue({ statuses: [{ id: 'wamid.0', status: 'read', ...at, recipient_id: ada }] }),
    whatsappValue({
      contacts: [whatsappContact(ada, 'Ada')],
      messages: [
        { from: ada, id: 'wamid.4', ...at, type: 'image', image: { id: '1', caption: 'four' } },
        { from: ada, id: 'wamid.5', ...at, type: 'reaction', reaction: { message_id: 'x', emoji: '👍' } },
        { from: ada, id: 'wamid.6', ...at, type: 'location', location: { latitude: 1, longitude: 2 } },
        { from: ada, id: 'wamid.7', ...at, type: 'unsupported', errors: [{ code: 131_051 }] },
      ],
    }),
    { field: 'account_update' },
  )
  t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
  const events = await eventsOf(client, 'message.inbound')
  const texts = events.map(({ payload }) => [payload.external_message_id, payload.message.text])
  t.strictSame(
    new Map(texts as [string, string][]),
    new Map(
      Object.entries({
        'wamid.1': 'one',
        'wamid.2': 'two',
        'wamid.3': 'three',
        'wamid.4': 'four',
        'wamid.5': '',
        'wamid.6': '',
        'wamid.7': '',
      }),
    ),
  )
  t.equal(events.length, 7)
  t.equal(events[0].payload.sent_at, new Date(1_748_956_200_000).toISOString())
  for (const [from, name] of [
    [ada, 'Ada'],
    [bob, 'Bob'],
  ])
    t.match((await client.get(`/platform-users?externalId=${from}`)).body.data, [{ name }])
})

t.test('Slack’s own bots, edits and other events are no messages', async (t) => {
  const messenger = await startSlack(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const message = { type: 'message', channel: 'C1', user: 'U1', text: 'hi', ts: '1355517523.000005' }
  for (const event of [
    { ...message, bot_id: 'B1' },
    { ...message, subtype: 'bot_message', bot_id: 'B1' },
    { ...message, subtype: 'message_changed', message },
    { ...message, subtype: 'channel_join', user: 'U0123ABCDEF' },
    { type: 'reaction_added', user: 'U1', reaction: 'ok', item: { type: 'file', file: 'F1' } },
  ])
    t.equal((await deliver(service, connection, messenger, slackEvent(event))).status, 200)
  t.strictSame(await eventsOf(client, 'message.inbound'), [])
  // What people write with these is theirs all the same.
  for (const subtype of ['thread_broadcast', 'me_message'])
    await deliver(
      service,
      connection,
      messenger,
      slackEvent({ ...message, ts: `1.${subtype.length}`, subtype }),
    )
  t.equal((await eventsOf(client, 'message.inbound')).length, 2)
})
