import t, { type Test } from 'tap'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect, deliver } from '../../helpers/platforms/messenger.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'
import { dataOf, fixture, nodesOf, pick } from './graph.ts'

// The files in fixtures/ are the queries of docs.outeract.com; only ids are replaced.

const AT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** A message that came, one that went and was delivered, and an event with every kind of edge. */
async function startConversation(t: Test) {
  const service = await startService(t)
  const client = await service.client()
  const messenger = await startHttpPlatform(t)
  const connection = await connect(client, messenger, { detectLinkCodes: false })
  const came = messenger.inbound({ id: 'in-1', from: '+14155551234', text: 'Hi', name: 'John Doe' })
  const taken = await deliver(service, connection, messenger, came)
  t.equal(taken.status, 200, taken.text)
  const { body: file } = await client.post('/files', {
    filename: 'invoice.pdf',
    mimeType: 'application/pdf',
    url: 'https://example.com/invoice.pdf',
  })
  const { body: people } = await client.get('/platform-users?externalId=%2B14155551234')
  const [john] = people.data
  const { body: order } = await client.post('/events', {
    type: 'order.paid',
    payload: { order_id: 'A-1', lines: [{ sku: 'W', price: 49.99 }] },
    edges: [
      { type: 'placed_by', targetType: 'platform_user', targetId: john.id },
      { type: 'paid_by', targetType: 'user', targetId: john.userId },
      { type: 'attachment', targetType: 'file', targetId: file.id },
      { type: 'shipped_from', targetType: 'warehouse', targetId: 'north' },
      { type: 'attachment', targetType: 'file', targetId: crypto.randomUUID() },
    ],
  })
  return { service, client, messenger, connection, john, file, order }
}

/** All of REST's events, oldest first, once each of them is done. */
const settledEvents = (client: Client, query = '') =>
  until(async () => {
    const { body } = await client.get(`/events?include=entities&order=asc&limit=100${query}`)
    const events: Awaited<ReturnType<Client['get']>>['body'][] = body.data
    return events.every(({ status }) => status === 'completed') && events
  }, 'every event is completed')

const KINDS: Record<string, string> = { user: 'USER', platform_user: 'PLATFORM_USER', file: 'FILE' }
const kindOf = (targetType: string): string => KINDS[targetType] ?? targetType

