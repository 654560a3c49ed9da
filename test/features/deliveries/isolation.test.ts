import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { startReceiver } from '../../helpers/receiver.ts'
import { BACKENDS, startService, type Client, type Service } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const BACKLOG = 1_000
/** Requests that a process has under way for one subscription. */
const REQUESTS_PER_LANE = 64
/** Deliveries that it holds for one subscription: thrice the requests and one more claim, and 8 feeds of up to 100. */
const MOST_CLAIMED = 3 * REQUESTS_PER_LANE + 100 + 8 * 100

async function subscribe(t: Test, client: Client, name: string) {
  const receiver = await startReceiver(t)
  const answer = await client.post('/subscriptions', {
    name,
    eventPatterns: [`${name}.test`],
    destination: { type: 'webhook', url: receiver.url },
  })
  if (answer.status !== 201) throw new Error(answer.text)
  return { id: answer.body.id as string, receiver }
}

async function append(client: Client, name: string, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 500) {
    const events = Array.from({ length: Math.min(left, 500) }, () => ({ type: `${name}.test`, payload: {} }))
    const { status } = await client.post('/events/batch', { events })
    if (status !== 201) throw new Error(`answered ${status}`)
  }
}

async function countOf(
  { platform }: Service,
  subscriptionId: string,
  which: 'succeeded' | 'claimed' | 'pending',
) {
  const { rows } = await sql<Record<string, number>>`
    select count(*) filter (where status = 'succeeded')::int4 as succeeded,
           count(*) filter (where status = 'pending')::int4 as pending,
           count(*) filter (where status = 'pending' and lease_until > now())::int4 as claimed
      from deliveries where subscription_id = ${subscriptionId}`.execute(platform.db)
  return rows[0]?.[which] ?? 0
}

for (const backend of BACKENDS) {
  t.test(`endpoints that hang or fail leave the others alone (${backend})`, async (t) => {
    const service = await startService(t, {
      backend,
      settings: {
        // What hangs goes on hanging as long as the test runs.
        DELIVERY_TIMEOUT_MS: '60000',
        DELIVERY_LEASE_MS: '120000',
        DELIVERY_GRACE_MS: '3000',
        DELIVERY_RETRY_SCHEDULE: '1h',
        // Its jobs would take all of these, were there no limit for one subscription.
        WORKER_CONCURRENCY: '20',
      },
    })
    const client = await service.client()
    const hanging = await subscribe(t, client, 'hanging')
    hanging.receiver.answer = () => {}
    const failing = await subscribe(t, client, 'failing')
    failing.receiver.answer = (response) => response.writeHead(500).end()
    const healthy = await subscribe(t, client, 'healthy')
    // Jobs of a few deliveries each are what could fill the worker.
    for (let batch = 0; batch < 25; batch++) await append(client, 'hanging', 8)
    await append(client, 'hanging', BACKLOG)
    await append(client, 'failing', BACKLOG)
    await hanging.receiver.waitFor(REQUESTS_PER_LANE)
    for (let batch = 0; batch < 20; batch++) await append(client, 'healthy', 5)
    await until(
      async () => (await countOf(service, healthy.id, 'succeeded')) === 100,
      'all deliveries to the healthy endpoint succeeded',
    )
    t.equal(healthy.receiver.received.length, 100, 'each once')
    t.equal(hanging.receiver.received.length, REQUESTS_PER_LANE, 'the other one has its share of requests')
    t.equal(await countOf(service, hanging.id, 'pending'), BACKLOG + 200, 'and is still owed all of it')
    t.ok((await countOf(service, hanging.id, 'claimed')) <= MOST_CLAIMED)
    // Ten failures, those that were under way with them, and probes.
    await until(
      async () => (await client.get(`/subscriptions/${failing.id}`)).body.health.state !== 'healthy',
      'the failing one is known to fail',
    )
    const { length: tried } = failing.receiver.received
    t.ok(tried <= 3 * REQUESTS_PER_LANE, `${tried} requests went to the one that fails`)
  })
}
