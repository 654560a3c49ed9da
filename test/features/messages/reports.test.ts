import t, { type Test } from 'tap'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import {
  connect,
  deliver,
  type Connection,
  type Messenger,
  type Status,
} from '../../helpers/platforms/messenger.ts'
import {
  childrenOf,
  childTypesOf,
  eventsOf,
  sendText,
  sendThrough,
  settled,
  tried,
} from '../../helpers/platforms/messages.ts'
import { startTwilio, twilioWebhook } from '../../helpers/platforms/twilio.ts'
import { startWhatsApp, whatsappValue, whatsappWebhook } from '../../helpers/platforms/whatsapp.ts'
import { startService, type Client } from '../../helpers/service.ts'

const PUBLIC_URL = 'https://events.example.com'
/** Slack reports nothing. */
const REPORTING: [string, (t: Test) => Promise<Messenger>][] = [
  ['whatsapp', startWhatsApp],
  ['twilio', startTwilio],
  ['http', startHttpPlatform],
]

const reportOf = (
  messenger: Messenger,
  ...[message, status]: Parameters<NonNullable<Messenger['report']>>
) => {
  if (!messenger.report) throw new Error(`${messenger.platform} reports nothing.`)
  return messenger.report(message, status)
}

interface Setup {
  service: Awaited<ReturnType<typeof startService>>
  client: Client
  messenger: Messenger
  connection: Connection
}

async function setUp(t: Test, start: (t: Test) => Promise<Messenger>): Promise<Setup> {
  const messenger = await start(t)
  const service = await startService(t, { settings: { PUBLIC_URL } })
  const client = await service.client()
  return { service, client, messenger, connection: await connect(client, messenger) }
}

for (const [platform, start] of REPORTING) {
  t.test(`each report becomes one child, however often it is repeated (${platform})`, async (t) => {
    const { service, client, messenger, connection } = await setUp(t, start)
    const report = (status: Status, eventId = messenger.taken[0]?.eventId) =>
      deliver(
        service,
        connection,
        messenger,
        reportOf(messenger, { id: messenger.taken[0]?.id ?? '', eventId }, status),
      )
    const message = await sendThrough(client, connection, messenger)
    t.equal(messenger.taken[0]?.eventId, message.id, 'the platform was told the event')
    const answers = await Promise.all(
      (['delivered', 'read', 'failed'] as const).flatMap((status) =>
        Array.from({ length: 8 }, () => report(status)),
      ),
    )
    t.strictSame([...new Set(answers.map(({ status }) => status))], [200])
    t.equal((await report('read')).status, 200)
    const children = await childrenOf(client, message.id)
    t.strictSame(await childTypesOf(client, message.id), [
      'message.delivered',
      'message.failed',
      'message.read',
    ])
    for (const { type, payload, originEventId, schemaValid, status } of children) {
      const name = type.split('.')[1]
      t.match(payload, { status: name, platform, external_message_id: messenger.taken[0]?.id })
      t.ok(Date.parse(payload[`${name}_at`]) > 0)
      t.strictSame([originEventId, schemaValid, status], [message.id, true, 'completed'])
      t.equal('error' in payload, name === 'failed')
    }
    const failed = children.find(({ type }) => type === 'message.failed')
    t.match(failed.payload.error, { code: /^\w+$/, message: /\S/ })
    t.equal((await client.get(`/events/${message.id}`)).body.status, 'completed', 'the platform took it')
  })

  t.test(`a report may come before the request was answered (${platform})`, async (t) => {
    const { service, client, messenger, connection } = await setUp(t, start)
    const statuses: number[] = []
    messenger.server.beforeAnswer = async () => {
      const last = messenger.taken.at(-1)
      if (!last) return
      const answer = await deliver(service, connection, messenger, reportOf(messenger, last, 'delivered'))
      statuses.push(answer.status)
    }
    const message = await sendThrough(client, connection, messenger)
    t.strictSame(statuses, [200])
    t.match(await childrenOf(client, message.id), [
      { type: 'message.delivered', payload: { external_message_id: messenger.taken[0]?.id } },
    ])
  })

  t.test(`without what the platform was told, its own id is enough (${platform})`, async (t) => {
    const { service, client, messenger, connection } = await setUp(t, start)
    const message = await sendThrough(client, connection, messenger)
    const { id = '' } = messenger.taken[0] ?? {}
    const webhook = reportOf(messenger, { id, eventId: undefined }, 'delivered')
    t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
    t.match(await childrenOf(client, message.id), [{ type: 'message.delivered' }])
  })

  t.test(
    `a report on a message that is not known is taken and kept, with no child of another (${platform})`,
    async (t) => {
      const { service, client, messenger, connection } = await setUp(t, start)
      const other = await connect(client, { ...messenger, settings: { ...messenger.settings } })
      const stranger = await service.client()
      const theirs = await connect(stranger, messenger)
      const message = await sendThrough(client, connection, messenger)
      const { id = '' } = messenger.taken[0] ?? {}
      const plain = (await client.post('/events', { type: 'order.placed', payload: {} })).body.id
      for (const [from, reported] of [
        [connection, { id: 'SM-unknown', eventId: undefined }],
        [connection, { id: 'SM-unknown', eventId: crypto.randomUUID() }],
        [connection, { id: 'SM-unknown', eventId: 'no-uuid' }],
        [connection, { id: 'SM-unknown', eventId: plain }],
        [other, { id, eventId: message.id }],
        [theirs, { id, eventId: message.id }],
      ] as const) {
        const webhook = reportOf(messenger, reported, 'delivered')
        t.equal((await deliver(service, from, messenger, webhook)).status, 200, JSON.stringify(reported))
      }
      t.strictSame(await childrenOf(client, message.id), [])
      const log = (await client.get('/events')).body.data.map(({ type }: { type: string }) => type)
      const others = log.filter((type: string) => type !== 'system.platform.skipped')
      t.strictSame(others.toSorted(), ['message.outbound', 'order.placed'])
      const kept = await eventsOf(client, 'system.platform.skipped')
      t.ok(kept.some(({ payload }) => JSON.stringify(payload.item).includes('SM-unknown')))
      for (const { payload } of kept) t.match(payload, { platform, reason: /not known/ })
      t.equal((await eventsOf(stranger, 'system.platform.skipped')).length, 1, 'each in its own app')
      t.equal((await stranger.get('/events')).body.data.length, 1)
    },
  )

  t.test(
    `what the worker gave up and the platform calls failed too has one child (${platform})`,
    async (t) => {
      const { service, client, messenger, connection } = await setUp(t, start)
      messenger.server.script = messenger.answers.final.slice(0, 1)
      const message = await sendText(client, connection, messenger.somebody)
      await settled(client, message.id)
      const webhook = reportOf(messenger, { id: 'late', eventId: message.id }, 'failed')
      t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
      t.equal((await childrenOf(client, message.id)).length, 1)
    },
  )
}

