import { createHash } from 'node:crypto'
import t from 'tap'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { httpWebhook, startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect, deliver, type SentFile } from '../../helpers/platforms/messenger.ts'
import { eventsOf } from '../../helpers/platforms/messages.ts'
import { slackEvent, startSlack } from '../../helpers/platforms/slack.ts'
import { startTwilio, twilioWebhook } from '../../helpers/platforms/twilio.ts'
import { startWhatsApp, whatsappValue, whatsappWebhook } from '../../helpers/platforms/whatsapp.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService } from '../../helpers/service.ts'
import { dataOf } from '../graphql/graph.ts'

const INVOICE: SentFile = {
  id: 'F0RDC39U1',
  name: 'Rechnung März.pdf',
  type: 'application/pdf',
  content: Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251)),
}
const sha256 = createHash('sha256').update(INVOICE.content).digest('hex')
const PUBLIC_URL = 'https://events.example.com'

for (const [platform, start] of PLATFORMS) {
  t.test(`what comes with a message becomes a file and an attachment edge (${platform})`, async (t) => {
    const messenger = await start(t)
    const service = await startService(t, { settings: { PUBLIC_URL } })
    const client = await service.client()
    const connection = await connect(client, messenger)
    const receiver = await startReceiver(t)
    await client.subscribe(receiver.url, ['message.inbound'])
    const id = platform === 'slack' ? '1355517523.000005' : 'MSG1'
    const webhook = messenger.inbound({ id, from: 'U2147483697', text: 'see there', file: INVOICE })
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => deliver(service, connection, messenger, webhook)),
    )
    answers.push(await deliver(service, connection, messenger, webhook))
    t.strictSame([...new Set(answers.map(({ status }) => status))], [200])

    const { body: page } = await client.get('/files')
    t.equal(page.data.length, 1, 'a webhook that comes again makes no second file')
    const [file] = page.data
    const [knowsName, knowsSize, knowsHash] = [
      platform !== 'twilio',
      platform === 'slack' || platform === 'http',
      platform === 'whatsapp' || platform === 'http',
    ]
    t.strictSame(file, {
      id: file.id,
      filename: knowsName ? INVOICE.name : 'document.pdf',
      mimeType: INVOICE.type,
      sizeBytes: knowsSize ? INVOICE.content.length : null,
      url: `${PUBLIC_URL}/files/${file.id}/content`,
      sha256: knowsHash ? sha256 : null,
      platformConnectionId: connection.id,
      externalId: INVOICE.id,
      metadata: {},
      createdAt: file.createdAt,
      updatedAt: file.createdAt,
    })

    const events = await eventsOf(client, 'message.inbound')
    t.equal(events.length, 1)
    const [{ payload, edges, schemaValid }] = events
    t.equal(schemaValid, true)
    t.strictSame(edges.slice(2), [{ type: 'attachment', targetType: 'file', targetId: file.id }])
    t.equal(payload.message.text, 'see there')
    const { filename: name, mimeType, sizeBytes } = file
    const listed = { file_id: file.id, name, mime_type: mimeType, size_bytes: sizeBytes }
    t.strictSame(payload.attachments, [listed])

    const [request] = await receiver.waitFor(1)
    const sent = JSON.parse(request?.text ?? '')
    t.strictSame(sent.edges.attachment, { file_id: file.id, name, type: mimeType, url: file.url })
    const graph = await dataOf(
      client,
      `{ events { edges { node { edges {
        edgeType targetFile { id filename url externalId platformConnectionId }
      } } } } }`,
    )
    const { edges: nodes } = graph.events.edges[0].node
    t.match(nodes[2], {
      edgeType: 'attachment',
      targetFile: { id: file.id, filename: name, url: file.url, externalId: INVOICE.id },
    })
    t.strictSame(messenger.server.requests, [], 'nothing was asked of the platform')
  })
}

