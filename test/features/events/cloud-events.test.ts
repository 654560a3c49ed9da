import t, { type Test } from 'tap'
import { BATCH, FULL, getAs, readWithSdk, STRUCTURED } from '../../helpers/cloud-events.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService, type Answer, type Client } from '../../helpers/service.ts'

const mediaType = (answer: Answer): string => String(answer.headers['content-type']).split(';')[0] ?? ''
const edges = [
  { type: 'sent_by', targetType: 'user', targetId: '1 "ü"' },
  { type: 'sent_to', targetType: 'room', targetId: '2' },
]

const post = (client: Client, event: object | string, path = '/events'): Promise<Answer> =>
  client.post(path, event, { 'content-type': Array.isArray(event) ? BATCH : STRUCTURED })

t.test('an event that was appended as JSON reads as a CloudEvent', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: origin } = await client.post('/events', { type: 'a.b', payload: {} })
  const payload = '{"total": 1.10,"id":12345678901234567890,"e":"\\u0041"}'
  const { body: event } = await client.post(
    '/events',
    `{"type":"order.placed","payload":${payload},"edges":${JSON.stringify(edges)},"originEventId":"${origin.id}","externalId":"A \\"1\\"","orgid":"org ü"}`,
  )
  const answer = await getAs(service.url, client, `/events/${event.id}`, STRUCTURED)
  t.equal(answer.headers['content-type'], `${STRUCTURED}; charset=utf-8`)
  t.ok(String(answer.headers['vary']).toLowerCase().includes('accept'))
  t.strictSame(answer.body, {
    specversion: '1.0',
    id: event.id,
    source: `/apps/${client.appId}`,
    time: event.createdAt,
    datacontenttype: 'application/json',
    type: 'order.placed',
    heliographposition: String(event.position),
    heliographid: event.id,
    heliographexternalid: 'A "1"',
    heliographoriginid: origin.id,
    heliographorgid: 'org ü',
    heliographedges: '{"sent_by":{"user_id":"1 \\"ü\\""},"sent_to":{"target_type":"room","target_id":"2"}}',
    heliographedgelist: JSON.stringify([
      { edge_type: 'sent_by', target_type: 'user', target_id: '1 "ü"', user_id: '1 "ü"' },
      { edge_type: 'sent_to', target_type: 'room', target_id: '2' },
    ]),
    data: JSON.parse(payload),
  })
  t.ok(answer.text.includes(`"data":${payload}`), 'its data is the payload to the letter')
  const [read] = readWithSdk(answer)
  t.equal(read?.id, event.id)
  t.equal(read?.type, 'order.placed')
  t.equal(read?.['heliographoriginid'], origin.id)

  const plain = await getAs(service.url, client, `/events/${origin.id}`, STRUCTURED)
  t.strictSame(
    Object.keys(plain.body).toSorted(),
    'data datacontenttype heliographid heliographposition id source specversion time type'.split(' '),
  )
  readWithSdk(plain)

  t.test('and can be appended to another app as it is', async (t) => {
    const other = await service.client()
    const copy = await post(other, plain.text)
    t.equal(copy.status, 201, copy.text)
    const again = await getAs(service.url, other, `/events/${copy.body.id}`, STRUCTURED)
    t.strictSame(again.body, { ...plain.body, heliographposition: '1', heliographid: copy.body.id })
    const { heliographoriginid: _elsewhere, ...rest } = answer.body
    t.strictSame((await post(other, rest)).body.edges, edges, 'with its edges')
  })
})

