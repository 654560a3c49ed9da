import { CloudEvent, HTTP } from 'cloudevents'
import t, { type Test } from 'tap'
import { webhook } from '../../../src/features/destinations/webhook.ts'
import { createTransformer } from '../../../src/platform/transformation/transformation.ts'
import { FULL, STRUCTURED } from '../../helpers/cloud-events.ts'
import { attempt, destinationServices, owedEvent } from '../../helpers/destinations.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startReceiver, type Received } from '../../helpers/receiver.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

/** A payload that no JSON library would write again as it is. */
const ODD = '{ "n": 1.50, "big": 12345678901234567890, "e":1E+2, "t":"\\u00fc\\/ü😀", "a" : [ ] , "z":{}}'

async function begin(t: Test, settings: object, destination: object = {}) {
  const service = await startService(t)
  const client = await service.client()
  const receiver = await startReceiver(t)
  const answer = await client.post('/subscriptions', {
    name: 'test',
    eventPatterns: ['order.*'],
    destination: { type: 'webhook', url: receiver.url, ...destination },
    ...settings,
  })
  if (answer.status !== 201) throw new Error(answer.text)
  return { client, receiver, subscription: answer.body as { id: string } }
}

/** The one delivery of an event and its attempts, once it has ended. */
async function ended(client: Client, eventId: string) {
  const delivery = await until(async () => {
    const { body } = await client.get(`/events/${eventId}/deliveries`)
    return body.data[0]?.status === 'pending' ? undefined : body.data[0]
  }, 'the delivery has ended')
  return { delivery, attempts: (await client.get(`/deliveries/${delivery.id}/attempts`)).body.data }
}

function readCloudEvent({ headers, text }: Received): CloudEvent<unknown> {
  const read = HTTP.toEvent<unknown>({ headers: { 'content-type': headers['content-type'] }, body: text })
  if (Array.isArray(read)) throw new Error('There are several events.')
  return new CloudEvent<unknown>(read)
}

t.test('the body is as documented, with the payload to the letter', async (t) => {
  const { client, receiver } = await begin(t, {})
  const { body: user } = await client.post('/users', { name: 'Ada' })
  const edge = { type: 'for', targetType: 'user', targetId: user.id }
  const { body: event } = await client.post(
    '/events',
    `{"type":"order.placed","edges":${JSON.stringify([edge])},"payload":${ODD}}`,
  )
  const [received] = await receiver.waitFor(1)
  t.equal(
    received?.text,
    `{"event_id":"${event.id}","event_type":"order.placed","app_id":"${client.appId}","payload":${ODD},` +
      `"edges":{"for":{"user_id":"${user.id}"}},` +
      `"edge_list":[{"edge_type":"for","target_type":"user","target_id":"${user.id}","user_id":"${user.id}"}],` +
      `"created_at":"${event.createdAt}"}`,
  )
  t.equal(received?.headers['content-type'], 'application/json')
  t.equal(received?.headers['content-length'], String(Buffer.byteLength(received?.text ?? '')))
})

t.test('as a CloudEvent it is one that the SDK takes', async (t) => {
  const { client, receiver } = await begin(t, {}, { format: 'cloudevents' })
  const { body: event } = await client.post('/events', `{"type":"order.placed","payload":${ODD}}`)
  const [own] = await receiver.waitFor(1)
  t.equal(own?.headers['content-type'], STRUCTURED)
  t.ok(own?.text.endsWith(`"data":${ODD}}`), 'the payload is kept to the letter')
  const read = readCloudEvent(own as Received)
  t.match(read.toJSON(), {
    specversion: '1.0',
    id: event.id,
    source: `/apps/${client.appId}`,
    type: 'order.placed',
    time: event.createdAt,
    datacontenttype: 'application/json',
    heliographposition: String(event.position),
    heliographid: event.id,
    data: JSON.parse(ODD),
  })

  await client.post('/events', { ...FULL, data: { n: 1 } }, { 'content-type': STRUCTURED })
  const [, theirs] = await receiver.waitFor(2)
  const { id, source, subject, traceparent, count, flag, text } = FULL
  t.match(readCloudEvent(theirs as Received).toJSON(), {
    id,
    source,
    subject,
    traceparent,
    count,
    flag,
    text,
  })
  t.not(theirs?.headers['webhook-id'], id, 'webhook-id is the event’s own')
})

