import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { dataOf, nodesOf } from '../features/graphql/graph.ts'
import { startHttpPlatform } from '../helpers/platforms/http.ts'
import { connect, deliver } from '../helpers/platforms/messenger.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { startService } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

// Each test is a section of the document; docs/conformance.md leads from its statements to here.

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const PERSON = '+14155551234'

/** A GraphQL text of the document to the letter, but for the ids in it, which are UUIDs as its Event Model says. */
function textOf(name: string, ids: Record<string, string> = {}): string {
  let text = readFileSync(join(import.meta.dirname, 'fixtures', `${name}.graphql`), 'utf8')
  for (const [documented, id] of Object.entries(ids)) text = text.replaceAll(documented, id)
  return text
}

/** An app with a messaging platform, on which somebody wrote to it. */
async function startConversation(t: Test) {
  const service = await startService(t)
  const client = await service.client()
  const messenger = await startHttpPlatform(t)
  const connection = await connect(client, messenger)
  const receive = async (text: string): Promise<void> => {
    const message = messenger.inbound({ id: `in-${text}`, from: PERSON, text, name: 'Ada' })
    const { status, text: answer } = await deliver(service, connection, messenger, message)
    if (status !== 200) throw new Error(answer)
  }
  await receive('Hello')
  return { service, client, messenger, connection, receive }
}

t.test('Event Model', async (t) => {
  const { client } = await startConversation(t)
  const { body } = await client.get('/events')
  const [event] = body.data
  t.match(event, {
    id: UUID,
    appId: client.appId,
    eventTypeId: UUID,
    status: 'completed',
    payload: { type: 'message' },
    originEventId: null,
    processedAt: TIME,
    createdAt: TIME,
  })
  const { eventSchemas } = await dataOf(client, textOf('event-schemas'))
  const schema = eventSchemas.find(({ id }: { id: string }) => id === event.eventTypeId)
  t.equal(schema?.name, 'message.inbound', 'event_type_id is the id of an EventSchema')
  const fields = 'id appId eventTypeId status payload originEventId processedAt createdAt'
  const { event: same } = await dataOf(client, `{ event(id: "${event.id}") { ${fields} } }`)
  t.strictSame(same, Object.fromEntries(fields.split(' ').map((name) => [name, event[name]])))
})