t.test('which media type is answered', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: event } = await client.post('/events', { type: 'a.b', payload: {} })
  await client.post('/events', { type: 'a.b', payload: {}, originEventId: event.id })
  const json = 'application/json'
  /** What a client would take; what it gets of one event, and of a list. */
  const cases: [string, string, string][] = [
    ['*/*', json, json],
    [json, json, json],
    ['application/*', json, json],
    ['text/html', json, json],
    [STRUCTURED, STRUCTURED, json],
    ['Application/CloudEvents+JSON', STRUCTURED, json],
    [BATCH, json, BATCH],
    [`${STRUCTURED}, ${json}`, STRUCTURED, json],
    [`${STRUCTURED}, ${json};q=0.9`, STRUCTURED, json],
    [`${STRUCTURED}, ${BATCH};q=0.9`, STRUCTURED, BATCH],
    [`${STRUCTURED};q=0.5, ${json};q=0.9`, json, json],
    [`${BATCH};q=0.9, ${STRUCTURED};q=0.8, */*;q=0.1`, STRUCTURED, BATCH],
    [`text/html, ${STRUCTURED};q=0.3`, STRUCTURED, json],
    [`${STRUCTURED};q=0, */*`, json, json],
    [`${json};q=0, ${STRUCTURED}`, STRUCTURED, json],
  ]
  for (const [accept, one, list] of cases) {
    t.equal(mediaType(await getAs(service.url, client, `/events/${event.id}`, accept)), one, `one: ${accept}`)
    for (const path of ['/events', `/events/${event.id}/children`]) {
      const answer = await getAs(service.url, client, path, accept)
      t.equal(mediaType(answer), list, `${path}: ${accept}`)
      t.equal(Array.isArray(answer.body), list === BATCH)
    }
  }
  const problem = await getAs(service.url, client, '/events?limit=0', STRUCTURED)
  t.equal(mediaType(problem), 'application/problem+json', 'an error is a problem document')
})

/** Follows the `Link` headers of a list. */
async function readLinked(
  t: Test,
  url: string,
  client: Client,
  path: string,
): Promise<{ sequences: number[]; pages: number }> {
  const sequences: number[] = []
  let pages = 0
  for (let next: string | undefined = path; next !== undefined && pages < 100; pages++) {
    const answer: Answer = await getAs(url, client, next, BATCH)
    t.equal(answer.status, 200, next)
    sequences.push(
      ...(answer.body.length === 0 ? [] : readWithSdk(answer)).map((event) =>
        Number(event['heliographposition']),
      ),
    )
    next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers['link']))?.[1]
  }
  return { sequences, pages }
}

t.test('lists of CloudEvents are paged by links', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: origin } = await client.post('/events', { type: 'a.b', payload: { n: 'ü&="' } })
  const events = Array.from({ length: 9 }, (_, n) => ({
    type: 'a.b',
    payload: { n: n % 2 },
    originEventId: origin.id,
  }))
  await client.post('/events/batch', { events })
  const filter = encodeURIComponent('{"n":1}')
  const cases: Record<string, number[]> = {
    '/events?limit=3': [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
    '/events?order=asc&limit=10': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    '/events?order=asc&first=1&type=a.b&type=c': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    [`/events?limit=2&payload=${filter}`]: [9, 7, 5, 3],
    [`/events?payload=${encodeURIComponent('{"n":"ü&=\\""}')}&limit=1`]: [1],
    [`/events/${origin.id}/children?limit=4`]: [2, 3, 4, 5, 6, 7, 8, 9, 10],
    '/events?type=never.seen': [],
  }
  for (const [path, wanted] of Object.entries(cases)) {
    const size = Number(/(?:limit|first)=(\d+)/.exec(path)?.[1] ?? 50)
    const { sequences, pages } = await readLinked(t, service.url, client, path)
    t.strictSame(sequences, wanted, path)
    t.equal(pages, Math.max(1, Math.ceil(wanted.length / size)), `${path}: no page too many`)
  }
  t.strictSame((await getAs(service.url, client, '/events?type=never.seen', BATCH)).body, [])
})

t.test('webhooks of a CloudEvent, and its JSON, are those of any event', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const receiver = await startReceiver(t)
  await client.subscribe(receiver.url)
  const { status, body: event } = await post(client, { ...FULL, data: { order: 1 } })
  t.equal(status, 201)
  t.notOk('context' in event || 'specversion' in event)
  t.strictSame(event.payload, { order: 1 })
  t.notSame(event.id, FULL.id)
  const [received] = await receiver.waitFor(1)
  const body = JSON.parse(received?.text ?? '')
  t.match(JSON.stringify(body), event.id)
  const plain = await client.post('/events', { type: 'order.placed', payload: { order: 1 } })
  const [, second] = await receiver.waitFor(2)
  t.strictSame(
    Object.keys(JSON.parse(second?.text ?? '')),
    Object.keys(body),
    'members as of an event sent as JSON',
  )
  t.equal(plain.status, 201)
})
