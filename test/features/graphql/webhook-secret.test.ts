import t from 'tap'
import { Webhook } from 'standardwebhooks'
import { startReceiver } from '../../helpers/receiver.ts'
import { startService } from '../../helpers/service.ts'
import { ask, dataOf, expectGraphProblem, fixture } from './graph.ts'

const CREATE = `mutation ($secret: String, $url: String!) {
  createWebhookSubscription(name: "s", targetUrl: $url, eventPatterns: ["order.*"], secret: $secret) { id secret }
}`

t.test('a documented subscription’s secret verifies what is delivered', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const receiver = await startReceiver(t)
  const text = 'my-webhook-secret-32chars-minimum'
  const mutation = fixture('create-webhook-subscription', {
    'https://myapp.com/webhooks/outeract': receiver.url,
    '"message.inbound", "message.outbound"': '"order.*"',
  })
  const { createWebhookSubscription } = await dataOf(client, mutation)
  t.equal(createWebhookSubscription.targetUrl, receiver.url)
  await dataOf(client, 'mutation { createEvent(eventType: "order.created", payload: { n: 1 }) { id } }')
  const [request] = await receiver.waitFor(1)
  const headers = request?.headers as Record<string, string>
  const body = request?.text ?? ''
  const encoded = `whsec_${Buffer.from(text).toString('base64')}`
  for (const webhook of [new Webhook(text, { format: 'raw' }), new Webhook(encoded)]) {
    t.match(webhook.verify(body, headers), { event_type: 'order.created', payload: { n: 1 } })
  }
  t.throws(() => new Webhook(`${text}!`, { format: 'raw' }).verify(body, headers))
})

t.test('a secret may be a text, in the form of Standard Webhooks, or made', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const proper = `whsec_${Buffer.alloc(24, 0xab).toString('base64')}`
  for (const [given, told] of [
    [proper, proper],
    ['x'.repeat(24), `whsec_${Buffer.from('x'.repeat(24)).toString('base64')}`],
    ['ü'.repeat(32), `whsec_${Buffer.from('ü'.repeat(32)).toString('base64')}`],
    [undefined, undefined],
  ] as const) {
    const receiver = await startReceiver(t)
    const { createWebhookSubscription } = await dataOf(client, CREATE, { secret: given, url: receiver.url })
    if (told) t.equal(createWebhookSubscription.secret, told)
    t.match(createWebhookSubscription.secret, /^whsec_/)
    await dataOf(client, 'mutation { createEvent(eventType: "order.created", payload: {}) { id } }')
    const [request] = await receiver.waitFor(1)
    const webhook = new Webhook(createWebhookSubscription.secret)
    t.ok(webhook.verify(request?.text ?? '', request?.headers as Record<string, string>))
  }
})

t.test('a secret that is too short, too long or spoilt is refused', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const bad = {
    empty: '',
    'too short': 'x'.repeat(23),
    'too long': 'x'.repeat(65),
    'too long in bytes': 'ü'.repeat(33),
    'too short in base64': `whsec_${Buffer.alloc(23, 1).toString('base64')}`,
    'not quite base64': `whsec_${'A'.repeat(33)}`,
    'whsec_ and a text': 'whsec_my-webhook-secret-32chars-minimum',
  }
  for (const [what, secret] of Object.entries(bad)) {
    const answer = await ask(client, CREATE, { secret, url: 'https://example.com' })
    expectGraphProblem(t, answer, { status: 400, type: 'validation-failed', pointers: ['/secret'] }, what)
  }
  t.strictSame((await client.get('/subscriptions')).body.data, [])
})