t.test('Event Types', async (t) => {
  const { client, connection } = await startConversation(t)
  await dataOf(client, textOf('send-message', { pc_abc123: connection.id }))
  const { body: log } = await client.get('/events?order=asc')
  const [inbound, outbound] = log.data

  t.test('Message Events: a message from a user and one to a user have the documented payload', async (t) => {
    t.strictSame([inbound.type, outbound.type], ['message.inbound', 'message.outbound'])
    const documented = [
      'type',
      'message',
      'platform',
      'external_message_id',
      'created_at',
      'sent_at',
      'delivered_at',
      'read_at',
      'failed_at',
    ]
    for (const { payload } of log.data) {
      t.strictSame(Object.keys(payload).slice(0, documented.length), documented)
      t.match(payload, { type: 'message', platform: 'http', created_at: TIME })
      t.equal(payload.failed_at, null)
    }
    t.match(inbound.payload, {
      message: { text: 'Hello', role: 'user' },
      external_message_id: 'in-Hello',
      sent_at: TIME,
    })
    t.match(outbound.payload.message, { text: 'Hello!', role: 'assistant' })
  })

  t.test('Link codes: a generated code has the documented payload, and its use is told', async (t) => {
    const { body: people } = await client.get(`/platform-users?externalId=${encodeURIComponent(PERSON)}`)
    const [{ id: platformUserId }] = people.data
    const { body: made } = await client.post('/link-codes', { platformUserId, expiryMinutes: 15, maxUses: 1 })
    const { body: generated } = await client.get(`/events/${made.eventId}`)
    t.equal(generated.type, 'link_code.generated')
    t.strictSame(generated.payload, {
      code: made.code,
      expiry_minutes: 15,
      max_uses: 1,
      uses: 0,
      generated_by_platform_user_id: platformUserId,
    })
    t.match(made.code, /^\d{4}-\d{4}-\d{4}-\d{4}$/)
    const other = await client.post('/platform-users', {
      platformConnectionId: connection.id,
      externalId: '+14155550000',
    })
    const used = await client.post('/link-codes/activate', {
      code: made.code,
      platformUserId: other.body.id,
    })
    t.equal(used.status, 200, used.text)
    const { body: told } = await client.get('/events?types=link_code.activation,user.merged&order=asc')
    t.strictSame(
      told.data.map(({ type }: { type: string }) => type),
      ['link_code.activation', 'user.merged'],
      'User Events: two user records were merged',
    )
  })

  t.test('Custom Events: names of the pattern that are not reserved', async (t) => {
    const append = (type: string) => client.post('/events', { type, payload: {} })
    const documented = ['order.created', 'payment.completed', 'support.ticket.opened', 'purchase']
    for (const type of [...documented, 'subscription.renewed', 'a_1.b_2']) {
      t.equal((await append(type)).status, 201, type)
    }
    for (const type of [
      'Order.created',
      'order-created',
      'order created',
      'bestellt.für',
      'order/created',
      '',
    ]) {
      t.equal((await append(type)).status, 400, JSON.stringify(type))
    }
    for (const prefix of ['message', 'user', 'system', 'link_code']) {
      t.equal((await append(`${prefix}.mine`)).status, 422, prefix)
      const name = `${prefix}.mine`
      t.equal((await client.post('/event-types', { name })).status, 422, `${prefix} as a schema`)
    }
  })
})

t.test('Event Relationships', async (t) => {
  const { service, client, messenger, connection } = await startConversation(t)
  const [event] = (await client.get('/events?type=message.inbound&include=entities')).body.data
  const edgeOf = (type: string) => event.edges.find((edge: { type: string }) => edge.type === type)
  t.match(edgeOf('sent_by'), { targetType: 'platform_user', entity: { externalId: PERSON } })
  t.match(edgeOf('sent_to'), { targetType: 'user', entity: { isSystem: true } })
  t.equal(edgeOf('attachment'), undefined)

  t.test('what came with a message is a file behind an attachment edge', async (t) => {
    const file = { id: 'F1', name: 'menu.txt', type: 'text/plain', content: Buffer.from('soup') }
    const message = messenger.inbound({ id: 'in-file', from: PERSON, text: 'Look', file })
    t.equal((await deliver(service, connection, messenger, message)).status, 200)
    const { events } = await dataOf(
      client,
      '{ events { edges { node { edges { edgeType targetFile { id filename mimeType sizeBytes } } } } } }',
    )
    const [{ edges }] = nodesOf(events)
    const attachment = edges.find(({ edgeType }: { edgeType: string }) => edgeType === 'attachment')
    t.match(attachment.targetFile, { filename: 'menu.txt', mimeType: 'text/plain', sizeBytes: 4 })
    t.equal((await client.get(`/files/${attachment.targetFile.id}/content`)).text, 'soup')
  })
})

