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
  for (const text of ['my-webhook-secret-32chars-minimum', 'my-webhook-secret']) {
    const receiver = await startReceiver(t)
    const mutation = fixture('create-webhook-subscription', {
      'https://myapp.com/webhooks/outeract': receiver.url,
      '"message.inbound", "message.outbound"': '"order.*"',
      'my-webhook-secret-32chars-minimum': text,
    })
    const { createWebhookSubscription } = await dataOf(client, mutation)
    t.equal(createWebhookSubscription.targetUrl, receiver.url)
    await dataOf(client, 'mutation { createEvent(eventType: "order.created", payload: { n: 1 }) { id } }')
    const [request] = await receiver.waitFor(1)
    const headers = request?.headers as Record<string, string>
    const body = request?.text ?? ''
    for (const webhook of [new Webhook(text, { format: 'raw' }), new Webhook(btoa(text))]) {
      t.match(webhook.verify(body, headers), { event_type: 'order.created', payload: { n: 1 } })
    }
    t.throws(() => new Webhook(`${text}!`, { format: 'raw' }).verify(body, headers))
  }
})

t.test('a secret may be given, and is answered as it was given, or made', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const proper = `whsec_${Buffer.alloc(24, 0xab).toString('base64')}`
  for (const given of [proper, 'x'.repeat(8), 'ü'.repeat(256), undefined, null]) {
    const { createWebhookSubscription } = await dataOf(client, CREATE, {
      secret: given,
      url: 'https://example.com',
    })
    if (given) t.equal(createWebhookSubscription.secret, given)
    else t.match(createWebhookSubscription.secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  }
})

t.test('a secret that is too short, too long or spoilt is refused', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const bad = {
    empty: '',
    'too short': 'x'.repeat(7),
    'too long': 'x'.repeat(257),
    'not quite base64': `whsec_${'A'.repeat(33)}`,
    'whsec_ and a text': 'whsec_my webhook secret',
  }
  for (const [what, secret] of Object.entries(bad)) {
    const answer = await ask(client, CREATE, { secret, url: 'https://example.com' })
    expectGraphProblem(t, answer, { status: 400, type: 'validation-failed', pointers: ['/secret'] }, what)
  }
  t.strictSame((await client.get('/subscriptions')).body.data, [])
})