t.test('a transformation makes the body, or the data of a CloudEvent', async (t) => {
  for (const [format, type] of [
    ['json', 'application/json'],
    ['cloudevents', STRUCTURED],
  ] as const) {
    const transformation =
      '{"text": event_type & " " & payload.order, "edges": $count(edge_list), "app": app_id}'
    const { client, receiver } = await begin(t, { transformation }, { format })
    await client.post('/events', { type: 'order.placed', payload: { order: 'A-1' } })
    const [received] = await receiver.waitFor(1)
    t.equal(received?.headers['content-type'], type)
    const body = JSON.parse(received?.text ?? '') as { data?: object }
    const made = { text: 'order.placed A-1', edges: 0, app: client.appId }
    t.strictSame(format === 'json' ? body : body.data, made, format)
    if (format === 'cloudevents') t.equal(readCloudEvent(received as Received).type, 'order.placed')
  }
})

t.test('any JSON that a transformation makes is sent, also null and what is big', async (t) => {
  const { client, receiver, subscription } = await begin(t, {})
  const cases: [expression: string, body: string][] = [
    ['payload.none', 'null'],
    ['payload.list', '[1,{"a":2}]'],
    ['"text"', '"text"'],
    ['false', 'false'],
    ['$pad("", 1000000, "x")', `"${'x'.repeat(1_000_000)}"`],
    ['payload', '{"none":null,"list":[1,{"a":2}],"n":1.5,"id":813683310949021977}'],
    ['payload.{"at": id}', '{"at":813683310949021977}'],
  ]
  for (const [index, [transformation, body]] of cases.entries()) {
    await client.patch(`/subscriptions/${subscription.id}`, { transformation })
    const payload = '{"none":null,"list":[1,{"a":2}],"n":1.50,"id":813683310949021977}'
    await client.post('/events', `{"type":"order.placed","payload":${payload}}`)
    const received = (await receiver.waitFor(index + 1)).at(-1)
    if (received?.text !== body) t.equal(received?.text.slice(0, 100), body.slice(0, 100), transformation)
  }
  await client.patch(`/subscriptions/${subscription.id}`, { transformation: null })
  await client.post('/events', { type: 'order.placed', payload: {} })
  t.match((await receiver.waitFor(cases.length + 1)).at(-1)?.text, /"event_id"/, 'null removes it')
})

t.test('a transformation that fails fails the attempt, and says why', async (t) => {
  const { client, receiver, subscription } = await begin(t, { retrySchedule: [] })
  const cases: [expression: string, error: RegExp][] = [
    ['$error("no customer")', /^The transformation failed: no customer \(at character 7\)$/],
    ['payload.unknown', /gave nothing/],
    ['payload.text + 1', /left side of the "\+" operator/],
    ['payload.id + 1', /The number 813683310949021977 cannot be calculated with.* \(at character 12\)$/],
    ['$sum', /gave a function/],
    ['1/0', /number that JSON does not have/],
    ['$pad("", 1100000, "x")', /longer than 1048576 bytes/],
    ['($f := function($n){ $f($n + 1) }; $f(0))', /longer than 250 ms|took too long|timeout/i],
    ['$length($pad("", 100000000))', /memory|too long|longer|timeout/i],
  ]
  for (const [transformation, error] of cases) {
    await client.patch(`/subscriptions/${subscription.id}`, { transformation })
    const payload = '{"text":"x","id":813683310949021977}'
    const { body: event } = await client.post('/events', `{"type":"order.placed","payload":${payload}}`)
    const { delivery, attempts } = await ended(client, event.id)
    t.match(delivery, { status: 'dead', attempts: 1 }, transformation)
    t.match(attempts, [{ outcome: 'failed', responseStatus: null, error }], transformation)
    t.match(attempts[0].error, /^The transformation failed: /)
  }
  t.equal(receiver.received.length, 0, 'nothing was sent')
  const { body } = await client.get(`/subscriptions/${subscription.id}`)
  t.match(body.health, { state: 'healthy', consecutiveFailures: 0 }, 'the endpoint is not to blame')
  const { body: tested } = await client.post(`/subscriptions/${subscription.id}/test`, {})
  t.match(tested, { succeeded: false, error: /^The transformation failed/ })
})

