import t from 'tap'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { connect, type Messenger } from '../../helpers/platforms/messenger.ts'
import { settled } from '../../helpers/platforms/messages.ts'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'

const TEXT = 'Your parcel is on its way: 5 > 3 & "ü" 🎁 +1%'
const SLACK_TEXT = 'Your parcel is on its way: 5 &gt; 3 &amp; "ü" 🎁 +1%'

/** What each platform documents that a message looks like. */
const REQUESTS: Record<string, (messenger: Messenger, eventId: string, ids: object) => object> = {
  whatsapp: ({ somebody }, eventId) => ({
    messaging_product: 'whatsapp',
    recipient_type: 'individual',
    to: somebody,
    type: 'text',
    text: { preview_url: false, body: TEXT },
    biz_opaque_callback_data: eventId,
  }),
  twilio: ({ somebody, settings }) => ({ To: somebody, Body: TEXT, From: settings['from'] }),
  slack: ({ somebody }) => ({ channel: somebody, text: SLACK_TEXT }),
  http: ({ somebody }, eventId, ids) => ({
    event_id: eventId,
    ...ids,
    to: somebody,
    message: { text: TEXT, role: 'assistant' },
  }),
}

for (const [platform, start] of PLATFORMS) {
  t.test(`a message is taken, sent as the platform has it, and completed (${platform})`, async (t) => {
    const api = await startService(t, { worker: false })
    const client = await api.client()
    const messenger = await start(t)
    const { id: platformConnectionId, ownUserId } = await connect(client, messenger)
    const answer = await client.post('/messages', {
      platformConnectionId,
      toExternalId: messenger.somebody,
      message: TEXT,
    })
    t.equal(answer.status, 201, answer.text)
    const { id, payload, edges, ...rest } = answer.body
    t.match(rest, { type: 'message.outbound', status: 'pending', processedAt: null, schemaValid: true })
    const { created_at: createdAt, ...said } = payload
    t.ok(Date.parse(createdAt) > 0)
    t.strictSame(said, {
      type: 'message',
      message: { text: TEXT, role: 'assistant' },
      platform,
      external_message_id: null,
      sent_at: null,
      delivered_at: null,
      read_at: null,
      failed_at: null,
      platform_connection_id: platformConnectionId,
    })
    const { body: known } = await client.get(
      `/platform-users?platformConnectionId=${platformConnectionId}&externalId=${encodeURIComponent(messenger.somebody)}`,
    )
    t.equal(known.data.length, 1)
    t.strictSame(edges, [
      { type: 'sent_by', targetType: 'user', targetId: ownUserId },
      { type: 'sent_to', targetType: 'platform_user', targetId: known.data[0].id },
    ])

    // Only now is there a worker.
    await startService(t, { databaseUrl: api.databaseUrl })
    const { event, deliveries, attempts } = await settled(client, id)
    t.equal(event.status, 'completed')
    t.match(deliveries, [
      { eventId: id, subscriptionId: platformConnectionId, status: 'succeeded', attempts: 1 },
    ])
    t.match(attempts, [{ number: 1, outcome: 'succeeded', error: null }])
    t.match(attempts[0].responseStatus, /^20[01]$/)

    t.match(messenger.taken, [{ to: messenger.somebody, text: TEXT }])
    const [request] = messenger.server.requests
    const isForm = platform === 'twilio'
    const sent: Record<string, unknown> = isForm
      ? Object.fromEntries(new URLSearchParams(request?.text))
      : JSON.parse(request?.text ?? '')
    const ids = { app_id: client.appId, platform_connection_id: platformConnectionId }
    // test/features/entities/sent-edges.test.ts has the edges.
    const { edges: _edges, edge_list: _list, ...content } = sent
    t.strictSame(content, REQUESTS[platform]?.(messenger, id, ids))
    t.equal(messenger.server.requests.length, 1)
  })

  t.test(`an Idempotency-Key sends a message once (${platform})`, async (t) => {
    const service = await startService(t)
    const client = await service.client()
    const messenger = await start(t)
    const { id: platformConnectionId } = await connect(client, messenger)
    const body = { platformConnectionId, toExternalId: messenger.somebody, message: 'once' }
    const headers = { 'idempotency-key': 'parcel-1' }
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => client.post('/messages', body, headers)),
    )
    const { event } = await settled(client, answers[0]?.body.id)
    const late = await client.post('/messages', body, headers)
    for (const answer of [...answers, late]) t.equal(answer.body.id, event.id)
    t.equal(answers.filter(({ status }) => status === 201).length, 1)
    t.strictSame([late.status, late.headers['idempotency-replayed']], [200, 'true'])
    t.equal(late.body.status, 'completed')
    for (const other of [
      { ...body, message: 'twice' },
      { ...body, toExternalId: 'another' },
      { ...body, message: { text: 'once', role: 'user' } },
    ]) {
      const conflict = { status: 409, type: 'idempotency-conflict' }
      expectProblem(t, await client.post('/messages', other, headers), conflict, JSON.stringify(other))
    }
    const { body: second } = await client.post('/messages', body)
    await settled(client, second.id)
    t.equal(messenger.taken.length, 2, 'the platform got one, and one without the key')
    t.equal((await client.get('/events?type=message.outbound')).body.data.length, 2)
  })
}

