import t from 'tap'
import { STRUCTURED } from '../../helpers/cloud-events.ts'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect, deliver } from '../../helpers/platforms/messenger.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { call, startService, type Client, type Service } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'
import { dataOf } from '../graphql/graph.ts'

const WRITERS = 3
const CHANGES = 12
const NOWHERE = { type: 'webhook', url: 'http://127.0.0.1:9/' }

/** A subscription to every event with a filter. @returns its id */
async function subscribe(client: Client, filter: object | null, eventPatterns = ['*']): Promise<string> {
  const answer = await client.post('/subscriptions', {
    name: 'filtered',
    eventPatterns,
    filter,
    destination: NOWHERE,
  })
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body.id
}

/** Ids of the events that a subscription is owed, oldest first. */
async function owedIds(client: Client, subscriptionId: string): Promise<string[]> {
  const ids: string[] = []
  let after = ''
  for (;;) {
    const { body } = await client.get(`/deliveries?limit=100&subscriptionId=${subscriptionId}${after}`)
    ids.push(...body.data.map(({ eventId }: { eventId: string }) => eventId))
    if (!body.pageInfo.hasNextPage) return ids.toReversed()
    after = `&after=${body.pageInfo.endCursor}`
  }
}

t.test('a filter decides on what is owed, however the event came', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const [big, rest, german] = [
    await subscribe(client, { amount: { gte: 100 } }),
    await subscribe(client, { not: { amount: { gte: 100 } } }),
    await subscribe(client, { 'customer.country': 'DE' }, ['order.*']),
  ]
  const sent: { id: string; amount?: unknown; german: boolean }[] = []
  const keep = (id: string, type: string, payload: { amount?: unknown; customer?: { country: string } }) =>
    sent.push({
      id,
      amount: payload.amount,
      german: type.startsWith('order.') && payload.customer?.country === 'DE',
    })
  const payloads = [
    { amount: 99.99, customer: { country: 'DE' } },
    { amount: 100 },
    { amount: '100', customer: { country: 'AT' } },
    { amount: 1e30, customer: { country: 'DE' } },
    {},
  ]

  for (const [number, payload] of payloads.entries()) {
    const type = number === 3 ? 'invoice.sent' : 'order.placed'
    const { body: one } = await client.post('/events', { type, payload })
    keep(one.id, type, payload)
    const cloudEvent = { specversion: '1.0', id: String(number), source: '/shop', type, data: payload }
    const { body: two } = await client.post('/events', cloudEvent, { 'content-type': STRUCTURED })
    keep(two.heliographid ?? two.id, type, payload)
    const { createEvent } = await dataOf(
      client,
      'mutation ($type: String!, $payload: JSON!) { createEvent(eventType: $type, payload: $payload) { id } }',
      { type, payload },
    )
    keep(createEvent.id, type, payload)
  }
  const events = payloads.map((payload) => ({ type: 'order.paid', payload }))
  const { body: batch } = await client.post('/events/batch', { events })
  for (const [index, payload] of payloads.entries()) keep(batch.data[index].id, 'order.paid', payload)

  const idsWhere = (holds: (event: (typeof sent)[number]) => boolean): string[] =>
    sent.filter(holds).map(({ id }) => id)
  const isBig = ({ amount }: (typeof sent)[number]): boolean => typeof amount === 'number' && amount >= 100
  t.equal(sent.length, 20)
  t.strictSame(await owedIds(client, big), idsWhere(isBig))
  t.strictSame(
    await owedIds(client, rest),
    idsWhere((event) => !isBig(event)),
    'and not is all the others',
  )
  t.strictSame(
    await owedIds(client, german),
    idsWhere((event) => event.german),
    'patterns and filter hold',
  )
})

t.test('filters are kept as they are written, and tell numbers apart that doubles do not', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const filters = {
    one: '{"id":{"eq":813683310949021977}}',
    beyond: '{"$or":[{"id":{"$gt":813683310949021977}},{"id":1.10}]}',
    huge: '{"payload.id":{"in":[1e400,"\\u0000\\ud800"]}}',
  }
  const ids: Record<string, string> = {}
  for (const [name, filter] of Object.entries(filters)) {
    const rest = `"name":"x","eventPatterns":["*"],"destination":{"type":"webhook","url":"${NOWHERE.url}"}`
    const made = await client.post('/subscriptions', `{"filter":${filter},${rest}}`)
    t.equal(made.status, 201, made.text)
    const path = `/subscriptions/${made.body.id}`
    const answers = [made, await client.patch(path, `{"filter":${filter}}`), await client.get(path)]
    for (const { text } of answers) t.ok(text.includes(`"filter":${filter}`), text)
    ids[name] = made.body.id
  }
  const events = ['813683310949021977', '813683310949021978', '1.1', '10E+399', '"\\u0000\\ud800"', '1e401']
  const appended: string[] = []
  for (const id of events) {
    const { body } = await client.post('/events', `{"type":"a.b","payload":{"id":${id}}}`)
    appended.push(body.id)
  }
  const owed = async (name: string) =>
    (await owedIds(client, ids[name] ?? '')).map((id) => events[appended.indexOf(id)])
  t.strictSame(await owed('one'), ['813683310949021977'])
  t.strictSame(await owed('beyond'), ['813683310949021978', '1.1', '10E+399', '1e401'])
  t.strictSame(await owed('huge'), ['10E+399', '"\\u0000\\ud800"'])
})

