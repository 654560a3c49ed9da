import t from 'tap'
import { createSentEdgesReader } from '../../../src/features/entities/index.ts'
import { STRUCTURED } from '../../helpers/cloud-events.ts'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService } from '../../helpers/service.ts'

const GONE = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'

t.test('edges as they are sent', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const messenger = await startHttpPlatform(t)
  const connection = await connect(client, messenger)
  const { body: ada } = await client.post('/platform-users', {
    platformConnectionId: connection.id,
    externalId: '+14155551234',
  })
  const url = 'https://example.com/invoice.pdf'
  const { body: file } = await client.post('/files', {
    filename: 'invoice.pdf',
    mimeType: 'application/pdf',
    url,
  })
  const edge = (type: string, targetType: string, targetId: string) => ({ type, targetType, targetId })
  const edges = [
    edge('sent_by', 'platform_user', ada.id),
    edge('sent_by', 'user', ada.userId),
    edge('attachment', 'file', file.id),
    edge('attachment', 'file', GONE),
    edge('seen_by', 'platform_user', GONE),
    edge('from', 'warehouse', 'north "1"'),
    edge('__proto__', 'toString', 'x'),
  ]
  const byType = {
    sent_by: { platform_user_id: ada.id, external_id: '+14155551234' },
    attachment: { file_id: file.id, name: 'invoice.pdf', type: 'application/pdf', url },
    seen_by: { platform_user_id: GONE, external_id: null },
    from: { target_type: 'warehouse', target_id: 'north "1"' },
    ['__proto__']: { target_type: 'toString', target_id: 'x' },
  }
  const all = [
    byType.sent_by,
    { user_id: ada.userId },
    byType.attachment,
    { file_id: GONE, name: null, type: null, url: null },
    byType.seen_by,
    byType.from,
    byType['__proto__'],
  ]
  const list = all.map((target, index) => {
    const { type, targetType, targetId } = edges[index] ?? edge('', '', '')
    return Object.assign({ edge_type: type, target_type: targetType, target_id: targetId }, target)
  })

  t.test('by type the first one, and all of them in order, in each format', async (t) => {
    for (const format of ['json', 'cloudevents']) {
      const receiver = await startReceiver(t)
      const destination = { type: 'webhook', url: receiver.url, format }
      await client.post('/subscriptions', { name: format, eventPatterns: [`${format}.*`], destination })
      await client.post('/events', { type: `${format}.made`, payload: {}, edges })
      await client.post('/events', { type: `${format}.plain`, payload: {} })
      const bodies = (await receiver.waitFor(2)).map(({ text }) => JSON.parse(text))
      const made = bodies.find(({ event_type: type, type: same }) => (type ?? same) === `${format}.made`)
      const plain = bodies.find((body) => body !== made)
      if (format === 'json') {
        t.strictSame([made.edges, made.edge_list], [byType, list])
        t.strictSame([plain.edges, plain.edge_list], [{}, []], 'an event without edges')
      } else {
        t.strictSame([JSON.parse(made.heliographedges), JSON.parse(made.heliographedgelist)], [byType, list])
        t.notOk('heliographedges' in plain || 'heliographedgelist' in plain, 'an event without edges')
        const headers = { 'content-type': STRUCTURED }
        const copy = await (await service.client()).post('/events', { ...made, originid: undefined }, headers)
        t.strictSame(copy.body.edges, edges, 'a receiver of CloudEvents may append them')
      }
    }
  })

  t.test('of a batch', async (t) => {
    const receiver = await startReceiver(t)
    const answer = await client.post('/subscriptions', {
      name: 'batch',
      eventPatterns: ['batch.*'],
      destination: { type: 'webhook', url: receiver.url },
      batching: { maxEvents: 2, maxWaitSeconds: 10 },
    })
    t.equal(answer.status, 201, answer.text)
    const event = { type: 'batch.made', payload: {}, edges }
    await client.post('/events/batch', { events: [event, { ...event, edges: [edges[5]] }] })
    const [received] = await receiver.waitFor(1)
    const { events } = JSON.parse(received?.text ?? '')
    t.strictSame([events[0].edges, events[0].edge_list], [byType, list])
    t.strictSame(events[1].edges, { from: byType.from })
  })

  t.test('of a test delivery, and of a message to a platform of one’s own', async (t) => {
    const receiver = await startReceiver(t)
    const { id } = await client.subscribe(receiver.url, ['none.*'])
    await client.post(`/subscriptions/${id}/test`, {})
    const [tried] = await receiver.waitFor(1)
    t.match(JSON.parse(tried?.text ?? ''), { edges: {}, edge_list: [] })
    await client.post('/messages', {
      platformConnectionId: connection.id,
      toPlatformUserId: ada.id,
      message: 'Hello',
    })
    const [request] = await messenger.server.waitFor(1)
    t.match(JSON.parse(request?.text ?? ''), {
      edges: { sent_by: { user_id: connection.ownUserId }, sent_to: byType.sent_by },
      edge_list: [{ edge_type: 'sent_by' }, { edge_type: 'sent_to', platform_user_id: ada.id }],
    })
  })

  t.test('take one statement for all that ask at once, and none where nothing is looked up', async (t) => {
    const { pool } = service.platform
    let statements = 0
    const read = createSentEdgesReader(
      {
        query(statement) {
          statements += 1
          return pool.query(statement)
        },
      },
      undefined,
    )
    const text = JSON.stringify(edges)
    const other = await service.client()
    const reading = Array.from({ length: 100 }, () => read(client.appId, [text, '[]']))
    const [theirs] = await read(other.appId, [text])
    for (const [own, none] of await Promise.all(reading)) {
      t.strictSame(JSON.parse(own?.list ?? ''), list)
      t.strictSame(none, { byType: '{}', list: '[]' })
    }
    t.match(JSON.parse(theirs?.byType ?? ''), { sent_by: { external_id: null } }, 'nothing of another app')
    t.equal(statements, 1)
    const [toUser] = await read(client.appId, [JSON.stringify([edge('sent_by', 'user', ada.userId)]), '[]'])
    t.equal(toUser?.byType, JSON.stringify({ sent_by: { user_id: ada.userId } }))
    t.equal(statements, 1)
  })
})