t.test('one WhatsApp webhook may report on many messages, of some more than once', async (t) => {
  const { service, client, messenger, connection } = await setUp(t, startWhatsApp)
  const messages = [
    await sendThrough(client, connection, messenger),
    await sendThrough(client, connection, messenger),
  ]
  const [first = { id: '' }, second = { id: '' }] = messenger.taken
  const of = (id: string, status: string) => ({ id, status, timestamp: '1748956300', recipient_id: '1' })
  const webhook = whatsappWebhook(
    whatsappValue({ statuses: [of(first.id, 'sent'), of(first.id, 'delivered'), of(first.id, 'delivered')] }),
    whatsappValue({ statuses: [of(second.id, 'delivered'), of(second.id, 'read'), of('other', 'read')] }),
  )
  t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
  t.strictSame(await childTypesOf(client, messages[0].id), ['message.delivered'])
  t.strictSame(await childTypesOf(client, messages[1].id), ['message.delivered', 'message.read'])
  const [child] = await childrenOf(client, messages[0].id)
  t.equal(child.payload.delivered_at, new Date(1_748_956_300_000).toISOString(), 'when the platform says')
  t.match(await eventsOf(client, 'system.platform.skipped'), [{ payload: { item: of('other', 'read') } }])
})

t.test('what Twilio calls undelivered failed; what is on its way is no report', async (t) => {
  const { service, client, messenger, connection } = await setUp(t, startTwilio)
  const message = await sendThrough(client, connection, messenger)
  const callback = new URLSearchParams(messenger.server.requests[0]?.text).get('StatusCallback')
  t.equal(callback, `${PUBLIC_URL}/platform-connections/${connection.id}/webhook?eventId=${message.id}`)
  const call = (status: string) => {
    const form = { MessageSid: messenger.taken[0]?.id ?? '', MessageStatus: status, ErrorCode: '30005' }
    return deliver(service, connection, messenger, twilioWebhook(form, `?eventId=${message.id}`))
  }
  for (const status of ['accepted', 'queued', 'sending', 'sent']) t.equal((await call(status)).status, 200)
  t.strictSame(await childrenOf(client, message.id), [])
  t.equal((await call('undelivered')).status, 200)
  t.match(await childrenOf(client, message.id), [
    { type: 'message.failed', payload: { error: { code: '30005' } } },
  ])
})

t.test('a report that cannot be stored as it is does no harm', async (t) => {
  const { service, client, messenger, connection } = await setUp(t, startHttpPlatform)
  messenger.server.script = ['hang']
  const message = await sendText(client, connection, messenger.somebody)
  await tried(client, message.id, 1)
  for (const id of ['zero \0', 'half \ud800', 'x'.repeat(200)]) {
    const webhook = reportOf(messenger, { id, eventId: undefined }, 'read')
    const { status, text } = await deliver(service, connection, messenger, webhook)
    t.ok(status < 500, `${JSON.stringify(id)}: ${status} ${text}`)
  }
  t.strictSame(await childrenOf(client, message.id), [])
})