t.test('Querying Events', async (t) => {
  const { client } = await startConversation(t)
  const { createEvent } = await dataOf(client, textOf('create-event'))
  const { body: log } = await client.get('/events')
  const [order, inbound] = log.data
  t.equal(order.id, createEvent.id)

  t.test('Get Recent Events', async (t) => {
    const { events } = await dataOf(client, textOf('recent-events'))
    t.strictSame(
      nodesOf(events),
      [order, inbound].map(({ id, type: eventType, payload, status, createdAt }) => {
        return { id, eventType, payload, status, createdAt }
      }),
    )
    t.match(events.pageInfo, { hasNextPage: false, endCursor: /./ })
  })

  t.test('Filter by Event Type', async (t) => {
    const { events } = await dataOf(client, textOf('by-event-type'))
    const { id, payload } = inbound
    t.strictSame(nodesOf(events), [{ id, eventType: 'message.inbound', payload }])
  })

  t.test('Filter by Date Range', async (t) => {
    const { events } = await dataOf(client, textOf('by-date-range'))
    t.strictSame(nodesOf(events), [], 'nothing is from then')
    const { events: now } = await dataOf(
      client,
      textOf('by-date-range', {
        '2024-01-01T00:00:00Z': inbound.createdAt,
        '2024-01-31T23:59:59Z': inbound.createdAt,
      }),
    )
    const { id, createdAt } = inbound
    t.strictSame(nodesOf(now), [{ id, eventType: 'message.inbound', createdAt }], 'both ends count')
  })

  t.test('Get Events with Edges', async (t) => {
    const { events } = await dataOf(client, textOf('with-edges'))
    const [{ edges, ...event }] = nodesOf(events)
    t.match(event, { id: inbound.id, eventType: 'message.inbound', payload: inbound.payload })
    t.match(
      edges.find(({ edgeType }: { edgeType: string }) => edgeType === 'sent_by'),
      { targetPlatformUser: { id: UUID, externalId: PERSON } },
    )
  })
})

t.test('Creating Events', async (t) => {
  const { client, messenger, connection } = await startConversation(t)

  t.test('Via Message API: a message.outbound with its edges', async (t) => {
    const { sendMessage } = await dataOf(client, textOf('send-message', { pc_abc123: connection.id }))
    t.match(sendMessage, { id: UUID, status: { success: true } })
    const { body: event } = await client.get(`/events/${sendMessage.id}`)
    t.equal(event.type, 'message.outbound')
    t.strictSame(event.edges.map(({ type }: { type: string }) => type).toSorted(), ['sent_by', 'sent_to'])
    await until(() => messenger.taken.length === 1, 'the platform has it')
    t.match(messenger.taken, [{ to: PERSON, text: 'Hello!' }])
  })

  t.test('Custom Events', async (t) => {
    const { createEvent } = await dataOf(client, textOf('create-event'))
    const payload = { order_id: 'order_12345', total: 99.99, currency: 'USD' }
    t.match(createEvent.id, UUID)
    t.strictSame({ ...createEvent, id: '' }, { id: '', eventType: 'order.created', payload })
    t.strictSame((await client.get(`/events/${createEvent.id}`)).body.payload, payload)
  })
})

t.test('Status Updates', async (t) => {
  const { service, client, messenger, connection } = await startConversation(t)
  const { sendMessage } = await dataOf(client, textOf('send-message', { pc_abc123: connection.id }))
  await until(() => messenger.taken.length === 1, 'the platform has it')
  const [taken] = messenger.taken
  if (!taken || !messenger.report) throw new Error('The platform reports nothing.')
  for (const status of ['delivered', 'read', 'failed'] as const) {
    await deliver(service, connection, messenger, messenger.report(taken, status))
  }
  const { event } = await dataOf(client, textOf('child-events', { evt_001: sendMessage.id }))
  t.match(event, { id: sendMessage.id, eventType: 'message.outbound' })
  t.match(event.childEvents, [
    { id: UUID, eventType: 'message.delivered', payload: { status: 'delivered', delivered_at: TIME } },
    { id: UUID, eventType: 'message.read', payload: { status: 'read', read_at: TIME } },
    { id: UUID, eventType: 'message.failed', payload: { status: 'failed', failed_at: TIME } },
  ])
  const { body: child } = await client.get(`/events/${event.childEvents[0].id}`)
  t.equal(child.originEventId, sendMessage.id, 'linked by origin_event_id')
  await until(async () => {
    const { body } = await client.get(`/events/${sendMessage.id}`)
    return body.status === 'completed' && body.processedAt !== null
  }, 'the parent is completed')
})

