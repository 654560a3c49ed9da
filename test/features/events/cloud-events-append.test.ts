import fc from 'fast-check'
import t from 'tap'
import { BATCH, FULL, getAs, readWithSdk, STRUCTURED } from '../../helpers/cloud-events.ts'
import { jsonObjectText } from '../../helpers/json-text.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService, type Answer, type Client } from '../../helpers/service.ts'

const post = (client: Client, body: unknown, type = STRUCTURED, path = '/events'): Promise<Answer> =>
  client.post(path, body, { 'content-type': type })
const minimal = (id: string, more: object = {}) => ({
  specversion: '1.0',
  id,
  source: '/s',
  type: 'a.b',
  ...more,
})
const replayed = (answer: Answer): unknown => answer.headers['idempotency-replayed']

t.test('what was sent as a CloudEvent comes back to the letter', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const data = '{ "total":1.10, "id":12345678901234567890,\n"e":"\\u0041","list":[1e400,-0.0] }'
  const text = `{"data":${data},${JSON.stringify(FULL).slice(1)}`
  const appended = await post(client, text)
  t.equal(appended.status, 201, appended.text)
  const answer = await getAs(service.url, client, `/events/${appended.body.id}`, STRUCTURED)
  t.strictSame(answer.body, {
    ...FULL,
    heliographposition: '1',
    heliographid: appended.body.id,
    data: JSON.parse(data),
  })
  t.ok(answer.text.includes(`"data":${data}`), answer.text)
  t.strictSame(
    readWithSdk(answer).map(({ id, source, subject }) => ({ id, source, subject })),
    [{ id: FULL.id, source: FULL.source, subject: FULL.subject }],
  )

  t.test('any data', async () => {
    let number = 0
    await fc.assert(
      fc.asyncProperty(jsonObjectText, async (own) => {
        const sent = await post(
          client,
          `{"specversion":"1.0","id":"${number++}","source":"/any","type":"a.b","data":${own}}`,
        )
        if (sent.status !== 201) throw new Error(sent.text)
        const read = await getAs(service.url, client, `/events/${sent.body.id}`, STRUCTURED)
        if (!read.text.endsWith(`"data":${own}}`)) throw new Error(read.text)
      }),
      { numRuns: 40 },
    )
  })

  t.test('without data', async (t) => {
    const { body } = await post(client, minimal('none'))
    t.strictSame(body.payload, {})
  })

  t.test('edges, origin, organisation and own id', async (t) => {
    const edges = [{ type: 'sent_by', targetType: 'user', targetId: 'ü 😀' }]
    const more = {
      heliographoriginid: appended.body.id.toUpperCase(),
      heliographorgid: 'org',
      heliographexternalid: 'x-1',
      heliographedges: JSON.stringify(edges),
    }
    const sent = await post(client, minimal('mapped', more))
    t.equal(sent.status, 201, sent.text)
    t.match(sent.body, { edges, originEventId: appended.body.id, orgid: 'org', externalId: 'x-1' })
    const read = await getAs(service.url, client, `/events/${sent.body?.id}`, STRUCTURED)
    t.match(read.body, {
      ...more,
      heliographoriginid: appended.body.id,
      heliographedges: '{"sent_by":{"user_id":"ü 😀"}}',
      heliographedgelist: JSON.stringify([
        { edge_type: 'sent_by', target_type: 'user', target_id: 'ü 😀', user_id: 'ü 😀' },
      ]),
    })
    const found = await client.get(`/events?edge=sent_by:user:${encodeURIComponent('ü 😀')}`)
    t.equal(found.body.data.length, 1)
    const other = await post(client, minimal('another', { heliographexternalid: 'x-1' }))
    t.equal(other.status, 409, 'the own id stands for another event')
  })

  t.test('answered as the client would rather have it', async (t) => {
    const sent = await client.post('/events', minimal('accept', { data: { a: 1 } }), {
      'content-type': STRUCTURED,
      accept: STRUCTURED,
    })
    t.equal(sent.status, 201)
    t.match(sent.body, { specversion: '1.0', id: 'accept', source: '/s', data: { a: 1 } })
    const asJson = await client.post('/events', { type: 'a.b', payload: {} }, { accept: STRUCTURED })
    t.equal(asJson.body.specversion, '1.0')
  })

  t.test('a charset, white space and upper case in the media type', async (t) => {
    for (const type of ['; charset=utf-8', ';charset=UTF-8', ' ; charset=utf-8', '; x=y; charset="utf-8"'])
      t.equal((await post(client, minimal(type), STRUCTURED + type)).status, 201, type)
    t.equal((await post(client, minimal('upper'), STRUCTURED.toUpperCase())).status, 201)
    t.equal((await post(client, [minimal('upper batch')], `${BATCH}; charset=utf-8`)).status, 201)
  })

  t.test('an attribute that is null is one that is not there', async (t) => {
    // CloudEvents JSON format, 2.1: "null ... MUST be treated as the equivalent of unset or omitted".
    const sent = await post(client, minimal('null', { subject: null, trace: null, data_base64: null }))
    t.equal(sent.status, 201, sent.text)
  })
})

