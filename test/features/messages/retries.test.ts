import t from 'tap'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { childrenOf, sendText, settled, tried } from '../../helpers/platforms/messages.ts'
import { startWhatsApp } from '../../helpers/platforms/whatsapp.ts'
import { startService } from '../../helpers/service.ts'

for (const [platform, start] of PLATFORMS) {
  t.test(`what may pass is tried again until the platform takes it (${platform})`, async (t) => {
    const messenger = await start(t)
    const waits = Array.from({ length: 10 }, () => '20ms').join(',')
    const service = await startService(t, {
      settings: { DELIVERY_RETRY_SCHEDULE: waits, DELIVERY_TIMEOUT_MS: '300' },
    })
    const client = await service.client()
    const connection = await connect(client, messenger)
    const { passing } = messenger.answers
    messenger.server.script = [...passing, 'hang', 'reset', { status: 500, body: '\0 no JSON {' }]
    const failures = messenger.server.script.length
    const message = await sendText(client, connection, messenger.somebody)
    const { event, deliveries, attempts } = await settled(client, message.id)
    t.equal(event.status, 'completed')
    t.match(deliveries, [{ status: 'succeeded', attempts: failures + 1 }])
    t.strictSame(
      attempts.map(({ number, outcome }: { number: number; outcome: string }) => [number, outcome]),
      Array.from({ length: failures + 1 }, (_, index) => [
        index + 1,
        index < failures ? 'failed' : 'succeeded',
      ]),
    )
    for (const { error } of attempts.slice(0, -1)) t.match(error, /\S/, 'each says why')
    t.equal(messenger.taken.length, 1)
    t.equal(new Set(messenger.server.requests.map(({ text }) => text)).size, 1, 'always the same')
    t.strictSame(await childrenOf(client, message.id), [])
  })

  t.test(`what is refused for good fails at once, with one message.failed (${platform})`, async (t) => {
    const messenger = await start(t)
    const service = await startService(t)
    const client = await service.client()
    const connection = await connect(client, messenger)
    const { final } = messenger.answers
    // The last one is refused by the platform itself, for the recipient.
    messenger.server.script = [...final]
    for (let number = 1; number <= final.length + 1; number++) {
      const message = await sendText(client, connection, messenger.nobody)
      const { event, deliveries, attempts } = await settled(client, message.id)
      t.match([event.status, deliveries], ['failed', [{ status: 'dead', attempts: 1 }]])
      t.match(attempts, [{ number: 1, outcome: 'failed', error: /\S/ }])
      t.equal(messenger.server.requests.length, number, 'one request')
      const children = await childrenOf(client, message.id)
      t.equal(children.length, 1)
      t.match(children[0], {
        type: 'message.failed',
        originEventId: message.id,
        payload: { status: 'failed', platform, error: { message: attempts[0].error, code: /\S/ } },
        schemaValid: true,
      })
      t.ok(Date.parse(children[0].payload.failed_at) > 0)
    }
    t.equal(messenger.taken.length, 0)
  })

  t.test(`after the last attempt there is one message.failed (${platform})`, async (t) => {
    const messenger = await start(t)
    const service = await startService(t, { settings: { DELIVERY_RETRY_SCHEDULE: '10ms,10ms' } })
    const client = await service.client()
    const connection = await connect(client, messenger)
    messenger.server.script = Array.from({ length: 3 }, () => ({ status: 503, body: '' }))
    const message = await sendText(client, connection, messenger.somebody)
    const { event, deliveries } = await settled(client, message.id)
    t.match([event.status, deliveries], ['failed', [{ status: 'dead', attempts: 3 }]])
    t.match(await childrenOf(client, message.id), [{ type: 'message.failed', originEventId: message.id }])
    t.equal((await childrenOf(client, message.id)).length, 1)
    t.equal(messenger.server.requests.length, 3)
  })

  t.test(`a platform that asks for a wait is not asked again before (${platform})`, async (t) => {
    const messenger = await start(t)
    const service = await startService(t)
    const client = await service.client()
    const connection = await connect(client, messenger)
    messenger.server.script = [3600, 2, 999_999_999].map((seconds) => messenger.answers.rateLimited(seconds))
    const waits: number[] = []
    for (let number = 1; number <= 3; number++) {
      const message = await sendText(client, connection, messenger.somebody)
      const { status, nextAttemptAt } = await tried(client, message.id, 1)
      t.equal(status, 'pending')
      const request = messenger.server.requests[number - 1]
      waits.push((Date.parse(nextAttemptAt) - (request?.at ?? 0)) / 1000)
      t.equal((await client.get(`/events/${message.id}`)).body.status, 'processing')
    }
    const [hour = 0, two = 0, ages = 0] = waits
    t.ok(hour >= 3600 && hour < 3700, `an hour: ${hour} s`)
    t.ok(two >= 2 && two < 100, `two seconds: ${two} s`)
    t.ok(ages >= 86_400 && ages < 86_500, `a day at most: ${ages} s`)
    const requests = await messenger.server.waitFor(4)
    t.ok((requests[3]?.at ?? 0) - (requests[1]?.at ?? 0) >= 1000, 'the second was sent again, not early')
    t.equal(messenger.taken.length, 1)
  })
}