t.test('a message without attachments has none, and several come in their order', async (t) => {
  const messenger = await startHttpPlatform(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const file = (id: string | undefined, name: string) => ({
    id,
    name,
    url: `${messenger.server.url}/${name}`,
  })
  const attachments = [file('z', 'first'), file(undefined, 'second'), file('a', 'third'), file('z', 'again')]
  const webhook = httpWebhook({
    messages: [
      { id: 'm1', from: 'ada', text: 'three', attachments },
      { id: 'm2', from: 'ada', text: 'none' },
      { id: 'm3', from: 'bob', text: 'the same', attachments: [file('a', 'third')] },
    ],
  })
  t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
  const { body: log } = await client.get('/events?order=asc&include=entities')
  const filesOf = ({ edges }: { edges: { type: string; entity: { externalId: string } }[] }) =>
    edges.filter(({ type }) => type === 'attachment').map(({ entity }) => entity.externalId)
  t.strictSame(log.data.map(filesOf), [['z', 'm1/1', 'a'], [], ['a']])
  t.strictSame(
    log.data.map(({ payload }: { payload: { attachments: { name: string }[] } }) =>
      payload.attachments.map(({ name }) => name),
    ),
    [['first', 'second', 'third'], [], ['third']],
  )
  t.equal((await client.get('/files')).body.data.length, 3, 'what has the same id is the same file')

  const other = await connect(client, messenger)
  t.equal((await deliver(service, other, messenger, webhook)).status, 200)
  t.equal((await client.get('/files')).body.data.length, 6, 'ids are those of one connection')
})

t.test('whatever is wrong with an attachment, the message is kept', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()

  t.test('of WhatsApp', async (t) => {
    const messenger = await startWhatsApp(t)
    const connection = await connect(client, messenger)
    const media: unknown[] = [
      { id: '1', mime_type: 'image/svg+xml', sha256: 'short' },
      { id: '2', filename: `a\0\ud800${'x'.repeat(300)}`, mime_type: 'x'.repeat(300) },
      { id: '', mime_type: 'image/png' },
      { id: 7 },
      { id: '\ud800' },
      { id: 'x'.repeat(501) },
      {},
      null,
      'x',
      { id: '3', filename: ' ', mime_type: {} },
    ]
    const at = { from: '16315551181', timestamp: '1748956200', type: 'image' }
    const messages = media.map((image, index) => ({ ...at, id: `wamid.${index}`, image }))
    const webhook = whatsappWebhook(whatsappValue({ messages }))
    t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
    const events = await eventsOf(client, 'message.inbound')
    t.equal(events.length, media.length)
    const attached = events.toReversed().flatMap(({ payload }) => payload.attachments)
    t.strictSame(
      new Map(attached.map(({ name, mime_type: type }) => [name, type])),
      new Map([
        ['attachment', null],
        ['image.svg', 'image/svg+xml'],
        [`a\ufffd${'x'.repeat(253)}`, 'x'.repeat(200)],
      ]),
    )
  })

  t.test('of Slack and Twilio', async (t) => {
    const slack = await startSlack(t)
    const connection = await connect(client, slack)
    for (const [index, files] of [
      'x',
      null,
      {},
      [null, 7, {}, { id: 'F1', size: -1, url_private: 'no URL' }],
    ].entries()) {
      const ts = `1355517523.00000${index}`
      const event = {
        type: 'message',
        subtype: 'file_share',
        channel: 'D024BE91L',
        user: 'U2',
        ts,
        text: '',
        files,
      }
      t.equal((await deliver(service, connection, slack, slackEvent(event))).status, 200)
    }
    const twilio = await startTwilio(t)
    const other = await connect(client, twilio)
    for (const [index, form] of [{ NumMedia: '-1' }, { NumMedia: '1e9' }, { NumMedia: 'x' }].entries()) {
      const webhook = twilioWebhook({ ...form, MessageSid: `SM${index}`, From: '+1', Body: '' })
      t.equal((await deliver(service, other, twilio, webhook)).status, 200)
    }
    const events = await eventsOf(client, 'message.inbound')
    const attached = events
      .filter(({ payload }) => payload.platform !== 'whatsapp')
      .map(({ payload }) => payload.attachments.map(({ name }: { name: string }) => name))
    t.equal(attached.length, 7)
    t.strictSame(attached.flat(), ['attachment'])
  })

  t.test('but a platform of one’s own is told', async (t) => {
    const messenger = await startHttpPlatform(t)
    const connection = await connect(client, messenger)
    for (const attachment of [{}, { url: 'javascript:alert(1)' }, { url: 'https://a:b@example.com/' }, 7]) {
      const webhook = httpWebhook({
        messages: [{ id: 'm', from: 'ada', text: '', attachments: [attachment] }],
      })
      const answer = await deliver(service, connection, messenger, webhook)
      expectProblem(t, answer, { status: 400, type: 'validation-failed' }, JSON.stringify(attachment))
    }
    t.strictSame((await client.get(`/platform-users?externalId=ada`)).body.data, [], 'nothing was stored')
  })
})

t.test('the url of a file that came with a message stays; all else may be changed', async (t) => {
  const messenger = await startHttpPlatform(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger)
  await deliver(service, connection, messenger, messenger.inbound({ id: 'm', from: 'ada', file: INVOICE }))
  const [file] = (await client.get('/files')).body.data
  t.equal(file.url, `/files/${file.id}/content`, 'without PUBLIC_URL it is a path')
  const conflict = { status: 409, type: 'conflict' }
  expectProblem(t, await client.patch(`/files/${file.id}`, { url: 'https://example.com/' }), conflict, 'url')
  expectProblem(t, await client.patch(`/files/${file.id}`, { url: null }), conflict, 'no url')
  const { body: changed } = await client.patch(`/files/${file.id}`, { filename: 'a.pdf', metadata: { a: 1 } })
  t.strictSame(changed, { ...file, filename: 'a.pdf', metadata: { a: 1 }, updatedAt: changed.updatedAt })
  t.equal((await client.get(`/files/${file.id}/content`)).status, 200)
})
