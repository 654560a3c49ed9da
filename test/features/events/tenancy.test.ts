import t from 'tap'
import { observe } from '../../helpers/observer.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const notFound = { status: 404, type: 'not-found' }

/** An app with one of everything. */
async function furnish(client: Client, name: string, url: string) {
  const { body: type } = await client.post('/event-types', {
    name: 'shared.type',
    description: name,
    jsonSchema: { type: 'object', properties: { owner: { const: name } } },
    enforceValidation: true,
  })
  const { body: subscription } = await client.post('/subscriptions', {
    name,
    eventPatterns: ['shared.*'],
    destination: { type: 'webhook', url },
  })
  const { status, body: event } = await client.post(
    '/events',
    { type: 'shared.type', payload: { owner: name }, externalId: 'shared id' },
    { 'idempotency-key': 'shared key' },
  )
  const delivery = await until(async () => {
    const { body } = await client.get(`/events/${event.id}/deliveries`)
    return body.data[0]?.status === 'succeeded' && body.data[0]
  }, `${name} got its event`)
  return { client, name, type, subscription, event, status, delivery }
}

t.test('two apps on one service know nothing of each other', async (t) => {
  const service = await startService(t)
  const receiver = await startReceiver(t)
  const clients = await Promise.all([service.client(), service.client()])
  const streams = await Promise.all(clients.map(({ key }) => observe(t, service.url, key, '?after=0')))
  const one = await furnish(clients[0], 'one', `${receiver.url}one`)
  const other = await furnish(clients[1], 'other', `${receiver.url}other`)

  t.test('the same names and keys are independent', async (t) => {
    for (const { status, event, name, client } of [one, other]) {
      t.equal(status, 201, 'not a repeat of the other')
      t.match(event, { position: 1, externalId: 'shared id', payload: { owner: name } })
      t.equal(event.appId, client.appId)
    }
    t.not(one.event.id, other.event.id)
    t.not(one.type.id, other.type.id)
    t.equal(one.event.eventTypeId, one.type.id)
    t.equal(other.event.eventTypeId, other.type.id)

    const repeated = await other.client.post('/events', {
      type: 'shared.type',
      payload: { owner: 'other' },
      externalId: 'shared id',
    })
    t.equal(repeated.status, 200)
    t.equal(repeated.body.id, other.event.id, 'a repeat finds the app’s own event')
    const refused = await other.client.post('/events', { type: 'shared.type', payload: { owner: 'one' } })
    expectProblem(t, refused, { status: 422, type: 'schema-violation' }, 'each has its own schema')
  })

  t.test('what one has, the other can neither read nor change', async (t) => {
    for (const [mine, theirs] of [
      [one, other],
      [other, one],
    ] as const) {
      const { client } = mine
      const paths = {
        event: `/events/${theirs.event.id}`,
        'deliveries of an event': `/events/${theirs.event.id}/deliveries`,
        'event type': `/event-types/${theirs.type.id}`,
        subscription: `/subscriptions/${theirs.subscription.id}`,
        delivery: `/deliveries/${theirs.delivery.id}`,
        attempts: `/deliveries/${theirs.delivery.id}/attempts`,
      }
      for (const [what, path] of Object.entries(paths)) {
        expectProblem(t, await client.get(path), notFound, `reading: ${what}`)
        t.equal((await theirs.client.get(path)).status, 200, `its owner reads it: ${what}`)
      }
      for (const path of [paths['event type'], paths.subscription]) {
        const change = path === paths.subscription ? { name: 'mine' } : { description: 'mine' }
        expectProblem(t, await client.patch(path, change), notFound, `changing ${path}`)
        expectProblem(t, await client.delete(path), notFound, `deleting ${path}`)
      }
      const { body: type } = await theirs.client.get(paths['event type'])
      t.strictSame(type, theirs.type, 'the event type is as it was')
      const { secret: _, ...created } = theirs.subscription
      const { body: subscription } = await theirs.client.get(paths.subscription)
      t.strictSame(subscription, created, 'the subscription is as it was')

      const child = { type: 'child.type', payload: {}, originEventId: theirs.event.id }
      const unknown = { status: 422, type: 'unknown-origin' }
      expectProblem(
        t,
        await client.post('/events', child),
        { ...unknown, pointers: ['/originEventId'] },
        'an origin',
      )
      const batch = { events: [{ type: 'child.type', payload: {} }, child] }
      expectProblem(
        t,
        await client.post('/events/batch', batch),
        { ...unknown, pointers: ['/events/1/originEventId'] },
        'an origin in a batch',
      )
    }
  })

  t.test('lists hold only what is the app’s own', async (t) => {
    for (const [mine, theirs] of [
      [one, other],
      [other, one],
    ] as const) {
      const { client } = mine
      const ids = async (path: string): Promise<string[]> => {
        const { status, body } = await client.get(path)
        t.equal(status, 200, path)
        return body.data.map(({ id }: { id: string }) => id)
      }
      t.strictSame(await ids('/events'), [mine.event.id])
      t.strictSame(await ids('/events?order=asc&type=shared.type'), [mine.event.id])
      t.strictSame(await ids('/events?types=shared.*&typePrefix=sh&typeContains=ed'), [mine.event.id])
      t.strictSame(await ids('/subscriptions'), [mine.subscription.id])
      t.strictSame(await ids('/deliveries'), [mine.delivery.id])
      t.strictSame(await ids(`/deliveries?eventId=${theirs.event.id}`), [])
      t.strictSame(await ids(`/deliveries?subscriptionId=${theirs.subscription.id}`), [])
      const types = await client.get('/event-types?limit=100')
      t.notOk(types.text.includes(theirs.type.id), 'no event type of the other')
      t.ok(types.text.includes(mine.type.id))
    }
  })

  t.test('a cursor of one app opens nothing in the other', async (t) => {
    for (const list of ['events', 'event-types', 'subscriptions', 'deliveries']) {
      const { body: page } = await other.client.get(`/${list}?limit=1`)
      const { status, text } = await one.client.get(`/${list}?limit=100&after=${page.pageInfo.endCursor}`)
      t.equal(status, 200, list)
      const seen = [other.event, other.type, other.subscription, other.delivery].filter(({ id }) =>
        text.includes(id),
      )
      t.strictSame(seen, [], `${list}: nothing of the other`)
    }
  })

  t.test('webhooks and streams carry only the app’s own events', async (t) => {
    // One more each, in turns: when the last one has come, a stray one would have come before it.
    for (let number = 0; number < 10; number++)
      for (const { client, name } of [one, other])
        t.equal((await client.post('/events', { type: 'shared.type', payload: { owner: name } })).status, 201)
    for (const [index, stream] of streams.entries()) {
      const { client } = [one, other][index] as typeof one
      const messages = await stream.waitFor(11)
      t.strictSame(
        messages.map(({ id }) => Number(id)),
        Array.from({ length: 11 }, (_, position) => position + 1),
      )
      for (const { data } of messages) t.equal(JSON.parse(data).appId, client.appId)
    }
    const bodies = await until(() => {
      const byId = new Map(receiver.received.map(({ text }) => [JSON.parse(text).event_id, JSON.parse(text)]))
      return byId.size >= 22 && [...byId.values()]
    }, 'every event was delivered')
    t.equal(bodies.length, 22, 'and no other')
    for (const { app_id: appId, payload } of bodies) {
      const owner = [one, other].find(({ client }) => client.appId === appId)
      t.equal(payload.owner, owner?.name)
    }
  })
})