t.test('a message may go to a platform user, in a role, as an answer', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const messenger = await startHttpPlatform(t)
  const { id: platformConnectionId } = await connect(client, messenger)
  const { body: ada } = await client.post('/platform-users', { platformConnectionId, externalId: 'ada' })
  const { body: origin } = await client.post('/events', { type: 'order.placed', payload: {} })
  const { status, body } = await client.post('/messages', {
    platformConnectionId: platformConnectionId.toUpperCase(),
    toPlatformUserId: ada.id.toUpperCase(),
    message: { text: 'hello', role: 'agent' },
    originEventId: origin.id.toUpperCase(),
  })
  t.equal(status, 201)
  t.equal(body.originEventId, origin.id)
  t.equal(body.edges[1].targetId, ada.id)
  t.equal(body.payload.message.role, 'agent')
  await settled(client, body.id)
  t.match(messenger.taken, [{ to: 'ada', text: 'hello' }])
  t.match(JSON.parse(messenger.server.requests[0]?.text ?? ''), { message: { role: 'agent' } })
})

t.test('a message that cannot be sent is refused, and nothing is stored', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connections = new Map<string, string>()
  for (const [platform, start] of PLATFORMS) {
    connections.set(platform, (await connect(client, await start(t))).id)
  }
  const platformConnectionId = connections.get('http') as string
  const elsewhere = { platformConnectionId: connections.get('slack'), externalId: 'U1' }
  const { body: stranger } = await client.post('/platform-users', elsewhere)
  const good = { platformConnectionId, toExternalId: 'ada', message: 'hi' }
  const { toExternalId: _, ...noRecipient } = good

  for (const [platform, limit] of Object.entries({
    whatsapp: 4096,
    twilio: 1600,
    slack: 40_000,
    http: 40_000,
  })) {
    const to = { platformConnectionId: connections.get(platform), toExternalId: '+15551234567' }
    for (const message of ['x'.repeat(limit + 1), { text: 'x'.repeat(limit + 1) }])
      expectProblem(
        t,
        await client.post('/messages', { ...to, message }),
        { status: 400, type: 'validation-failed' },
        `${platform}: longer than ${limit}`,
      )
  }
  const bad: object[] = [
    noRecipient,
    { ...good, toPlatformUserId: stranger.id },
    { ...good, message: '' },
    { ...good, message: { text: '' } },
    { ...good, message: {} },
    { ...good, message: 'a\0b' },
    { ...good, message: 'half \ud800' },
    { ...good, toExternalId: '' },
    { ...good, toExternalId: 'x'.repeat(201) },
    { ...good, platformConnectionId: 'x' },
    { ...good, from: 'me' },
    {},
  ]
  for (const body of bad) {
    const answer = await client.post('/messages', body)
    expectProblem(t, answer, { status: 400, type: 'validation-failed' }, JSON.stringify(body).slice(0, 80))
  }
  expectProblem(
    t,
    await client.post('/messages', { ...noRecipient, toPlatformUserId: stranger.id }),
    { status: 400, type: 'validation-failed', pointers: ['/toPlatformUserId'] },
    'a platform user of another connection',
  )
  const nowhere = crypto.randomUUID()
  for (const [body, status, type] of [
    [{ ...good, platformConnectionId: nowhere }, 404, 'not-found'],
    [{ ...noRecipient, toPlatformUserId: nowhere }, 404, 'not-found'],
    [{ ...good, originEventId: nowhere }, 422, 'unknown-origin'],
  ] as const)
    expectProblem(t, await client.post('/messages', body), { status, type }, JSON.stringify(body))
  t.strictSame((await client.get('/events')).body.data, [])
  t.strictSame((await client.get('/deliveries')).body.data, [])

  const longest = {
    platformConnectionId: connections.get('twilio'),
    toExternalId: '+1',
    message: 'x'.repeat(1600),
  }
  t.equal((await client.post('/messages', longest)).status, 201, 'the longest text that the platform takes')
})

t.test('a message for the sandbox is appended, and nothing is sent', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const messenger = await startHttpPlatform(t)
  const { id } = await connect(client, messenger)
  const message = { platformConnectionId: id, toExternalId: messenger.somebody, message: TEXT }
  const { body: kept } = await client.post('/messages', { ...message, sandbox: true })
  t.match([kept.status, kept.payload.sandbox], ['completed', true])
  const { body: answer } = await client.post('/graphql', {
    query: `mutation { sendMessage(platformConnectionId: "${id}", toExternalId: "${messenger.somebody}", message: "x", sandbox: true) { event { status } } }`,
  })
  t.equal(answer.data.sendMessage.event.status, 'completed')
  const { body: sent } = await client.post('/messages', message)
  t.notOk('sandbox' in sent.payload)
  await settled(client, sent.id)
  t.equal(messenger.taken.length, 1, 'only the one after them')
})