t.test('a wait may be told as a date', async (t) => {
  const messenger = await startHttpPlatform(t)
  const service = await startService(t)
  const client = await service.client()
  const connection = await connect(client, messenger)
  const date = new Date(Date.now() + 7_200_000)
  messenger.server.script = [{ status: 503, headers: { 'retry-after': date.toUTCString() }, body: '' }]
  const message = await sendText(client, connection, messenger.somebody)
  const { nextAttemptAt } = await tried(client, message.id, 1)
  const late = (Date.parse(nextAttemptAt) - date.getTime()) / 1000
  t.ok(late > -2 && late < 60, `${late} s after it`)
})

t.test('other credentials count from the next attempt on', async (t) => {
  const messenger = await startWhatsApp(t)
  const service = await startService(t, { settings: { DELIVERY_RETRY_SCHEDULE: '1h,1h' } })
  const client = await service.client()
  const wrong = { ...messenger, credentials: { ...messenger.credentials, accessToken: 'expired' } }
  const connection = await connect(client, wrong)
  const message = await sendText(client, connection, messenger.somebody)
  t.equal((await tried(client, message.id, 1)).status, 'pending', 'credentials may be mended')
  const { credentials } = messenger
  await client.patch(`/platform-connections/${connection.id}`, { credentials })
  // An hour later, so to speak.
  await service.platform.pool.query('update deliveries set next_attempt_at = now(), due_at = now()')
  const { event } = await settled(client, message.id)
  t.equal(event.status, 'completed')
  const tokens = messenger.server.requests.map(({ headers }) => headers.authorization)
  t.strictSame(tokens, ['Bearer expired', `Bearer ${credentials['accessToken']}`])
})

t.test('a message to a platform user who was deleted fails, and nothing is sent', async (t) => {
  const messenger = await startHttpPlatform(t)
  const api = await startService(t, { worker: false })
  const client = await api.client()
  const connection = await connect(client, messenger)
  const message = await sendText(client, connection, 'ada')
  t.equal((await client.delete(`/platform-users/${message.edges[1].targetId}`)).status, 204)
  await startService(t, { databaseUrl: api.databaseUrl })
  const { event, deliveries, attempts } = await settled(client, message.id)
  t.match([event.status, deliveries], ['failed', [{ status: 'dead', attempts: 1 }]])
  t.match(attempts, [{ outcome: 'failed', responseStatus: null, error: /recipient/ }])
  t.match(await childrenOf(client, message.id), [
    { type: 'message.failed', payload: { error: { message: /recipient/ } } },
  ])
  t.equal(messenger.server.requests.length, 0)
})

t.test('deleting a connection cancels what was not sent yet', async (t) => {
  const messenger = await startHttpPlatform(t)
  const api = await startService(t, { worker: false })
  const client = await api.client()
  const connection = await connect(client, messenger)
  const kept = await connect(client, messenger)
  const cancelled = [await sendText(client, connection, 'ada'), await sendText(client, connection, 'bob')]
  const other = await sendText(client, kept, 'ada')
  t.equal((await client.delete(`/platform-connections/${connection.id}`)).status, 204)
  await startService(t, { databaseUrl: api.databaseUrl })
  for (const { id } of cancelled) {
    const { event, deliveries } = await settled(client, id)
    t.match([event.status, deliveries], ['completed', [{ status: 'cancelled', attempts: 0 }]])
    t.strictSame(await childrenOf(client, id), [])
  }
  t.equal((await settled(client, other.id)).event.status, 'completed')
  t.equal(messenger.taken.length, 1)
  const message = { platformConnectionId: connection.id, toExternalId: 'ada', message: 'hi' }
  t.equal((await client.post('/messages', message)).status, 404)
})
