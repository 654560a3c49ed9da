import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { observe } from '../helpers/observer.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { BACKENDS, startService } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

for (const backend of BACKENDS) {
  t.test(`an event is stored, delivered and seen live (${backend})`, async (t) => {
    const service = await startService(t, { backend })
    const client = await service.client()
    const receiver = await startReceiver(t)
    const subscription = await client.subscribe(receiver.url, ['order.*'])
    const observer = await observe(t, service.url, client.key, '')

    const payload = '{"order_id" : "A-1",  "big": 12345678901234567890, "2": 1, "1": "ü\\n"}'
    const appended = await client.post('/events', `{"type":"order.shipped","payload":${payload}}`)
    t.equal(appended.status, 201)
    t.match(appended.body, {
      position: 1,
      type: 'order.shipped',
      status: 'pending',
      appId: client.appId,
      edges: [],
    })

    const [received] = await receiver.waitFor(1)
    new Webhook(subscription.secret).verify(received!.text, received!.headers as Record<string, string>)
    t.equal(received!.headers['webhook-id'], appended.body.id)
    t.equal(
      received!.text,
      `{"event_id":"${appended.body.id}","event_type":"order.shipped","app_id":"${client.appId}","payload":${payload},"edges":{},"edge_list":[],"created_at":"${appended.body.createdAt}"}`,
      'the payload is passed on to the letter',
    )

    const [message] = await observer.waitFor(1)
    t.match(message, { id: '1', event: 'order.shipped' })
    t.ok(message!.data.includes(`"payload":${payload},`), 'the stream has the payload to the letter')

    const done = await until(async () => {
      const { body } = await client.get(`/events/${appended.body.id}`)
      return body.status === 'completed' && body
    }, 'the event is completed')
    t.type(done.processedAt, 'string')
    const { body: deliveries } = await client.get(`/events/${appended.body.id}/deliveries`)
    t.match(deliveries.data, [{ status: 'succeeded', attempts: 1, subscriptionId: subscription.id }])
    const { body: attempts } = await client.get(`/deliveries/${deliveries.data[0].id}/attempts`)
    t.match(attempts.data, [{ number: 1, outcome: 'succeeded', responseStatus: 200 }])
  })
}
