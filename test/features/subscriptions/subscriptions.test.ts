import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { expectProblem } from '../../helpers/problems.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const NOWHERE = 'http://127.0.0.1:9/'
const notFound = { status: 404, type: 'not-found' }
const subscription = {
  name: 'warehouse',
  eventPatterns: ['order.*', 'message.inbound'],
  destination: { type: 'webhook', url: NOWHERE },
}
const base64 = (bytes: number): string => Buffer.alloc(bytes, 0xab).toString('base64')

/** What a subscription has that asks for nothing special, and whose endpoint was not tried yet. */
const UNSET = {
  filter: null,
  transformation: null,
  retrySchedule: null,
  rateLimit: null,
  concurrency: null,
  ordering: null,
  batching: null,
  status: 'enabled',
  disabledAt: null,
  disabledReason: null,
  health: { state: 'healthy', consecutiveFailures: 0, failingSince: null, heldUntil: null },
}

interface Listed {
  id: string
  name: string
}
const ids = async (client: Client): Promise<string[]> =>
  (await client.get('/subscriptions?limit=100')).body.data.map(({ id }: Listed) => id)

/** What a subscription is owed or got, as types of events, oldest first. */
async function owed(client: Client, subscriptionId: string): Promise<string[]> {
  const { body } = await client.get(`/deliveries?limit=100&subscriptionId=${subscriptionId}`)
  const events = body.data.map(({ eventId }: { eventId: string }) => client.get(`/events/${eventId}`))
  return (await Promise.all(events)).map((answer) => answer.body.type as string).toReversed()
}