t.test('messages: sent, listed and looked into', async (t) => {
  const { service, client, messenger, connection, order } = await startConversation(t)
  const ids = { pc_abc123: connection.id }
  const { sendMessage } = await dataOf(client, fixture('send-message', ids))
  t.equal(sendMessage.status.success, true)
  await settledEvents(client)
  t.match(messenger.taken, [{ to: '+14155551234', text: 'Hello from Outeract!', eventId: sendMessage.id }])
  const report = messenger.report?.(messenger.taken[0] ?? { id: '', eventId: '' }, 'delivered')
  if (report) await deliver(service, connection, messenger, report)
  const rest = await settledEvents(client)
  t.strictSame(
    rest.map(({ type }) => type),
    ['message.inbound', 'order.paid', 'message.outbound', 'message.delivered'],
  )

  t.test('List Events', async (t) => {
    const variables = {
      first: 20,
      after: null,
      filters: { eventType: { contains: 'message' }, createdAt: { gte: '2024-01-01T00:00:00Z' } },
    }
    const { events } = await dataOf(client, fixture('events'), variables)
    const { body: page } = await client.get('/events?typeContains=message&include=entities&first=20')
    const cursors: string[] = []
    const edgeIds = new Set<string>()
    const found = events.edges.map(
      ({ node, cursor }: { node: { edges: { id: string }[] }; cursor: string }) => {
        cursors.push(cursor)
        for (const { id } of node.edges) edgeIds.add(id)
        const edges = node.edges.map((edge) => pick(edge, 'edgeType', 'targetNodeType', 'targetPlatformUser'))
        return Object.assign(node, { edges })
      },
    )
    let edges = 0
    const wanted = page.data.map((event: (typeof rest)[0]) => ({
      ...pick(event, 'id', 'payload', 'status', 'createdAt', 'processedAt'),
      eventType: event.type,
      edges: event.edges.map(({ type, targetType, entity }: (typeof rest)[0]) => {
        edges++
        const isPerson = targetType === 'platform_user'
        return {
          edgeType: type,
          targetNodeType: kindOf(targetType),
          targetPlatformUser: isPerson ? pick(entity, 'id', 'externalId', 'name') : null,
        }
      }),
    }))
    t.strictSame(found, wanted)
    t.equal(found.length, 3)
    t.equal(edgeIds.size, edges, 'every edge has an id of its own')
    t.strictSame(events.pageInfo, {
      hasNextPage: false,
      hasPreviousPage: false,
      startCursor: cursors[0],
      endCursor: page.pageInfo.endCursor,
    })
    t.equal(cursors.at(-1), page.pageInfo.endCursor)
    t.equal(new Set(cursors).size, 3)
    t.equal(events.totalCount, 3)
  })

  t.test('Query Events', async (t) => {
    const { events } = await dataOf(client, fixture('recent-events'))
    const { body: page } = await client.get('/events?typeContains=message&include=entities&first=20')
    const wanted = page.data.map((event: (typeof rest)[0]) => ({
      ...pick(event, 'id', 'payload', 'createdAt'),
      eventType: event.type,
      edges: event.edges.map(({ type, targetType, entity }: (typeof rest)[0]) => ({
        edgeType: type,
        targetPlatformUser: targetType === 'platform_user' ? pick(entity, 'externalId') : null,
      })),
    }))
    t.strictSame(nodesOf(events), wanted)
    t.equal(wanted.length, 3)
    t.strictSame(events.pageInfo, page.pageInfo)
  })

  t.test('Get Single Event', async (t) => {
    for (const event of rest) {
      const found = await dataOf(client, fixture('event'), { id: event.id })
      const { body: children } = await client.get(`/events/${event.id}/children?order=asc`)
      const origin = rest.find(({ id }) => id === event.originEventId)
      t.strictSame(
        found.event,
        {
          ...pick(event, 'id', 'payload', 'status', 'createdAt'),
          eventType: event.type,
          originEvent: origin ? { id: origin.id, eventType: origin.type } : null,
          childEvents: children.data.map((child: (typeof rest)[0]) =>
            Object.assign(pick(child, 'id', 'createdAt'), { eventType: child.type }),
          ),
          edges: event.edges.map(({ type, targetType, entity }: (typeof rest)[0]) => ({
            edgeType: type,
            targetNodeType: kindOf(targetType),
            targetUser: targetType === 'user' ? pick(entity, 'id', 'name') : null,
            targetPlatformUser: targetType === 'platform_user' ? pick(entity, 'id', 'externalId') : null,
            targetFile: targetType === 'file' ? pick(entity, 'id', 'filename', 'mimeType', 'url') : null,
          })),
        },
        event.type,
      )
    }
    const [, , sent, delivered] = rest
    t.equal(delivered.originEventId, sent.id, 'one of them has an origin')
    t.equal(rest[1].id, order.id)
    t.equal(order.edges.length, 5, 'one of them has every kind of edge')
  })

  t.test('the message has its id on the platform once it was sent', async (t) => {
    const again = `mutation { sendMessage(platformConnectionId: "${connection.id}" toExternalId: "ada"
      message: "once" idempotencyKey: "once") { id status { success externalMessageId } } }`
    const first = await dataOf(client, again)
    await settledEvents(client)
    const second = await dataOf(client, again)
    t.equal(second.sendMessage.id, first.sendMessage.id)
    t.strictSame(second.sendMessage.status, { success: true, externalMessageId: messenger.taken[1]?.id })
  })
})

