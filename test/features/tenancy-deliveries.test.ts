import t from 'tap'
import { allEnded, countOf } from '../helpers/owed.ts'
import { expectProblem } from '../helpers/problems.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { startService, type Client } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

const notFound = { status: 404, type: 'not-found' }

/** An app with a delivery that is dead, one that waits, and a recovery that is paused. */
async function furnish(client: Client, url: string) {
  const subscription = await client.subscribe(url, ['shared.*'])
  const { body: event } = await client.post('/events', { type: 'shared.type', payload: {} })
  const delivery = await until(async () => {
    const { body } = await client.get(`/events/${event.id}/deliveries`)
    return body.data[0]?.status === 'dead' && body.data[0]
  }, 'it is dead')
  await client.post(`/subscriptions/${subscription.id}/disable`, undefined)
  await client.post('/events', { type: 'shared.type', payload: {} })
  const { body: recovery } = await client.post('/deliveries/retry', { from: '2999-01-01T00:00:00Z' })
  await until(
    async () => (await client.get(`/recoveries/${recovery.id}`)).body.status === 'completed',
    'nothing was to do',
  )
  const { body: page } = await client.get('/attempts?limit=1')
  /** Everything there is, as the app itself sees it. */
  const everything = () =>
    Promise.all(
      [`/subscriptions/${subscription.id}`, `/deliveries`, `/attempts`, `/recoveries`, '/events'].map(
        async (path) => (await client.get(path)).body,
      ),
    )
  return {
    client,
    subscription,
    event,
    delivery,
    recovery,
    cursor: page.pageInfo.endCursor as string,
    everything,
  }
}

t.test('two apps know nothing of each other’s deliveries and recoveries', async (t) => {
  const service = await startService(t, { settings: { DELIVERY_RETRY_SCHEDULE: '1ms' } })
  const receiver = await startReceiver(t)
  receiver.answer = (response) => response.writeHead(400).end('refused')
  const one = await service.client().then((client) => furnish(client, receiver.url))
  const other = await service.client().then((client) => furnish(client, receiver.url))
  const before = { one: await one.everything(), other: await other.everything() }
  const sent = receiver.received.length
  const pairs = [
    [one, other],
    [other, one],
  ] as const

  t.test('what one has is not there for the other', async (t) => {
    for (const [{ client }, { subscription, event, delivery, recovery }] of pairs) {
      const reads = [
        `/subscriptions/${subscription.id}`,
        `/subscriptions/${subscription.id}/statistics`,
        `/events/${event.id}/deliveries`,
        `/deliveries/${delivery.id}`,
        `/deliveries/${delivery.id}/attempts`,
        `/recoveries/${recovery.id}`,
      ]
      for (const path of reads) expectProblem(t, await client.get(path), notFound, path)
      const acts: [string, object?][] = [
        [`/subscriptions/${subscription.id}/enable`],
        [`/subscriptions/${subscription.id}/disable`],
        [`/subscriptions/${subscription.id}/rotate-secret`],
        [`/subscriptions/${subscription.id}/rotate-secret`, { overlapSeconds: 0 }],
        [`/subscriptions/${subscription.id}/test`],
        [`/subscriptions/${subscription.id}/test`, { eventType: 'shared.type' }],
        [`/subscriptions/${subscription.id}/replay`, { fromPosition: 1 }],
        [`/deliveries/${delivery.id}/retry`],
        [`/deliveries/${delivery.id}/discard`],
        [`/deliveries/retry`, { subscriptionId: subscription.id }],
        [`/deliveries/discard`, { subscriptionId: subscription.id }],
        ...['pause', 'resume', 'cancel'].map((action): [string] => [`/recoveries/${recovery.id}/${action}`]),
      ]
      for (const [path, body] of acts) expectProblem(t, await client.post(path, body), notFound, path)
    }
    t.equal(receiver.received.length, sent, 'nothing was sent')
  })

  t.test('lists hold only what is the app’s own', async (t) => {
    for (const [{ client, delivery }, theirs] of pairs) {
      const ids = async (path: string): Promise<string[]> =>
        (await client.get(path)).body.data.map(({ id }: { id: string }) => id)
      for (const path of [
        `/attempts?subscriptionId=${theirs.subscription.id}`,
        `/deliveries?subscriptionId=${theirs.subscription.id}`,
        `/deliveries?eventId=${theirs.event.id}`,
        `/recoveries?subscriptionId=${theirs.subscription.id}`,
      ])
        t.strictSame(await ids(path), [], path)
      t.equal((await ids('/deliveries?status=dead')).join(), delivery.id)
      const { status, text } = await client.get(`/attempts?after=${theirs.cursor}`)
      t.equal(status, 200)
      t.notOk(text.includes(theirs.delivery.id), 'a cursor of the other')
    }
  })

  t.test('and nothing of it changed anything', async (t) => {
    t.strictSame(await one.everything(), before.one)
    t.strictSame(await other.everything(), before.other)
  })

  t.test('what one does to all of its deliveries leaves the other’s alone', async (t) => {
    receiver.answer = (response) => response.end()
    await one.client.post(`/subscriptions/${one.subscription.id}/enable`, undefined)
    await one.client.post(`/subscriptions/${one.subscription.id}/replay`, { fromPosition: 1 })
    await one.client.post('/deliveries/retry', {})
    await until(async () => {
      const { body } = await one.client.get('/recoveries?status=running')
      return body.data.length === 0
    }, 'all is done')
    await until(async () => {
      const { body } = await one.client.get('/deliveries?status=pending')
      return body.data.length === 0
    }, 'nothing is owed')
    t.strictSame(await other.everything(), before.other)
    t.equal(await countOf(service, 'dead'), 1)
    await other.client.delete(`/subscriptions/${other.subscription.id}`)
    await allEnded(service)
  })
})
