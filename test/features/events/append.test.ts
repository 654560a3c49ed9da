import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { jsonObjectText, jsonText, whiteSpace } from '../../helpers/json-text.ts'
import { observe } from '../../helpers/observer.ts'
import { startService, type Client } from '../../helpers/service.ts'

/** Text that a column can hold, of a number of characters. */
const text = (maxLength: number) =>
  fc.string({ unit: 'binary', minLength: 1, maxLength }).map((characters) => characters.replaceAll('\0', '0'))

/** What a stream sends of an event: all but where it stands, which is no part of the log. */
const streamed = (event: string): string => event.replace(/"status":"\w+","processedAt":[^,]+,/, '')

/** Every event of the log, oldest first, as JSON texts: an event holds no other's, so cutting is safe. */
async function logTexts(client: Client): Promise<string[]> {
  const texts: string[] = []
  let after = ''
  for (;;) {
    const { text: page, body } = await client.get(`/events?order=asc&limit=100${after}`)
    const starts = body.data.map(({ id }: { id: string }) => page.indexOf(`{"id":"${id}","position":`))
    const end = page.lastIndexOf('],"pageInfo":')
    for (const [index, start] of starts.entries())
      texts.push(page.slice(start, index + 1 < starts.length ? starts[index + 1] - 1 : end))
    if (!body.pageInfo.hasNextPage) return texts
    after = `&after=${body.pageInfo.endCursor}`
  }
}

t.test('payloads come back to the letter, wherever they are read', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const live = await observe(t, service.url, client.key, '?after=0')
  const appended: string[] = []

  /** The members of an event in some order and writing, with a payload among them that does not count. */
  const body = fc
    .tuple(jsonObjectText, whiteSpace, fc.constantFrom('"payload"', '"p\\u0061yload"'), jsonText, fc.nat(3))
    .map(([payload, space, key, ignored, form]) => {
      const type = `"type"${space}:"text.test"`
      const member = `${key}:${space}${payload}${space}`
      const members = [
        [type, member],
        [member, type],
        [`"payload":${ignored}`, type, member],
        [`"edges":[]`, member, `${space}${type}`],
      ][form] as string[]
      return { payload, text: `${space}{${space}${members.join(`,${space}`)}}${space}` }
    })

  await t.test('in the answer, by id and in a batch', async (t) => {
    await fc.assert(
      fc.asyncProperty(body, async ({ payload, text: sent }) => {
        const answer = await client.post('/events', sent)
        assert.equal(answer.status, 201, answer.text)
        appended.push(answer.text)
        assert.ok(answer.text.includes(`"payload":${payload},"edges":[]`), answer.text)
        const read = await client.get(`/events/${answer.body.id}`)
        assert.equal(read.text, answer.text)
      }),
      { numRuns: 250 },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(body, { minLength: 1, maxLength: 15 }), whiteSpace, async (bodies, space) => {
        const sent = `{${space}"events":${space}[${bodies.map((one) => one.text).join(space + ',')}]${space}}`
        const answer = await client.post('/events/batch', sent)
        assert.equal(answer.status, 201, answer.text)
        for (const [index, { payload }] of bodies.entries()) {
          const { id } = answer.body.data[index]
          const read = await client.get(`/events/${id}`)
          appended.push(read.text)
          assert.ok(answer.text.includes(read.text), answer.text)
          assert.ok(read.text.includes(`"payload":${payload},"edges":[]`), read.text)
        }
      }),
      { numRuns: 20 },
    )
    t.ok(appended.length > 250)
  })

  t.test('in the list', async (t) => {
    t.strictSame(await logTexts(client), appended)
  })

  t.test('in the stream, to one that watched and to one that comes later', async (t) => {
    // Lines of server-sent events end at a carriage return too, so one between JSON's tokens comes as a line feed.
    const expected = appended.map((event) => streamed(event).replaceAll(/\r\n|\r/g, '\n'))
    const late = await observe(t, service.url, client.key, '?after=0')
    for (const observer of [live, late]) {
      const messages = await observer.waitFor(expected.length)
      t.strictSame(
        messages.map(({ data }) => data),
        expected,
      )
    }
  })
})

t.test('batches take positions next to each other, in their order', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  let head = 0
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.nat(5), async (size, types) => {
      const events = Array.from({ length: size }, (_, number) => ({
        type: `batch.t${number % (types + 1)}`,
        payload: { number },
      }))
      const { status, body } = await client.post('/events/batch', { events })
      const got = body.data.map((event: Record<string, unknown>) => [
        event.position,
        event.type,
        event.payload,
      ])
      const wanted = events.map(({ type, payload }, index) => [head + index + 1, type, payload])
      head += size
      assert.equal(status, 201)
      assert.deepEqual(got, wanted)
    }),
    { numRuns: 40 },
  )
  const { body } = await client.get('/events?limit=1')
  t.equal(body.data[0].position, head)
})

t.test('edges and the other members come back as they were sent', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: origin } = await client.post('/events', { type: 'edge.test', payload: {} })
  const edge = fc.record(
    { type: text(100), targetType: text(100), targetId: text(200) },
    { noNullPrototype: true },
  )
  const members = fc.record(
    { edges: fc.array(edge, { maxLength: 50 }), orgid: text(200), originEventId: fc.constant(origin.id) },
    { requiredKeys: [], noNullPrototype: true },
  )
  await fc.assert(
    fc.asyncProperty(members, async (sent) => {
      const answer = await client.post('/events', { type: 'edge.test', payload: {}, ...sent })
      assert.equal(answer.status, 201, answer.text)
      const { id, edges, orgid, originEventId, externalId } = answer.body
      assert.deepEqual(
        { edges, orgid, originEventId, externalId },
        {
          edges: sent.edges ?? [],
          orgid: sent.orgid ?? null,
          originEventId: sent.originEventId ?? null,
          externalId: null,
        },
      )
      assert.equal((await client.get(`/events/${id}`)).text, answer.text)
      // The table that finds events by their edges has no reader in the API yet.
      const { rows } = await service.platform.pool.query(
        `select type, target_type as "targetType", target_id as "targetId" from event_edges
          where app_id = $1 and event_id = $2 order by ordinal`,
        [client.appId, id],
      )
      assert.deepEqual(rows, edges)
    }),
    { numRuns: 60 },
  )
})

t.test('an origin is given in either case and comes back in one', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: origin } = await client.post('/events', { type: 'a.b', payload: {} })
  const child = { type: 'a.b', payload: {}, originEventId: origin.id.toUpperCase() }
  const answer = await client.post('/events', child)
  t.equal(answer.status, 201)
  t.equal(answer.body.originEventId, origin.id)
  t.equal((await client.get(`/events/${answer.body.id}`)).text, answer.text)
})