t.test('the application, its people and its connections', async (t) => {
  const { client, connection, john } = await startConversation(t)
  const { body: connections } = await client.get('/platform-connections')
  const { body: users } = await client.get('/users')
  const { body: people } = await client.get('/platform-users')
  const ofConnection = { id: connection.id, platformName: 'http' }
  t.equal(people.data.length, 2)
  t.equal(users.data.length, 2)

  const { application } = await dataOf(client, fixture('application'))
  const listed = { ...ofConnection, name: 'our http', status: 'active' }
  t.strictSame(application, {
    id: client.appId,
    name: 'test',
    config: { link_code_auto_detect: 'disabled' },
    platformConnections: [listed],
  })

  const list = await dataOf(client, fixture('platform-connections'))
  t.strictSame(nodesOf(list.platformConnections), [{ ...listed, createdAt: connections.data[0].createdAt }])

  const userNode = (user: { id: string; isSystem: boolean }) => ({
    ...pick(user, 'id', 'name', 'createdAt'),
    isSystemUser: user.isSystem,
    platformUsers: people.data
      .filter(({ userId }: { userId: string }) => userId === user.id)
      .map((own: object) =>
        Object.assign(pick(own, 'id', 'externalId'), { platformConnection: ofConnection }),
      ),
  })
  const all = await dataOf(client, fixture('users'), { first: 10 })
  t.strictSame(nodesOf(all.users), users.data.map(userNode))
  const one = await dataOf(client, fixture('users'), { first: 10, filters: { id: { equals: john.userId } } })
  t.strictSame(
    nodesOf(one.users).map(({ id, name }) => ({ id, name })),
    [{ id: john.userId, name: 'John Doe' }],
  )

  const personNode = (person: { userId: string }) => ({
    ...pick(person, 'id', 'externalId', 'name', 'profilePictureUrl'),
    user: pick(
      users.data.find(({ id }: { id: string }) => id === person.userId),
      'id',
      'name',
    ),
    platformConnection: ofConnection,
  })
  const variables = { platformConnectionId: connection.id, first: 10 }
  const known = await dataOf(client, fixture('platform-users'), variables)
  t.strictSame(nodesOf(known.platformUsers), people.data.map(personNode))
  const elsewhere = { platformConnectionId: crypto.randomUUID() }
  const none = await dataOf(client, fixture('platform-users'), elsewhere)
  t.strictSame(none.platformUsers.edges, [])
})

t.test('a schema, an event of it, a subscription and a link code', async (t) => {
  const { client, john } = await startConversation(t)
  const { createEventSchema } = await dataOf(client, fixture('create-order-schema'))
  const { body: type } = await client.get(`/event-types/${createEventSchema.id}`)
  t.strictSame(createEventSchema, pick(type, 'id', 'name', 'jsonSchema'))
  t.match(type, { name: 'order.created', description: 'Order creation event', enforceValidation: false })
  t.strictSame(type.jsonSchema.required, ['order_id', 'total'])
  t.equal(type.jsonSchema.properties.order_id.pattern, '^order_[a-zA-Z0-9]+$')

  const { createEvent } = await dataOf(client, fixture('create-custom-event', { pu_abc123: john.id }))
  const { body: event } = await client.get(`/events/${createEvent.id}`)
  t.strictSame(createEvent, {
    ...pick(event, 'id', 'payload', 'createdAt'),
    eventType: 'order.created',
    edges: [{ edgeType: 'placed_by', targetNodeType: 'PLATFORM_USER' }],
  })
  t.strictSame(event.payload, {
    order_id: 'order_12345',
    customer_id: 'cust_xyz',
    total: 99.99,
    currency: 'USD',
    items: [{ sku: 'WIDGET-001', quantity: 2, price: 49.99 }],
  })
  t.strictSame(event.edges, [{ type: 'placed_by', targetType: 'platform_user', targetId: john.id }])
  t.match(event, { type: 'order.created', eventTypeId: type.id, schemaValid: true, schemaVersion: 1 })

  const { createWebhookSubscription } = await dataOf(client, fixture('create-webhook-subscription'))
  const { body: subscription } = await client.get(`/subscriptions/${createWebhookSubscription.id}`)
  t.strictSame(createWebhookSubscription, {
    ...pick(subscription, 'id', 'name', 'eventPatterns'),
    targetUrl: 'https://myapp.com/webhooks/outeract',
    status: 'active',
  })
  t.strictSame(subscription.destination, { type: 'webhook', url: 'https://myapp.com/webhooks/outeract' })
  t.strictSame(subscription.eventPatterns, ['message.inbound', 'message.outbound'])

  const { generateLinkCode } = await dataOf(client, fixture('generate-link-code'), {
    platformUserId: john.id,
  })
  const { body: codes } = await client.get('/link-codes')
  const [code] = codes.data
  t.match(code, { platformUserId: john.id, expiryMinutes: 15, maxUses: 1, uses: 0 })
  t.strictSame(generateLinkCode, {
    ...pick(code, 'code', 'expiresAt'),
    event: { id: code.eventId, eventType: 'link_code.generated' },
  })
  t.match(generateLinkCode.code, /^\d{4}-\d{4}-\d{4}-\d{4}$/)
  t.match(generateLinkCode.expiresAt, AT)
})

t.test('the schema can be looked into', async (t) => {
  const { client } = await startConversation(t)
  const { __schema } = await dataOf(client, fixture('schema-types'))
  const names = new Set(__schema.types.map(({ name }: { name: string }) => name))
  for (const name of ['Query', 'Mutation', 'Event', 'EventFilters', 'NodeType']) t.ok(names.has(name), name)
})