t.test('Event Schemas', async (t) => {
  const { client } = await startConversation(t)
  const stranger = await (await startConversation(t)).service.client()

  t.test('Built-in schemas are global: every app has them', async (t) => {
    for (const asker of [client, stranger]) {
      const { eventSchemas } = await dataOf(asker, textOf('event-schemas'))
      for (const name of [
        'message.inbound',
        'message.outbound',
        'link_code.generated',
        'link_code.activation',
      ]) {
        const schema = eventSchemas.find((one: { name: string }) => one.name === name)
        t.match(schema, { id: UUID, isGlobal: true, jsonSchema: { type: 'object' } }, name)
      }
    }
  })

  t.test('Custom schemas are the app’s own, with JSON Schema validation', async (t) => {
    const { createEventSchema } = await dataOf(client, textOf('create-event-schema'))
    t.match(createEventSchema, { id: UUID, name: 'order.created' })
    const { eventSchemas } = await dataOf(client, textOf('event-schemas'))
    const own = eventSchemas.filter(({ isGlobal }: { isGlobal: boolean }) => !isGlobal)
    const order = { type: 'string' }
    const total = { type: 'number', minimum: 0 }
    const currency = { type: 'string', enum: ['USD', 'EUR', 'GBP'] }
    const properties = { order_id: order, total, currency }
    const jsonSchema = { type: 'object', required: ['order_id', 'total'], properties }
    const { id } = createEventSchema
    t.strictSame(own, [{ id, name: 'order.created', jsonSchema, enforceValidation: true, isGlobal: false }])
    const { eventSchemas: theirs } = await dataOf(stranger, textOf('event-schemas'))
    t.notOk(theirs.some((one: { name: string }) => one.name === 'order.created'))

    const create = textOf('create-event')
    t.match(await dataOf(client, create), { createEvent: { id: UUID } })
    for (const wrong of ['total: -1', 'total: "99.99"']) {
      await t.rejects(dataOf(client, create.replace('total: 99.99', wrong)), /schema-violation/, wrong)
    }
    await t.rejects(dataOf(client, create.replace('USD', 'CHF')), /schema-violation/)
  })
})

t.test('Event Subscriptions', async (t) => {
  const { client, receive, connection } = await startConversation(t)
  const receiver = await startReceiver(t)
  const text = textOf('create-webhook-subscription')
  const { createWebhookSubscription } = await dataOf(
    client,
    text.replace('https://myapp.com/webhooks/outeract', receiver.url),
  )
  t.match(createWebhookSubscription, { id: UUID, name: 'My Webhook' })
  t.match(await dataOf(client, text), { createWebhookSubscription: { id: UUID, name: 'My Webhook' } })

  await receive('Hello!')
  const [request] = await receiver.waitFor(1)
  const body = JSON.parse(request?.text ?? '')
  const [event] = (await client.get('/events?type=message.inbound')).body.data
  const { body: people } = await client.get(`/platform-users?externalId=${encodeURIComponent(PERSON)}`)
  const documented = ['event_id', 'event_type', 'app_id', 'payload', 'edges', 'created_at']
  t.strictSame(
    Object.keys(body).filter((name) => documented.includes(name)),
    documented,
  )
  t.match(body, {
    event_id: event.id,
    event_type: 'message.inbound',
    app_id: client.appId,
    payload: { message: { text: 'Hello!' } },
    created_at: TIME,
  })
  t.strictSame(body.edges.sent_by, { platform_user_id: people.data[0].id, external_id: PERSON })

  t.test('order.* is matched too, and nothing else', async (t) => {
    await client.post('/events', { type: 'payment.completed', payload: {} })
    await dataOf(client, textOf('send-message', { pc_abc123: connection.id }))
    await dataOf(client, textOf('create-event'))
    const [, order] = await receiver.waitFor(2)
    t.match(JSON.parse(order?.text ?? ''), { event_type: 'order.created', edges: {} })
    t.equal(receiver.received.length, 2)
  })
})