t.test('the same source and id again', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const event = { ...FULL, data: { a: 1, b: [1.5] } }
  const first = await post(client, event)
  t.equal(first.status, 201)
  t.equal(replayed(first), undefined)

  const again = await post(client, event)
  t.equal(again.status, 200, again.text)
  t.equal(replayed(again), 'true')
  t.strictSame(again.body, first.body)
  const inOtherWords = await post(client, JSON.stringify({ ...event, data: { b: [1.5], a: 1 } }, null, 2))
  t.equal(inOtherWords.status, 200, 'other white space, and data in another order')
  const { source, ...rest } = event
  t.equal((await post(client, { source, ...rest })).status, 200, 'attributes in another order')

  const conflict = { status: 409, type: 'idempotency-conflict' }
  for (const change of [
    { data: { a: 2 } },
    { subject: 'other' },
    { type: 'order.other' },
    { count: 8 },
    { orgid: 'o' },
    { heliographorgid: 'o' },
  ])
    expectProblem(t, await post(client, { ...event, ...change }), conflict, JSON.stringify(change))
  for (const change of [{ id: 'A-2' }, { source: '/other' }])
    t.equal((await post(client, { ...event, ...change })).status, 201, JSON.stringify(change))
  t.equal((await post(await service.client(), event)).status, 201, 'of another app')
  t.equal((await client.get('/events')).body.data.length, 3)

  t.test('many at once store it once', async (t) => {
    const racing = minimal('racing', { data: { a: 1 } })
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(client, racing)))
    t.equal(answers.filter(({ status }) => status === 201).length, 1)
    t.equal(answers.filter(({ status }) => status === 200).length, 19)
    t.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
  })
})

t.test('batches of CloudEvents', async (t) => {
  const service = await startService(t, { worker: false })
  for (const path of ['/events', '/events/batch']) {
    t.test(path, async (t) => {
      const client = await service.client()
      const events = [{ ...FULL, data: { n: 1 } }, minimal('2', { data: { n: 2 } }), minimal('3')]
      const text = ` [ ${events.map((event) => JSON.stringify(event, null, 1)).join(' , ')} ]\n`
      const sent = await post(client, text, BATCH, path)
      t.equal(sent.status, 201, sent.text)
      t.strictSame(
        sent.body.data.map(({ position, payload }: { position: number; payload: object }) => [
          position,
          payload,
        ]),
        [
          [1, { n: 1 }],
          [2, { n: 2 }],
          [3, {}],
        ],
      )
      const again = await post(client, events, BATCH, path)
      t.equal(again.status, 200)
      t.equal(replayed(again), 'true')
      t.strictSame(again.body, sent.body)
      const list = await getAs(service.url, client, '/events?order=asc', BATCH)
      t.strictSame(
        readWithSdk(list).map(({ id }) => id),
        events.map(({ id }) => id),
      )

      const mixed = await post(client, [minimal('3'), minimal('4')], BATCH, path)
      t.equal(mixed.status, 201, 'one of them is there already')
      t.strictSame(
        mixed.body.data.map(({ position }: { position: number }) => position),
        [3, 4],
      )

      const conflict = await post(client, [minimal('5'), minimal('3', { data: { other: 1 } })], BATCH, path)
      expectProblem(t, conflict, { status: 409, type: 'idempotency-conflict' }, 'one with other content')
      t.equal((await client.get('/events')).body.data.length, 4, 'all or none')

      const asBatch = await client.post(path, [minimal('6')], { 'content-type': BATCH, accept: BATCH })
      t.equal(readWithSdk(asBatch)[0]?.id, '6')
    })
  }

  t.test('one event twice in a batch', async (t) => {
    const client = await service.client()
    const twice = await post(client, [minimal('1'), minimal('2'), minimal('1')], BATCH)
    expectProblem(t, twice, { status: 400, type: 'validation-failed' }, 'twice, as an externalId is')
    t.equal(twice.status, 400)
    t.strictSame((await client.get('/events')).body.data, [])
  })

  t.test('how many there may be', async (t) => {
    const client = await service.client()
    const many = (count: number) => Array.from({ length: count }, (_, number) => minimal(String(number)))
    t.equal((await post(client, many(1000), BATCH, '/events/batch')).status, 201)
    const answer = await post(client, many(1001), BATCH, '/events/batch')
    expectProblem(t, answer, { status: 400, type: 'validation-failed' }, '1001 events')
    t.equal((await client.get('/events?limit=1')).body.data[0].position, 1000)
  })
})