t.test('a batch with an event that cannot be transformed keeps nothing back from the others', async (t) => {
  const { client, receiver } = await begin(t, {
    transformation: 'payload.n = 2 ? $error("two") : payload',
    batching: { maxEvents: 3, maxWaitSeconds: 1 },
  })
  const events = [1, 2, 3].map((n) => ({ type: 'order.placed', payload: { n } }))
  const { body: batch } = await client.post('/events/batch', { events })
  const statuses = await Promise.all(
    batch.data.map(async ({ id }: { id: string }) => (await ended(client, id)).delivery.status),
  )
  t.strictSame(statuses, ['succeeded', 'dead', 'succeeded'])
  const sent = receiver.received.map(({ text }) => text).toSorted()
  t.strictSame(sent, ['{"events":[{"n":1}]}', '{"events":[{"n":3}]}'])
})

t.test('a transformation that had no turn is tried again', async (t) => {
  const transformer = createTransformer({ waiting: 1, processes: 1 })
  const receiver = await startReceiver(t)
  const destination = webhook.connect({ ...destinationServices(t), transform: transformer.transform }, {})
  const settings = { type: 'webhook', url: receiver.url, signatures: ['v1'] }
  const target = { settings, secrets: [`whsec_${'A'.repeat(32)}`], transformation: '"x"' }
  const waiting = Promise.all(
    Array.from({ length: 10 }, () => destination.send(owedEvent(), target, attempt())),
  )
  const busy = (await waiting).filter(({ succeeded }) => !succeeded)
  t.ok(busy.length > 0 && busy.length < 10)
  for (const result of busy) t.match(result, { ownFault: true, error: /waiting; try again/ })
  t.equal((await destination.send(owedEvent(), target, attempt())).succeeded, true)
  await transformer.close()
  t.match(await destination.send(owedEvent(), target, attempt()), { ownFault: true, error: /service stops/ })
})

t.test('an expression that is no JSONata is refused', async (t) => {
  const { client, subscription } = await begin(t, { transformation: 'payload' })
  const refused = { status: 422, type: 'invalid-transformation', pointers: ['/transformation'] }
  const destination = { type: 'webhook', url: 'http://127.0.0.1:9/' }
  for (const transformation of ['foo(', '"é'.padEnd(16_384, 'é'), '{', '1 +', '('.repeat(16_000)]) {
    const what = transformation.slice(0, 20)
    const body = { name: 'bad', eventPatterns: ['*'], destination, transformation }
    expectProblem(t, await client.post('/subscriptions', body), refused, what)
    expectProblem(
      t,
      await client.patch(`/subscriptions/${subscription.id}`, { transformation }),
      refused,
      what,
    )
  }
  for (const transformation of ['', 5, 'x'.repeat(16_385), 'a\0']) {
    const answer = await client.patch(`/subscriptions/${subscription.id}`, { transformation })
    const expected = { status: 400, type: 'validation-failed', pointers: ['/transformation'] }
    expectProblem(t, answer, expected, String(transformation).slice(0, 20))
  }
  const { body } = await client.get('/subscriptions')
  t.strictSame(
    body.data.map(({ transformation }: { transformation: string }) => transformation),
    ['payload'],
  )
})