t.test('subscriptions', async (t) => {
  const service = await startService(t, { worker: false })

  t.test('are created, read, changed and deleted', async (t) => {
    const client = await service.client()
    const { status, body } = await client.post('/subscriptions', subscription)
    t.equal(status, 201)
    const { id, secret, createdAt, updatedAt, ...rest } = body
    t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    t.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
    t.ok(Date.parse(createdAt) > 0)
    t.equal(updatedAt, createdAt)
    t.strictSame(rest, { ...subscription, ...UNSET })

    const path = `/subscriptions/${id}`
    const read = await client.get(path)
    t.strictSame(read.body, { id, ...subscription, ...UNSET, createdAt, updatedAt })
    const changes = [
      { name: 'store' },
      { eventPatterns: ['**'] },
      { destination: { type: 'webhook', url: `${NOWHERE}other` } },
      { name: 'all', eventPatterns: ['*'], destination: subscription.destination },
    ]
    const expected = { ...read.body }
    for (const change of changes) {
      const changed = await client.patch(path, change)
      t.equal(changed.status, 200)
      Object.assign(expected, change, { updatedAt: changed.body.updatedAt })
      t.strictSame(changed.body, expected, 'only what was to change')
      t.strictSame((await client.get(path)).body, expected)
    }
    const list = await client.get('/subscriptions')
    t.strictSame(list.body.data, [expected])
    for (const { text } of [read, list]) t.notOk(text.includes('whsec_'), 'the secret is shown once')

    const deleted = await client.delete(path)
    t.strictSame([deleted.status, deleted.text], [204, ''])
    expectProblem(t, await client.get(path), notFound, 'reading it')
    expectProblem(t, await client.patch(path, { name: 'x' }), notFound, 'changing it')
    expectProblem(t, await client.delete(path), notFound, 'deleting it again')
    t.strictSame(await ids(client), [])
  })

  t.test('are listed oldest first, in pages', async (t) => {
    const client = await service.client()
    const made: string[] = []
    for (let number = 0; number < 7; number++)
      made.push((await client.post('/subscriptions', { ...subscription, name: `s${number}` })).body.id)
    const listed: string[] = []
    let after = ''
    for (;;) {
      const { body } = await client.get(`/subscriptions?limit=3${after}`)
      listed.push(...body.data.map(({ id }: Listed) => id))
      if (!body.pageInfo.hasNextPage) break
      // Deleting what the cursor stands for must not move the next page.
      await client.delete(`/subscriptions/${listed.at(-1)}`)
      after = `&after=${body.pageInfo.endCursor}`
    }
    t.strictSame(listed, made)
  })

  t.test('each has a secret of its own, or the one it was given', async (t) => {
    const client = await service.client()
    const secrets = new Set<string>()
    for (let number = 0; number < 5; number++)
      secrets.add((await client.post('/subscriptions', subscription)).body.secret)
    t.equal(secrets.size, 5)
    const given = [
      ...[1, 2, 3, 24, 25, 26, 32, 64, 186].map((bytes) => `whsec_${base64(bytes)}`),
      'my-webhook-secret',
      '12345678',
      'x'.repeat(256),
      'ü 😀 店\u0000\n"',
      ' whsec_?',
      'WHSEC_ü!',
    ]
    for (const secret of given) {
      const { status, body } = await client.post('/subscriptions', { ...subscription, secret })
      t.strictSame([status, body.secret], [201, secret], secret)
    }
    const { rows } = await service.platform.pool.query('select subscriptions::text as row from subscriptions')
    for (const secret of secrets)
      for (const form of [secret.slice(6), Buffer.from(secret.slice(6), 'base64').toString('hex')])
        t.notOk(
          rows.some(({ row }) => row.includes(form)),
          'no secret is in the database in the clear',
        )
  })

  t.test('bad secrets are refused: too short, too long, or no base64 after whsec_', async (t) => {
    const client = await service.client()
    const bad: unknown[] = [
      ['', 'x'.repeat(7), '😀'.repeat(7), 'x'.repeat(257), '\ud83d'.repeat(8), 'whsec_', 5, null],
      [`whsec_${base64(32)}\n`, `whsec_${'ü'.repeat(32)}`, `whsec_${base64(188)}`, 'whsec_my secret'],
      // RFC 4648: Node reads them all the same, other languages’ libraries may not.
      [`whsec_${'A'.repeat(33)}`, `whsec_${'A'.repeat(32)}=`, `whsec_${'A'.repeat(43)}==`, 'whsec_AB=C'],
    ].flat()
    for (const secret of bad) {
      const answer = await client.post('/subscriptions', { ...subscription, secret })
      const expected = { status: 400, type: 'validation-failed', pointers: ['/secret'] }
      expectProblem(t, answer, expected, JSON.stringify(secret))
    }
    const { body: there } = await client.post('/subscriptions', subscription)
    const changed = await client.patch(`/subscriptions/${there.id}`, { secret: `whsec_${base64(32)}` })
    t.equal(changed.status, 400, 'nor is one changed in passing')
    t.strictSame(await ids(client), [there.id])
  })

  t.test('bad destinations are refused', async (t) => {
    const client = await service.client()
    const { body: there } = await client.post('/subscriptions', subscription)
    const urls: unknown[] = [
      ['', 'x', '/hooks', 'example.com', '//example.com/', 'http:', 'http://', 5, null],
      ['ftp://example.com/', 'file:///etc/passwd', 'javascript:alert(1)', 'data:text/plain,x'],
      ['http://exa mple.com/', 'http://a\0b/'],
      ['http://example.com:99999/', 'http://[::1/', 'http://user@example.com/', 'http://u:p@example.com/'],
      [`http://example.com/${'x'.repeat(2048)}`],
    ].flat()
    const destinations: unknown[] = [
      urls.map((url) => ({ type: 'webhook', url })),
      [null, 'http://example.com/', [], {}, { type: 'webhook' }, { url: NOWHERE }],
      [
        { type: 'email', url: NOWHERE },
        { type: 'webhook', url: NOWHERE, extra: 1 },
      ],
    ].flat()
    for (const destination of destinations) {
      const what = JSON.stringify(destination).slice(0, 80)
      for (const answer of [
        await client.post('/subscriptions', { ...subscription, destination }),
        await client.patch(`/subscriptions/${there.id}`, { destination }),
      ]) {
        const malformed = answer.status === 400
        const type = malformed ? 'validation-failed' : 'invalid-destination'
        expectProblem(t, answer, { status: malformed ? 400 : 422, type }, what)
      }
    }
    t.strictSame((await client.get(`/subscriptions/${there.id}`)).body.destination, subscription.destination)
    t.strictSame(await ids(client), [there.id])
  })

  t.test('bad patterns and names are refused', async (t) => {
    const client = await service.client()
    const { body: there } = await client.post('/subscriptions', subscription)
    const patterns = [
      '',
      'Order',
      'a b',
      'ord*',
      '*x',
      '***',
      'a.*b',
      'order.#',
      'a,b',
      'ü',
      'a\n',
      'x'.repeat(201),
    ]
    const lists: unknown[] = [[], null, 'order.*', {}, [5], [null], Array.from({ length: 101 }, () => 'a')]
    const bodies = [
      lists.map((eventPatterns) => ({ eventPatterns })),
      patterns.map((pattern) => ({ eventPatterns: ['order.*', pattern] })),
      ['', 5, null, 'a\0b', '\ud800', 'x'.repeat(201)].map((name) => ({ name })),
      [{ id: there.id }, { appId: client.appId }, { status: 'enabled' }],
    ].flat()
    for (const body of bodies) {
      for (const answer of [
        await client.post('/subscriptions', { ...subscription, ...body }),
        await client.patch(`/subscriptions/${there.id}`, body),
      ])
        expectProblem(
          t,
          answer,
          { status: 400, type: 'validation-failed' },
          JSON.stringify(body).slice(0, 60),
        )
    }
    t.equal((await client.patch(`/subscriptions/${there.id}`, {})).status, 400, 'a change of nothing')
    const { secret: _, ...unchanged } = there
    t.strictSame((await client.get(`/subscriptions/${there.id}`)).body, unchanged)
    t.strictSame(await ids(client), [there.id])
  })

  t.test('other patterns count from the next event on', async (t) => {
    const client = await service.client()
    const append = (...types: string[]) =>
      client.post('/events/batch', { events: types.map((type) => ({ type, payload: {} })) })
    const make = async (eventPatterns: string[]): Promise<string> =>
      (await client.post('/subscriptions', { ...subscription, eventPatterns })).body.id
    await append('order.placed', 'a.b')
    const changing = await make(['order.*'])
    const constant = await make(['*'])
    await append('order.placed', 'order.item.added', 'a.b', 'order')
    await client.patch(`/subscriptions/${changing}`, { eventPatterns: ['a.**', 'order'] })
    await append('order.placed', 'a.b', 'a.b.c', 'order')
    await client.patch(`/subscriptions/${changing}`, { name: 'another name' })
    await append('a.b')
    await client.delete(`/subscriptions/${changing}`)
    await append('a.b', 'order')
    t.strictSame(await owed(client, changing), ['order.placed', 'a.b', 'a.b.c', 'order', 'a.b'])
    t.equal((await owed(client, constant)).length, 11)
  })
})

