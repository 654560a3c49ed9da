import t from 'tap'
import { expectProblem } from '../helpers/problems.ts'
import { ADMIN_KEY, call, startService } from '../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'

const invalid = (...pointers: string[]) => ({ status: 400, type: 'validation-failed', pointers })
const badCursor = { status: 400, type: 'invalid-cursor' }
const cursor = (text: string): string => Buffer.from(text).toString('base64url')

t.test('queries that are not as they should be', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (let number = 0; number < 3; number++)
    await client.post('/events', { type: 'a.b', payload: { number } })
  const { body: parent } = await client.post('/events', { type: 'a.b', payload: {} })
  const lists = [
    '/events',
    `/events/${parent.id}/children`,
    '/event-types',
    '/subscriptions',
    '/deliveries',
    '/attempts',
    '/recoveries',
    '/users',
    '/platform-users',
    '/files',
    '/platform-connections',
    '/link-codes',
    '/inquiries',
    '/apps',
  ]
  const get = (path: string) =>
    call(service.url, 'GET', path, { key: path.startsWith('/apps') ? ADMIN_KEY : client.key })

  t.test('sizes of pages', async (t) => {
    for (const list of lists) {
      for (const name of ['limit', 'first']) {
        for (const size of ['0', '-1', '101', '1.5', 'x', '', '1e9', 'NaN', '1&' + name + '=2'])
          expectProblem(
            t,
            await get(`${list}?${name}=${size}`),
            invalid(`/${name}`),
            `${list} ${name}=${size}`,
          )
        t.equal((await get(`${list}?${name}=100`)).status, 200, 'the largest')
      }
    }
  })

  t.test('unknown parameters', async (t) => {
    for (const list of lists) {
      expectProblem(t, await get(`${list}?nothing=1`), invalid('/nothing'), list)
      expectProblem(t, await get(`${list}?Limit=1&limit=1`), invalid('/Limit'), `${list}, in capitals`)
      expectProblem(t, await get(`${list}?__proto__=1`), invalid('/__proto__'), `${list}, __proto__`)
    }
    expectProblem(t, await get('/events/stream?limit=5'), invalid('/limit'), 'the stream')
    t.pass('all were refused')
  })

  t.test('cursors', async (t) => {
    const { body: page } = await client.get('/events?limit=1')
    const cursors = [
      '',
      '!',
      cursor(''),
      cursor('x'),
      cursor('-1'),
      cursor('-1.5'),
      cursor('1 or 1=1'),
      cursor('9'.repeat(16)),
      cursor('"'),
      cursor(`${UNKNOWN_ID}x`),
      'x'.repeat(200),
    ]
    for (const list of lists)
      for (const after of cursors)
        expectProblem(t, await get(`${list}?after=${after}`), badCursor, `${list} ${after}`)
    expectProblem(t, await get(`/events?after=${cursor(UNKNOWN_ID)}`), badCursor, 'one of another list')
    // Children are listed along the log too.
    for (const list of lists.slice(2))
      expectProblem(
        t,
        await get(`${list}?after=${page.pageInfo.endCursor}`),
        badCursor,
        `${list}: one of events`,
      )
    for (const list of lists)
      expectProblem(t, await get(`${list}?after=${'x'.repeat(301)}`), invalid('/after'), `${list}: too long`)
    t.pass('all were refused')
  })

  t.test('filters of events', async (t) => {
    const bad: [string, string][] = [
      ['order=up', '/order'],
      ['order=asc&order=desc', '/order'],
      ['type=', '/type/0'],
      ['type=A', '/type/0'],
      ['type=a.b&type=a,b', '/type/1'],
      [Array.from({ length: 51 }, () => 'type=a').join('&'), '/type'],
      ['types=ord*', '/types'],
      ['types=***', '/types'],
      ['types=a.b;c', '/types'],
      ['types=A', '/types'],
      [`types=${'a,'.repeat(1_001)}`, '/types'],
      [`typePrefix=${'a'.repeat(201)}`, '/typePrefix'],
      [`typeContains=${'a'.repeat(201)}`, '/typeContains'],
      ['typePrefix=a&typePrefix=b', '/typePrefix'],
    ]
    for (const [query, pointer] of bad)
      expectProblem(t, await get(`/events?${query}`), invalid(pointer), query.slice(0, 40))
    t.pass('all were refused')
  })

  t.test('filters of deliveries', async (t) => {
    const bad: [string, string][] = [
      ['status=open', '/status'],
      ['eventId=x', '/eventId'],
      ['subscriptionId=1', '/subscriptionId'],
      [`eventId=urn:uuid:${UNKNOWN_ID}`, '/eventId'],
    ]
    for (const [query, pointer] of bad)
      expectProblem(t, await get(`/deliveries?${query}`), invalid(pointer), query)
    t.pass('all were refused')
  })

  t.test('filters of attempts, recoveries and statistics', async (t) => {
    const statistics = `/subscriptions/${UNKNOWN_ID}/statistics`
    const bad: [string, string][] = [
      ['/attempts?outcome=dead', '/outcome'],
      ['/attempts?trigger=by-hand', '/trigger'],
      ['/attempts?subscriptionId=1', '/subscriptionId'],
      ...['99', '1000', '2xx', ''].map((status): [string, string] => [
        `/attempts?responseStatus=${status}`,
        '/responseStatus',
      ]),
      ['/attempts?startedAt[gte]=yesterday', '/startedAt[gte]'],
      ['/attempts?startedAt[lte]=2026-11-21', '/startedAt[lte]'],
      ['/attempts?startedAt=2026-11-21T17:32:56Z', '/startedAt'],
      ['/recoveries?status=dead', '/status'],
      ['/recoveries?subscriptionId=x', '/subscriptionId'],
      ...['0', '721', '1.5', 'x', ''].map((hours): [string, string] => [
        `${statistics}?hours=${hours}`,
        '/hours',
      ]),
      [`${statistics}?days=1`, '/days'],
    ]
    for (const [path, pointer] of bad) expectProblem(t, await get(path), invalid(pointer), path)
    t.pass('all were refused')
  })

  t.test('filters of entities, connections, link codes and inquiries', async (t) => {
    const bad: [string, string][] = [
      ['/users?name=x', '/name'],
      ['/files?filename=x', '/filename'],
      ['/platform-users?platformConnectionId=x', '/platformConnectionId'],
      [`/platform-users?platformConnectionId=urn:uuid:${UNKNOWN_ID}`, '/platformConnectionId'],
      ['/platform-users?userId=', '/userId'],
      [`/platform-users?userId=${UNKNOWN_ID}&userId=${UNKNOWN_ID}`, '/userId'],
      ['/platform-users?externalId=', '/externalId'],
      ['/platform-users?externalId=%00', '/externalId'],
      ['/platform-users?externalId=a&externalId=b', '/externalId'],
      [`/platform-users?externalId=${'x'.repeat(201)}`, '/externalId'],
      ['/platform-users?name=x', '/name'],
      ['/platform-connections?platform=telegraph', '/platform'],
      ['/platform-connections?platform=', '/platform'],
      ['/platform-connections?name=x', '/name'],
      ['/link-codes?platformUserId=x', '/platformUserId'],
      ['/link-codes?code=1234-5678-9012-5924', '/code'],
      ['/inquiries?type=200', '/type'],
      ['/inquiries?type=200_SALES&type=500_PRESS', '/type'],
      ['/inquiries?email=ada', '/email'],
      ['/inquiries?email=%00', '/email'],
      ['/inquiries?order=up', '/order'],
      ['/inquiries?createdAtGte=yesterday', '/createdAtGte'],
      ['/inquiries?createdAtLte=2026-11-21', '/createdAtLte'],
      ['/inquiries?subject=x', '/subject'],
    ]
    for (const [path, pointer] of bad) expectProblem(t, await get(path), invalid(pointer), path.slice(0, 60))
    t.pass('all were refused')
  })

  t.test('what to include', async (t) => {
    for (const path of ['/events', `/events/${parent.id}`, `/events/${parent.id}/children`]) {
      for (const include of ['', 'x', 'Entities', 'entities,x', 'entities&include=entities'])
        expectProblem(t, await get(`${path}?include=${include}`), invalid('/include'), `${path} ${include}`)
      t.equal((await get(`${path}?include=entities`)).status, 200)
    }
    for (const query of ['order=up', 'type=a.b', 'originEventId=x'])
      expectProblem(
        t,
        await get(`/events/${parent.id}/children?${query}`),
        invalid(`/${query.split('=')[0]}`),
        query,
      )
  })

  t.test('places in the stream', async (t) => {
    for (const after of ['-1', 'x', '1.5', ''])
      expectProblem(t, await get(`/events/stream?after=${after}`), invalid('/after'), `after=${after}`)
    expectProblem(t, await get('/events/stream?types=ord*'), invalid('/types'), 'types')
    for (const id of ['x', '-1', '1.5', '9'.repeat(16)]) {
      const answer = await call(service.url, 'GET', '/events/stream', {
        key: client.key,
        headers: { 'last-event-id': id },
      })
      expectProblem(t, answer, invalid('/last-event-id'), `Last-Event-ID ${id}`)
    }
    t.pass('all were refused')
  })
})