t.test(
  'a member that begins with $ and is no operator is refused with the operators there are',
  async (t) => {
    const service = await startService(t, { worker: false })
    const client = await service.client()
    const input = { name: 'filtered', eventPatterns: ['*'], destination: NOWHERE }
    const made = await client.post('/subscriptions', { ...input, filter: { amount: { $gt: 5 } } })
    t.equal(made.status, 201)
    const refusals = [
      await client.post('/subscriptions', { ...input, filter: { amount: { $regex: 'x' } } }),
      await client.patch(`/subscriptions/${made.body.id}`, { filter: { amount: { $regex: 'x' } } }),
    ]
    for (const answer of refusals) {
      const pointers = ['/filter/amount/$regex']
      expectProblem(t, answer, { status: 422, type: 'invalid-filter', pointers }, 'refused')
      t.match(answer.text, /is no operator; the operators are \$eq, \$ne, \$gt, /)
    }
    const { body: five } = await client.post('/events', { type: 'a.b', payload: { amount: 5 } })
    const { body: six } = await client.post('/events', { type: 'a.b', payload: { amount: 6 } })
    t.notSame(five.id, six.id)
    t.strictSame(await owedIds(client, made.body.id), [six.id])
  },
)

t.test('events without a payload are filtered as empty ones', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const [without, withAny, all] = [
    await subscribe(client, { a: { exists: false } }),
    await subscribe(client, { a: { exists: true } }),
    await subscribe(client, {}),
  ]
  const empty = { specversion: '1.0', id: '1', source: '/shop', type: 'order.placed' }
  const { body: cloud } = await client.post('/events', empty, { 'content-type': STRUCTURED })
  const { body: withData } = await client.post(
    '/events',
    { ...empty, id: '2', data: { a: null } },
    { 'content-type': STRUCTURED },
  )
  const ids = [cloud.heliographid ?? cloud.id, withData.heliographid ?? withData.id]
  t.strictSame(await owedIds(client, without), [ids[0]])
  t.strictSame(await owedIds(client, withAny), [ids[1]], 'what is null exists')
  t.strictSame(await owedIds(client, all), ids)
})

t.test('status reports, messages and system events are filtered too', async (t) => {
  const messenger = await startHttpPlatform(t)
  const service = await startService(t)
  const client = await service.client()
  const receiver = await startReceiver(t)
  const make = async (filter: object): Promise<string> => {
    const { body } = await client.post('/subscriptions', {
      name: 'filtered',
      eventPatterns: ['*'],
      filter,
      destination: { type: 'webhook', url: receiver.url },
    })
    return body.id
  }
  const blue = await make({ door: 'blue' })
  const hello = await make({ 'message.text': { startsWith: 'hello' } })
  const disabled = await make({ reason: 'manual' })

  const { body: order } = await client.post('/events', { type: 'order.shipped', payload: {} })
  await client.post(`/events/${order.id}/status`, { status: 'lost', door: 'red' })
  const { body: report } = await client.post(`/events/${order.id}/status`, { status: 'left', door: 'blue' })
  t.strictSame(await owedIds(client, blue), [report.id])

  const connection = await connect(client, messenger)
  const texts = ['hello there', 'goodbye', 'hello again']
  for (const [number, text] of texts.entries()) {
    const webhook = messenger.inbound({ id: `MSG${number}`, from: 'ada', text, name: 'Ada' })
    t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
  }
  const { body: outbound } = await client.post('/messages', {
    platformConnectionId: connection.id,
    toExternalId: 'ada',
    message: 'hello yourself',
  })
  const { body: inbound } = await client.get('/events?type=message.inbound')
  const greetings = (inbound.data as { id: string; payload: { message: { text: string } } }[])
    .filter(({ payload }) => payload.message.text.startsWith('hello'))
    .map(({ id }) => id)
  t.strictSame(new Set(await owedIds(client, hello)), new Set([...greetings, outbound.id]))
  t.equal(greetings.length, 2)

  const { body: other } = await client.post('/subscriptions', {
    name: 'to be disabled',
    eventPatterns: ['never'],
    destination: NOWHERE,
  })
  await client.post(`/subscriptions/${other.id}/disable`, undefined)
  const { body: events } = await client.get('/events?type=system.subscription.disabled')
  t.strictSame(await owedIds(client, disabled), [events.data[0].id])
  await receiver.waitFor(5)
})

