import { randomBytes } from 'node:crypto'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { sql } from 'kysely'
import t from 'tap'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { childrenOf, sendText, sendThrough, settled } from '../../helpers/platforms/messages.ts'
import { startSlack } from '../../helpers/platforms/slack.ts'
import { graphError, startWhatsApp } from '../../helpers/platforms/whatsapp.ts'
import { jsonReply, type Reply } from '../../helpers/platforms/server.ts'
import { startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

for (const [platform, start] of PLATFORMS) {
  t.test(`a worker that dies after the platform’s answer does not send twice (${platform})`, async (t) => {
    const messenger = await start(t)
    const service = await startService(t)
    const client = await service.client()
    const connection = await connect(client, messenger)
    const message = await sendThrough(client, connection, messenger)
    const { rows } = await sql<{ id: string }>`
      select external_message_id as id from sent_messages where event_id = ${message.id}`.execute(
      service.platform.db,
    )
    t.strictSame(rows, [{ id: messenger.taken[0]?.id }], 'which message it became was kept')

    // As if the worker had died before it recorded the outcome.
    await sql`
      update deliveries set status = 'pending', completed_at = null, attempts = 0, lease_until = now(),
                            next_attempt_at = now(), due_at = now()
       where event_id = ${message.id}`.execute(service.platform.db)
    const { event, deliveries } = await settled(client, message.id)
    t.match([event.status, deliveries], ['completed', [{ status: 'succeeded', attempts: 1 }]])
    t.equal(messenger.server.requests.length, 1, 'nothing is sent again')
    t.strictSame(await childrenOf(client, message.id), [])
  })
}

t.test('a worker that dies after it gave up tells of it once', async (t) => {
  const messenger = await startHttpPlatform(t)
  const service = await startService(t)
  const client = await service.client()
  const connection = await connect(client, messenger)
  const message = await sendText(client, connection, messenger.nobody)
  await settled(client, message.id)
  await sql`
    update deliveries set status = 'pending', completed_at = null, attempts = 0, lease_until = now(),
                          next_attempt_at = now(), due_at = now()`.execute(service.platform.db)
  const { event, deliveries } = await settled(client, message.id)
  t.match([event.status, deliveries], ['failed', [{ status: 'dead', attempts: 1 }]])
  t.equal(messenger.server.requests.length, 2, 'it was tried again')
  t.equal((await childrenOf(client, message.id)).length, 1)
})

/** What no platform should answer, but one may. It took the message. */
const ODD: [string, Reply][] = [
  ['an id that is long', jsonReply(201, { id: randomBytes(6000).toString('base64') })],
  ['an id with a zero character', jsonReply(201, { id: 'a\0b' })],
  ['half a surrogate pair', jsonReply(201, { id: '\ud800' })],
  ['a number', jsonReply(201, { id: 7 })],
  ['no id', jsonReply(204, {})],
  ['no JSON', { status: 200, body: 'OK \0' }],
  ['null', { status: 200, body: 'null' }],
]

for (const [what, reply] of ODD) {
  t.test(`a message is sent once, whatever the platform calls it: ${what}`, async (t) => {
    const messenger = await startHttpPlatform(t)
    const service = await startService(t)
    const client = await service.client()
    const connection = await connect(client, messenger)
    messenger.server.script = [reply]
    const message = await sendText(client, connection, 'ada')
    await messenger.server.waitFor(1)
    await until(async () => {
      const { body } = await client.get(`/events/${message.id}`)
      return body.status === 'completed' || messenger.server.requests.length > 1
    }, 'it is completed, or sent again')
    t.equal(messenger.server.requests.length, 1)
    t.equal((await client.get(`/events/${message.id}`)).body.status, 'completed')
  })
}

t.test('an error that is not what the platform documents harms no other message', async (t) => {
  const messenger = await startWhatsApp(t)
  const service = await startService(t, { settings: { DELIVERY_RETRY_SCHEDULE: '10ms' } })
  const [client, neighbour] = [await service.client(), await service.client()]
  const replies = [
    jsonReply(400, { error: { message: { text: 'an object' }, code: 100 } }),
    jsonReply(400, { error: { message: 5, code: '100' } }),
    jsonReply(400, { error: { message: null, code: null } }),
    jsonReply(400, { error: 'a text', messages: 5 }),
    jsonReply(400, [null]),
    graphError(400, 100, 'zero \0 and half \ud800'),
  ]
  const connection = await connect(client, messenger)
  const theirs = await connect(neighbour, { ...(await startHttpPlatform(t)) })
  for (const reply of replies) {
    messenger.server.script = [reply]
    const message = await sendText(client, connection, messenger.somebody)
    const [{ event, deliveries }, other] = await Promise.all([
      settled(client, message.id),
      sendText(neighbour, theirs, 'ada').then(({ id }) => settled(neighbour, id)),
    ])
    t.match([event.status, deliveries], ['failed', [{ status: 'dead', attempts: 1 }]], String(reply.body))
    t.match(await childrenOf(client, message.id), [
      { type: 'message.failed', schemaValid: true, payload: { error: { message: /\S/ } } },
    ])
    t.match([other.event.status, other.deliveries], ['completed', [{ attempts: 1 }]], 'the neighbour')
  }
  t.equal(messenger.server.requests.length, replies.length, 'each was sent once')
})

/** What Slack answers of a message: what it was told, once more, in two forms. */
const slackAnswer = (text: string): string =>
  JSON.stringify({
    ok: true,
    channel: 'C123ABC456',
    ts: '1503435956.000247',
    message: { text, type: 'message', blocks: [{ type: 'rich_text', elements: [{ text, type: 'text' }] }] },
  })

const LONG = 'Grüße, "Welt"! '.repeat(2_500)
const SLACK_ANSWERS: [string, Reply][] = [
  ['gzip', { status: 200, headers: { 'content-encoding': 'gzip' }, body: gzipSync(slackAnswer('hi')) }],
  [
    'brotli',
    { status: 200, headers: { 'content-encoding': 'br' }, body: brotliCompressSync(slackAnswer('hi')) },
  ],
  ['an answer that is longer than what is kept of it', { status: 200, body: slackAnswer(LONG) }],
  [
    'a long answer in gzip',
    { status: 200, headers: { 'content-encoding': 'gzip' }, body: gzipSync(slackAnswer(LONG)) },
  ],
]

for (const [what, reply] of SLACK_ANSWERS) {
  t.test(`Slack is understood, and its message is posted once: ${what}`, async (t) => {
    const messenger = await startSlack(t)
    const service = await startService(t)
    const client = await service.client()
    const connection = await connect(client, messenger)
    messenger.server.script = [reply]
    const message = await sendText(client, connection, messenger.somebody)
    const { deliveries } = await settled(client, message.id)
    t.match(deliveries, [{ status: 'succeeded', attempts: 1 }])
    t.equal(messenger.server.requests.length, 1)
    t.equal(messenger.server.requests[0]?.headers['accept-encoding'], 'identity')
    const { rows } = await sql<{ id: string }>`
      select external_message_id as id from sent_messages where event_id = ${message.id}`.execute(
      service.platform.db,
    )
    t.strictSame(rows, [{ id: 'C123ABC456:1503435956.000247' }], 'the id of the message is kept')
    const { body } = await client.get(`/deliveries/${deliveries[0]?.id}/attempts`)
    t.match(body.data[0].responseBody, /^\{"ok":true,"channel"/, 'the attempt has text')
    t.ok(Buffer.byteLength(body.data[0].responseBody) <= 16_384)
  })
}
