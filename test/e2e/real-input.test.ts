import octokit from '@octokit/webhooks-examples' with { type: 'json' }
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { createTestDatabase, createTestRedis } from '../helpers/environment.ts'
import { observe } from '../helpers/observer.ts'
import { startProcess } from '../helpers/processes.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { BACKENDS, createClient, serviceEnvironment } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

/** Every example payload that GitHub's webhooks come with, as events in a fixed order. */
// The package's types describe another entry point than the JSON it exports.
const EXAMPLES = octokit as unknown as { name: string; examples: object[] }[]
const EVENTS = EXAMPLES.flatMap(({ name, examples }) =>
  examples.map((example) => ({ type: `github.${name}`, payload: JSON.stringify(example) })),
)

for (const backend of BACKENDS) {
  t.test(`every GitHub payload is stored, delivered and observed to the letter (${backend})`, async (t) => {
    t.ok(EVENTS.length > 100, `${EVENTS.length} payloads`)
    const redisUrl = backend === 'redis' ? await createTestRedis() : undefined
    const environment = serviceEnvironment(await createTestDatabase(), redisUrl, {
      LOG_LEVEL: 'info',
      DELIVERY_TIMEOUT_MS: '15000',
      DELIVERY_LEASE_MS: '60000',
    })
    const [api] = await Promise.all([
      startProcess(t, 'api', environment),
      startProcess(t, 'worker', environment),
    ])
    const client = await createClient(api.url)
    const receiver = await startReceiver(t)
    const subscription = await client.subscribe(receiver.url, ['github.**'])
    const observer = await observe(t, api.url, client.key, '?types=github.**')

    for (const { type, payload } of EVENTS) {
      const { status } = await client.post('/events', `{"type":"${type}","payload":${payload}}`)
      if (status !== 201) t.fail(`${type} was answered ${status}`)
    }

    const messages = await observer.waitFor(EVENTS.length)
    t.strictSame(
      messages.map(({ id }) => Number(id)),
      EVENTS.map((_, index) => index + 1),
      'observed in order, each once',
    )
    t.strictSame(
      messages.map(({ event }) => event),
      EVENTS.map(({ type }) => type),
    )
    t.ok(
      messages.every(({ data }, index) => data.includes(`"payload":${EVENTS[index]?.payload},"edges":`)),
      'observed to the letter',
    )

    await receiver.waitFor(EVENTS.length)
    await until(async () => {
      const { body } = await client.get('/deliveries?status=pending&limit=1')
      return body.data.length === 0
    }, 'nothing is owed any more')
    t.equal(receiver.received.length, EVENTS.length, 'delivered once each')
    const webhook = new Webhook(subscription.secret)
    const delivered = new Map<string, string>()
    for (const { headers, text } of receiver.received) {
      webhook.verify(text, headers as Record<string, string>)
      delivered.set(headers['webhook-id'] as string, text)
    }
    t.ok(
      messages.every(({ data }, index) => {
        const { id, appId, type, createdAt } = JSON.parse(data)
        const expected = `{"event_id":"${id}","event_type":"${type}","app_id":"${appId}","payload":${EVENTS[index]?.payload},"edges":{},"edge_list":[],"created_at":"${createdAt}"}`
        return delivered.get(id) === expected
      }),
      'delivered to the letter, under the id of the event',
    )
  })
}