t.test('a subscription’s secret signs what it gets, given or made', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const text = 'my-webhook-secret ü😀'
  const url = Buffer.alloc(32, 0xfb).toString('base64url')
  /** What is given, and the key that it stands for. */
  const secrets: [given: string | undefined, key: Buffer | undefined][] = [
    [undefined, undefined],
    [`whsec_${base64(24)}`, undefined],
    [`whsec_${base64(64)}`, undefined],
    [`whsec_${url}`, Buffer.alloc(32, 0xfb)],
    [`whsec_${url}=`, Buffer.alloc(32, 0xfb)],
    [`whsec_${base64(32).replace('=', '')}`, Buffer.from(base64(32), 'base64')],
    [text, Buffer.from(text)],
    ['12345678', Buffer.from('12345678')],
  ]
  for (const [given, key] of secrets) {
    const receiver = await startReceiver(t)
    const destination = { type: 'webhook', url: receiver.url }
    const { body } = await client.post('/subscriptions', { ...subscription, destination, secret: given })
    const { body: event } = await client.post('/events', { type: 'order.placed', payload: { x: 'ü' } })
    const [received] = await receiver.waitFor(1)
    const headers = received?.headers as Record<string, string>
    const library = new Webhook(key ? key.toString('base64') : body.secret)
    const verified = library.verify(received?.text ?? '', headers) as { event_id: string }
    t.equal(verified.event_id, event.id, given ?? 'made')
    if (key) {
      const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signatures } = headers
      const hmac = createHmac('sha256', key).update(`${id}.${time}.${received?.text}`).digest('base64')
      t.equal(signatures?.split(' ')[0], `v1,${hmac}`, 'by hand')
    }
    t.throws(() => new Webhook(`whsec_${base64(33)}`).verify(received?.text ?? '', headers), 'and no other')
    await client.delete(`/subscriptions/${body.id}`)
  }
})

t.test('deleting a subscription cancels what it is still owed', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const [receiver, kept] = [await startReceiver(t), await startReceiver(t)]
  const make = async (url: string): Promise<string> =>
    (await client.post('/subscriptions', { ...subscription, destination: { type: 'webhook', url } })).body.id
  const deleted = await make(receiver.url)
  const other = await make(kept.url)
  const events = Array.from({ length: 30 }, (_, number) => ({ type: 'order.placed', payload: { number } }))
  const { body: appended } = await client.post('/events/batch', { events })
  t.equal((await client.get(`/events/${appended.data[0].id}`)).body.status, 'pending')
  t.equal((await client.delete(`/subscriptions/${deleted}`)).status, 204)

  // Only now is there a worker.
  await startService(t, { databaseUrl: service.databaseUrl })
  const statuses = async (id: string): Promise<string[]> => {
    const { body } = await client.get(`/deliveries?limit=100&subscriptionId=${id}`)
    return body.data.map(({ status }: { status: string }) => status)
  }
  const ended = await until(async () => {
    const all = [...(await statuses(deleted)), ...(await statuses(other))]
    return !all.includes('pending') && all
  }, 'nothing is pending')
  t.strictSame(
    ended.toSorted((a, b) => (a < b ? -1 : 1)),
    [...events.map(() => 'cancelled'), ...events.map(() => 'succeeded')],
  )
  t.equal(receiver.received.length, 0, 'nothing was sent to it')
  const { body: list } = await client.get(`/deliveries?status=cancelled&limit=100`)
  for (const { subscriptionId, attempts, nextAttemptAt, completedAt } of list.data) {
    t.strictSame([subscriptionId, attempts, nextAttemptAt], [deleted, 0, null])
    t.type(completedAt, 'string')
  }
  for (const { id } of appended.data) t.equal((await client.get(`/events/${id}`)).body.status, 'completed')
})
