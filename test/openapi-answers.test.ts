import { createHmac } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { signedHeaders } from '../src/platform/secrets/signing.ts'
import { HTTP_SECRET, httpConnection, TWILIO_CONNECTION, WHATSAPP_CONNECTION } from './helpers/connections.ts'
import { createAnswerCheck, operationsOf, WITHOUT_PROBLEMS, type OpenApiDocument } from './helpers/openapi.ts'
import { startReceiver } from './helpers/receiver.ts'
import { ADMIN_KEY, call, startService } from './helpers/service.ts'
import { until } from './helpers/until.ts'

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const CLOUD_EVENT = 'application/cloudevents+json'
const CLOUD_EVENT_BATCH = 'application/cloudevents-batch+json'

t.test('real answers are as the OpenAPI document says', async (t) => {
  const service = await startService(t)
  const receiver = await startReceiver(t)
  const client = await service.client()
  const document = (await call(service.url, 'GET', '/openapi.json')).body as OpenApiDocument
  const seen = new Set<string>()
  const check = createAnswerCheck(t, document, seen)

  /** Sends a request. @param path a path of the document, maybe with a query; `ids` go where it has parameters */
  async function send(
    method: Method,
    path: string,
    ids: string[] = [],
    body?: unknown,
    headers?: Record<string, string>,
  ) {
    const concrete = ids.reduce((text, id) => text.replace(/\{\w+\}/, id), path)
    const answer = await call(service.url, method, concrete, {
      key: path.startsWith('/apps') ? ADMIN_KEY : client.key,
      ...(body !== undefined && { body }),
      ...(headers && { headers }),
    })
    check(method, path.split('?')[0] as string, answer)
    return answer.body
  }

  const destination = { type: 'webhook', url: receiver.url }
  const http = httpConnection(`${receiver.url}messages`)
  const event = {
    type: 'doc.type',
    payload: { x: 1 },
    edges: [{ type: 'sent_by', targetType: 'user', targetId: '1' }],
    externalId: 'A-1',
    orgid: 'o',
  }
  const cloudEvent = {
    specversion: '1.0',
    id: '1',
    source: '/shop',
    type: 'doc.type',
    time: '2026-11-21T17:32:56Z',
    datacontenttype: 'application/json',
    heliographedges: JSON.stringify(event.edges),
    heliographexternalid: 'A-4',
    orgid: 'o',
    priority: 1,
    data: { x: 2 },
  }

  t.test('when apps, types and subscriptions work', async (t) => {
    await send('GET', '/health/live')
    await send('GET', '/observation/client/observer.js')
    await send('GET', '/health/ready')
    const app = await send('POST', '/apps', [], { name: 'documented' })
    const newKey = { name: 'second', scopes: ['events:read'] }
    const key = await send('POST', '/apps/{appId}/api-keys', [app.id], newKey)
    await send('DELETE', '/apps/{appId}/api-keys/{keyId}', [app.id, key.id])
    await send('GET', '/apps/{appId}/api-keys', [app.id])
    await send('GET', '/apps/{appId}', [app.id])
    await send('GET', '/apps?limit=1')
    await send('GET', '/apps/{appId}/.well-known/jwks.json', [client.appId])
    await send('POST', '/signing-keys/rotate', [], { overlapSeconds: 60 })
    await send('GET', '/signing-keys')
    await send('GET', '/apps/{appId}/.well-known/jwks.json', [client.appId])

    const jsonSchema = { type: 'object', required: ['x'], properties: { x: { minimum: 1 } } }
    const type = await send('POST', '/event-types', [], { name: 'doc.type', jsonSchema, description: 'x' })
    await send('PATCH', '/event-types/{id}', [type.id], { enforceValidation: true, domain: 'd' })
    await send('GET', '/event-types/{id}', [type.id])
    await send('GET', '/event-types?limit=100')

    const newSubscription = { name: 's', eventPatterns: ['doc.*'], destination }
    const subscription = await send('POST', '/subscriptions', [], newSubscription)
    await send('PATCH', '/subscriptions/{id}', [subscription.id], { name: 't' })
    await send('GET', '/subscriptions/{id}', [subscription.id])
    await send('GET', '/subscriptions')

    receiver.answer = (response) => response.writeHead(receiver.received.length === 1 ? 500 : 200).end('body')
    const { id } = await send('POST', '/events', [], event)
    await send('POST', '/events', [], event)
    const child = { ...event, originEventId: id }
    const children = [
      { ...child, externalId: 'A-2' },
      { ...child, externalId: 'A-3' },
    ]
    await send('POST', '/events/batch', [], { events: children })
    await send('POST', '/events/batch', [], { events: children })
    const delivery = await until(async () => {
      const { data } = await send('GET', '/events/{id}/deliveries', [id])
      return data[0]?.status === 'succeeded' && data[0]
    }, 'it was delivered')
    await send('GET', '/events/{id}', [id])
    await send('GET', '/events?limit=2')
    await send('GET', '/events/{id}/children?limit=1', [id])
    await send('POST', '/events/{id}/status', [id], { status: 'shipped', by: 'train' })
    await send('GET', '/deliveries/{id}', [delivery.id])
    await send('GET', '/deliveries/{id}/attempts', [delivery.id])
    const all = await until(async () => {
      const { data } = await send('GET', '/deliveries')
      return data.every(({ status }: { status: string }) => status === 'succeeded') && data
    }, 'all were delivered')
    for (const { id: deliveryId } of all) await send('GET', '/deliveries/{id}/attempts', [deliveryId])
    t.ok(receiver.received.length >= 4, 'one of them at the second attempt')
    await send('DELETE', '/subscriptions/{id}', [subscription.id])
    await send('DELETE', '/event-types/{id}', [type.id])
    await send('POST', '/graphql', [], { query: '{ events(first: 1) { edges { node { id } } } }' })
    await send('POST', '/graphql', [], { query: '{ nothing }' })
  })

  t.test('when deliveries are looked after', async (t) => {
    receiver.answer = (response) => response.writeHead(410).end()
    const gone = { name: 's', eventPatterns: ['doc.*'], destination }
    const { id } = await send('POST', '/subscriptions', [], gone)
    await send('POST', '/subscriptions/{id}/test', [id])
    await send('POST', '/subscriptions/{id}/test', [id], { payload: { x: 1 } })
    await send('POST', '/subscriptions/{id}/rotate-secret', [id])
    await send('POST', '/subscriptions/{id}/rotate-secret', [id], { overlapSeconds: 0 })
    const { id: eventId } = await send('POST', '/events', [], { ...event, externalId: 'R-1' })
    await until(async () => {
      const { status } = await send('GET', '/subscriptions/{id}', [id])
      return status === 'disabled'
    }, 'what is gone is disabled')
    const { data } = await send('GET', '/events/{id}/deliveries', [eventId])
    const deliveryId = data[0].id as string
    await send('POST', '/deliveries/{id}/retry', [deliveryId])
    await send('POST', '/subscriptions/{id}/enable', [id])
    await send('POST', '/subscriptions/{id}/disable', [id])
    receiver.answer = (response) => response.end()
    await send('POST', '/subscriptions/{id}/enable', [id])
    const ended = (delivery: string) =>
      until(async () => {
        const { status } = await send('GET', '/deliveries/{id}', [delivery])
        return status !== 'pending'
      }, 'it has ended')
    await ended(deliveryId)
    await send('POST', '/deliveries/{id}/retry', [deliveryId])
    await ended(deliveryId)
    await send('POST', '/deliveries/{id}/discard', [deliveryId])
    await send('POST', '/subscriptions/{id}/disable', [id])
    const { id: later } = await send('POST', '/events', [], { ...event, externalId: 'R-2' })
    const { data: owed } = await send('GET', '/events/{id}/deliveries', [later])
    await send('POST', '/deliveries/{id}/discard', [owed[0].id])
    const replay = await send('POST', '/subscriptions/{id}/replay', [id], { fromPosition: 1 })
    await send('POST', '/deliveries/retry', [], { subscriptionId: id, status: 'cancelled' })
    await send('POST', '/deliveries/discard', [], { subscriptionId: id })
    await send('GET', '/recoveries?limit=2')
    await until(async () => {
      const { status } = await send('GET', '/recoveries/{id}', [replay.id])
      return status === 'completed'
    }, 'it went through the log')
    for (const action of ['pause', 'resume', 'cancel'])
      await send('POST', `/recoveries/{id}/${action}`, [replay.id])
    await send('GET', '/attempts?limit=3')
    await send('GET', '/subscriptions/{id}/statistics?hours=1', [id])
    t.ok(seen.has('retryDelivery 4xx'), 'one of a disabled subscription')
    t.ok(seen.has('discardDelivery 4xx'), 'one that succeeded')
    for (const actions of [
      ['pause', 'cancel'],
      ['pause', 'resume'],
    ]) {
      // As if it still had something to do.
      await sql`update recoveries set status = 'running', completed_at = null, run_at = now() + interval '1 hour'
                 where id = ${replay.id}`.execute(service.platform.db)
      for (const action of actions) await send('POST', `/recoveries/{id}/${action}`, [replay.id])
    }
  })

  t.test('when events come and go as CloudEvents', async (t) => {
    const asOne = { accept: CLOUD_EVENT, 'content-type': CLOUD_EVENT }
    const asSeveral = { accept: CLOUD_EVENT_BATCH, 'content-type': CLOUD_EVENT_BATCH }
    const { heliographid: id } = await send('POST', '/events', [], cloudEvent, asOne)
    await send('POST', '/events', [], cloudEvent, asOne)
    await send('POST', '/events', [], cloudEvent, { 'content-type': CLOUD_EVENT })
    const more = [
      { ...cloudEvent, id: '2', heliographexternalid: 'B-2', heliographoriginid: id },
      { ...cloudEvent, id: '3', heliographexternalid: 'B-3', heliographoriginid: id },
    ]
    for (const path of ['/events', '/events/batch']) {
      await send('POST', path, [], more, asSeveral)
      await send('POST', path, [], more, { 'content-type': CLOUD_EVENT_BATCH })
    }
    for (const accept of [CLOUD_EVENT, CLOUD_EVENT_BATCH, 'application/json']) {
      await send('GET', '/events?limit=100', [], undefined, { accept })
      await send('GET', '/events/{id}', [id], undefined, { accept })
      await send('GET', '/events/{id}/children', [id], undefined, { accept })
      await send('POST', '/events/{id}/status', [id], { status: 'seen' }, { accept })
    }
    const events = (await send('GET', '/events?limit=100', [], undefined, asSeveral)) as object[]
    t.ok(events.length >= 10)
    for (const operationId of ['appendEvent', 'getEvent', 'reportStatus'])
      t.ok(seen.has(`${operationId} ${CLOUD_EVENT}`), operationId)
    for (const operationId of ['appendEvents', 'listEvents', 'listChildren'])
      t.ok(seen.has(`${operationId} ${CLOUD_EVENT_BATCH}`), operationId)
  })

  t.test('when entities work', async () => {
    const user = await send('POST', '/users', [], { name: 'Ada', attributes: { plan: 'pro' } })
    await send('PATCH', '/users/{id}', [user.id], { name: null })
    await send('GET', '/users/{id}', [user.id])
    await send('GET', '/users?limit=1')
    const newFile = {
      filename: 'invoice.pdf',
      mimeType: 'application/pdf',
      sizeBytes: Number.MAX_SAFE_INTEGER,
      url: 'https://example.com/invoice.pdf',
      sha256: 'a'.repeat(64),
      metadata: { pages: [1] },
    }
    const file = await send('POST', '/files', [], newFile)
    await send('POST', '/files', [], { filename: 'empty' })
    await send('PATCH', '/files/{id}', [file.id], { sizeBytes: null })
    await send('GET', '/files/{id}', [file.id])
    await send('GET', '/files')
    const connection = await send('POST', '/platform-connections', [], http)
    await send('PATCH', '/platform-connections/{id}', [connection.id], { detectLinkCodes: true })
    await send('GET', '/platform-connections/{id}', [connection.id])
    await send('GET', '/platform-connections?platform=http')
    const platformUser = await send('POST', '/platform-users', [], {
      platformConnectionId: connection.id,
      externalId: 'somebody',
      userId: user.id,
      profilePictureUrl: 'https://example.com/ada.png',
    })
    await send('PATCH', '/platform-users/{id}', [platformUser.id], { name: 'Ada' })
    await send('GET', '/platform-users/{id}', [platformUser.id])
    await send('GET', '/platform-users')
    const edges = [
      ['user', user.id],
      ['platform_user', platformUser.id],
      ['file', file.id],
      ['order', 'A-1'],
    ].map(([targetType, targetId]) => ({ type: 'about', targetType, targetId }))
    const { id } = await send('POST', '/events', [], { ...event, externalId: 'A-9', edges })
    await send('GET', '/events/{id}?include=entities', [id])
    await send('GET', '/events?include=entities')
    await send('DELETE', '/platform-users/{id}', [platformUser.id])
    for (const [path, entity] of [
      ['/users/{id}', user],
      ['/files/{id}', file],
      ['/platform-connections/{id}', connection],
    ])
      await send('DELETE', path, [entity.id])
  })

  t.test('when messages and link codes work', async (t) => {
    const { id: connectionId } = await send('POST', '/platform-connections', [], http)
    const message = { platformConnectionId: connectionId, toExternalId: 'one', message: 'Hello' }
    const key = { 'idempotency-key': 'a message' }
    const { id, edges } = await send('POST', '/messages', [], message, key)
    await send('POST', '/messages', [], message, key)
    await send('POST', '/messages', [], message, { ...key, accept: CLOUD_EVENT })
    await until(async () => {
      const { status } = await send('GET', '/events/{id}', [id])
      return status === 'completed'
    }, 'it was sent')
    const attachments = [{ id: 'picture', url: receiver.url, mime_type: 'image/png' }]
    const said = { messages: [{ id: 'm1', from: 'two', text: 'Hi', attachments }], statuses: [] }
    const text = JSON.stringify(said)
    const signed = signedHeaders({ secrets: [HTTP_SECRET] }, 'w1', Math.floor(Date.now() / 1000), text)
    await send('POST', '/platform-connections/{id}/webhook', [connectionId], text, signed)
    const { data: files } = await send('GET', '/files')
    const came = files.find(({ externalId }: { externalId: string | null }) => externalId === 'picture')
    await send('GET', '/files/{id}/content', [came.id])
    const { id: fileId } = await send('POST', '/files', [], { filename: 'x' })
    await send('GET', '/files/{id}/content', [fileId])
    const { data: people } = await send('GET', `/platform-users?externalId=two`)
    const { targetId: platformUserId } = edges.find(({ type }: { type: string }) => type === 'sent_to')
    const { code, id: codeId } = await send('POST', '/link-codes', [], { platformUserId })
    await send('POST', '/link-codes/activate', [], { code, platformUserId: people[0].id })
    await send('POST', '/link-codes/activate', [], { code, platformUserId: people[0].id })
    await send('GET', '/link-codes/{id}', [codeId])
    await send('GET', '/link-codes')
    t.ok(seen.has('activateLinkCode 4xx'), 'a code that was used is refused')
  })

  t.test('when inquiries are sent', async () => {
    const inquiry = { type: '200_SALES', firstName: 'Ada', email: 'ada@example.com' }
    const { id } = await send('POST', '/inquiries/submit', [], inquiry)
    const whole = { lastName: 'Lovelace', businessName: 'Analytical', subject: 'An offer', message: 'Please' }
    await send('POST', '/inquiries/submit', [], { ...inquiry, ...whole })
    await send('GET', '/inquiries/{id}', [id])
    await send('GET', '/inquiries?limit=1')
  })

  t.test('when platforms call', async (t) => {
    const path = '/platform-connections/{id}/webhook'
    const { id: whatsapp } = await send('POST', '/platform-connections', [], WHATSAPP_CONNECTION)
    const challenge = 'hub.mode=subscribe&hub.challenge=7&hub.verify_token='
    await send('GET', `${path}?${challenge}verify%20me`, [whatsapp])
    await send('GET', `${path}?${challenge}wrong`, [whatsapp])
    await send('POST', path, [whatsapp], '{}')
    const { id: twilio } = await send('POST', '/platform-connections', [], TWILIO_CONNECTION)
    const url = `${service.url}/platform-connections/${twilio}/webhook`
    const signature = createHmac('sha1', TWILIO_CONNECTION.credentials.authToken)
      .update(`${url}BodyHiFrom+1MessageSidSM1`)
      .digest('base64')
    await send('POST', path, [twilio], 'MessageSid=SM1&From=%2B1&Body=Hi', {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': signature,
    })
    t.ok(seen.has('receivePlatformWebhook text/xml'), 'Twilio wants XML')
  })

  t.test('when observers are given tokens', async () => {
    await send('POST', '/observation/tokens', [], { rooms: ['**'], member: { id: 'user-7', info: [1] } })
    await send('POST', '/observation/tokens', [], { rooms: ['no room'] })
  })

  t.test('when rooms work', async (t) => {
    await send('POST', '/observation/publish', [], { rooms: ['a/1'], topic: 'a', data: { x: 1 } })
    const { presence } = service.features.observation
    presence.enter(client.appId, 'a/1', UNKNOWN_ID, { id: 'ada', info: '{"name":"Ada"}' })
    presence.enter(client.appId, 'a/1', UNKNOWN_ID, { id: 'bob', info: null })
    const present = await until(async () => {
      const { data } = await send('GET', '/observation/presence?room=a/1')
      return data.length === 2 && data
    }, 'both are there')
    t.strictSame(present[0], { id: 'ada', info: { name: 'Ada' } })
  })

  t.test('when they do not', async () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const name of Object.keys(methods)) {
        const method = name.toUpperCase() as Method
        const takesBody = methods[name]?.requestBody !== undefined
        if (path.includes('{')) {
          await send(method, path, [UNKNOWN_ID, '0'.repeat(16)], takesBody ? { name: 'x' } : undefined)
          await send(method, path, ['x', 'y'], takesBody ? { name: 'x' } : undefined)
        }
        if (!takesBody) continue
        for (const body of ['{', '[]', {}, { nothing: 1 }, '']) await send(method, path, [UNKNOWN_ID], body)
        await send(method, path, [UNKNOWN_ID], '<a/>', { 'content-type': 'application/xml' })
      }
    }
    await send('GET', '/observation/presence?room=*')
    // It takes nothing that could be wrong but the key.
    await send('GET', '/signing-keys', [], undefined, { authorization: 'Bearer nonsense' })
    await send('GET', '/observation/sse')
    await send('GET', '/observation/ws')
    const lists = Object.keys(document.paths).filter((path) =>
      document.paths[path]?.['get']?.parameters?.some(({ name }) => name === 'limit'),
    )
    for (const list of lists) {
      await send('GET', `${list}?limit=0`, [UNKNOWN_ID])
      await send('GET', `${list}?after=x`, [UNKNOWN_ID])
    }
    const refused = [
      { ...event, orgid: 'other' },
      { type: 'system.x', payload: {} },
      { type: 'a.b', payload: {}, originEventId: UNKNOWN_ID },
      { type: 'a.b', payload: { x: 'y'.repeat(300_000) } },
    ]
    for (const body of refused) {
      await send('POST', '/events', [], body)
      await send('POST', '/events/batch', [], { events: [body] })
    }
    for (const type of [{ name: 'order.placed' }, { name: 'user.x' }, { name: 'a', jsonSchema: { type: 1 } }])
      await send('POST', '/event-types', [], type)
    const withPassword = { type: 'webhook', url: 'http://u:p@example.com/' }
    const subscription = { name: 's', eventPatterns: ['*'], destination: withPassword }
    await send('POST', '/subscriptions', [], subscription)
  })

  t.test('and no operation was left out', async (t) => {
    const ids = operationsOf(document.paths).map(({ operationId }) => operationId)
    const unseen = (kind: string, without: readonly string[]): string[] =>
      ids.filter((id) => !without.includes(id) && !seen.has(`${id} ${kind}`))
    // Streams do not end, and the documents have no schemas of their own.
    const live = ['streamEvents', 'observeOverSse', 'observeOverWebSocket']
    t.strictSame(unseen('2xx', [...live, 'getOpenApi', 'getAsyncApi']), [], 'each was seen to work')
    t.strictSame(unseen('4xx', ['streamEvents', ...WITHOUT_PROBLEMS]), [], 'and to refuse')
  })
})