t.test('a changed filter holds from the next event on, for every process', async (t) => {
  const one = await startService(t, { worker: false })
  // A second service on the same database: what one knows of filters, the other has to notice.
  const other = await startService(t, { worker: false, databaseUrl: one.databaseUrl })
  const client = await one.client()
  const serviceOf = (number: number): Service => (number % 2 === 0 ? one : other)
  const id = await subscribe(client, { round: 0 })

  /** Of every append: which filters it passed when it was asked for, and when it was answered. */
  const appends: { id: string; position: number; round: number; asked: number; answered: number }[] = []
  const state = { round: 0, settled: 0, writing: true }
  async function write(writer: number): Promise<void> {
    for (let number = 0; state.writing; number++) {
      // Some are for the filter of now, some for the next one.
      const [asked, round] = [state.settled, state.round + (number % 2)]
      const { status, text, body } = await call(serviceOf(writer).url, 'POST', '/events', {
        key: client.key,
        body: { type: 'order.placed', payload: { round } },
      })
      if (status !== 201) throw new Error(`${status}: ${text}`)
      appends.push({ id: body.id, position: body.position, round, asked, answered: state.round })
    }
  }
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
  for (let round = 1; round <= CHANGES; round++) {
    const wanted = appends.length + 10
    await until(() => appends.length >= wanted, 'the writers got on')
    state.round = round
    const { status } = await call(serviceOf(round).url, 'PATCH', `/subscriptions/${id}`, {
      key: client.key,
      body: { filter: { round } },
    })
    t.equal(status, 200)
    state.settled = round
  }
  const wanted = appends.length + 10
  await until(() => appends.length >= wanted, 'the writers got on')
  state.writing = false
  await writers

  const owed = new Set(await owedIds(client, id))
  const inOrder = appends.toSorted((a, b) => a.position - b.position)
  let current = 0
  for (const append of inOrder) {
    // The log tells which filter held: it only ever goes on to the next one.
    if (owed.has(append.id)) {
      if (append.round < current) t.fail(`${append.position} passed a filter that was replaced before it`)
      current = append.round
    }
    const certainly = append.asked === append.round && append.answered === append.round
    if (certainly && !owed.has(append.id)) t.fail(`${append.position} fits the only filter there was`)
    const never = append.round < append.asked || append.round > append.answered
    if (never && owed.has(append.id)) t.fail(`${append.position} fits no filter there was`)
  }
  t.equal(current, CHANGES, 'the last one holds')
  t.ok(owed.size > CHANGES && owed.size < appends.length, 'some passed and some did not')
})

t.test('a filter is shown, replaced and removed', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const append = async (n: number): Promise<string> =>
    (await client.post('/events', { type: 'order.placed', payload: { n } })).body.id
  const filter = { 'payload.n': { any: [1, { gt: 10.5 }] }, 'a.b': { exists: false } }
  const id = await subscribe(client, filter)
  t.strictSame((await client.get(`/subscriptions/${id}`)).body.filter, filter, 'as it was given')
  const [passed, _stopped] = [await append(1), await append(2)]
  t.strictSame((await client.patch(`/subscriptions/${id}`, { filter: { n: 2 } })).body.filter, { n: 2 })
  const [_stoppedToo, second] = [await append(1), await append(2)]
  t.strictSame((await client.patch(`/subscriptions/${id}`, { name: 'other' })).body.filter, { n: 2 })
  t.equal((await client.patch(`/subscriptions/${id}`, { filter: null })).body.filter, null)
  const last = [await append(1), await append(3)]
  t.strictSame(await owedIds(client, id), [passed, second, ...last])
})

t.test('a filter that cannot be used is refused, and nothing is stored', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const id = await subscribe(client, { n: 1 })
  const cases: [filter: unknown, pointers: string[]][] = [
    [{ n: { gt: null } }, ['/filter/n/gt']],
    [
      { n: { in: 5, exists: 'yes' }, any: [{ '': 1 }] },
      ['/filter/any/0/', '/filter/n/exists', '/filter/n/in'],
    ],
    [{ eq: 5 }, ['/filter/eq']],
    [{ any: Array.from({ length: 11 }, () => ({ n: { contains: 'x' } })) }, ['/filter']],
    [{ n: { contains: 'x'.repeat(201) } }, ['/filter/n/contains']],
    [{ n: 'x'.repeat(9_000) }, ['/filter']],
  ]
  for (const [filter, pointers] of cases) {
    const what = JSON.stringify(filter).slice(0, 60)
    const expected = { status: 422, type: 'invalid-filter', pointers }
    const body = { name: 'bad', eventPatterns: ['*'], destination: NOWHERE, filter }
    expectProblem(t, await client.post('/subscriptions', body), expected, what)
    expectProblem(t, await client.patch(`/subscriptions/${id}`, { name: 'bad', filter }), expected, what)
  }
  for (const filter of [[], 'n', 5, true]) {
    const answer = await client.patch(`/subscriptions/${id}`, { filter })
    expectProblem(
      t,
      answer,
      { status: 400, type: 'validation-failed', pointers: ['/filter'] },
      String(filter),
    )
  }
  const { body } = await client.get('/subscriptions')
  t.equal(body.data.length, 1)
  t.match(body.data[0], { id, name: 'filtered', filter: { n: 1 } })
})
