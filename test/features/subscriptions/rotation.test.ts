import { webcrypto, type JsonWebKey } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'
import t, { type Test } from 'tap'
import { startProcess } from '../../helpers/processes.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startReceiver, type Received, type Receiver } from '../../helpers/receiver.ts'
import {
  call,
  createClient,
  serviceEnvironment,
  startService,
  type Answer,
  type Client,
} from '../../helpers/service.ts'
import { createTestDatabase } from '../../helpers/environment.ts'
import { until } from '../../helpers/until.ts'

const given = (byte: number): string => `whsec_${Buffer.alloc(32, byte).toString('base64')}`
const signaturesOf = ({ headers }: Received, version: string): string[] =>
  String(headers['webhook-signature'])
    .split(' ')
    .filter((signature) => signature.startsWith(`${version},`))

/** Whether a secret verifies a request, by two libraries of others. */
function verifies(secret: string, { headers, text }: Received): boolean {
  const results = [Webhook, SvixWebhook].map((Library) => {
    try {
      new Library(secret).verify(text, headers as Record<string, string>)
      return true
    } catch {
      return false
    }
  })
  if (results[0] !== results[1]) throw new Error('The libraries do not agree.')
  return results[0] ?? false
}

/** Which of an app's published keys verify a request, as their places in the key set. */
async function verifyingKeys(url: string, appId: string, received: Received): Promise<number[]> {
  const { body } = await call(url, 'GET', `/apps/${appId}/.well-known/jwks.json`)
  const { 'webhook-id': id, 'webhook-timestamp': timestamp } = received.headers
  const content = Buffer.from(`${String(id)}.${String(timestamp)}.${received.text}`)
  const signatures = signaturesOf(received, 'v1a').map((text) => Buffer.from(text.slice(4), 'base64'))
  const fitting = await Promise.all(
    (body.keys as JsonWebKey[]).map(async (jwk) => {
      const key = await webcrypto.subtle.importKey('jwk', jwk, 'Ed25519', false, ['verify'])
      const results = await Promise.all(
        signatures.map((signature) => webcrypto.subtle.verify('Ed25519', key, signature, content)),
      )
      return results.includes(true)
    }),
  )
  return fitting.flatMap((fits, place) => (fits ? place : []))
}

async function begin(t: Test, settings: { signatures?: string[] } = {}) {
  const service = await startService(t)
  const client = await service.client()
  const receiver = await startReceiver(t)
  const { body } = await client.post('/subscriptions', {
    name: 'test',
    eventPatterns: ['*'],
    destination: { type: 'webhook', url: receiver.url, ...settings },
  })
  const subscription = body as { id: string; secret: string; destination: object }
  const rotate = (change: unknown) => client.post(`/subscriptions/${subscription.id}/rotate-secret`, change)
  return { service, client, receiver, subscription, rotate }
}

/** The request that a new event makes. */
async function next(client: Client, receiver: Receiver): Promise<Received> {
  const count = receiver.received.length
  await client.post('/events', { type: 'order.placed', payload: { ü: '😀' } })
  return (await receiver.waitFor(count + 1))[count] as Received
}

t.test('requests are signed in both ways, or in the one that is wanted', async (t) => {
  for (const [signatures, v1, v1a] of [
    [undefined, 1, 1],
    [['v1'], 1, 0],
    [['v1a'], 0, 1],
    [['v1a', 'v1'], 1, 1],
  ] as const) {
    const { service, client, receiver, subscription } = await begin(
      t,
      signatures ? { signatures: [...signatures] } : {},
    )
    const received = await next(client, receiver)
    const what = String(signatures)
    t.strictSame([signaturesOf(received, 'v1').length, signaturesOf(received, 'v1a').length], [v1, v1a], what)
    t.equal(verifies(subscription.secret, received), v1 === 1, what)
    t.strictSame(await verifyingKeys(service.url, client.appId, received), v1a === 1 ? [0] : [], what)
    const changed = { ...received, text: `${received.text} ` }
    t.notOk(verifies(subscription.secret, changed), 'not with another body')
    t.strictSame(await verifyingKeys(service.url, client.appId, changed), [])
    t.match(received.headers['webhook-timestamp'], /^\d{10}$/)
    await service.close()
  }
})

t.test('after a rotation both secrets sign, until the old one ends', async (t) => {
  const { client, receiver, subscription, rotate } = await begin(t)
  t.ok(verifies(subscription.secret, await next(client, receiver)), 'the worker knows the subscription')
  const before = Date.now()
  const { status, body } = await rotate({ overlapSeconds: 1 })
  t.equal(status, 200)
  t.match(body.secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.not(body.secret, subscription.secret)
  const until1 = Date.parse(body.oldSecretsUntil)
  t.ok(until1 >= before + 1000 && until1 <= Date.now() + 1000)
  const both = await next(client, receiver)
  t.ok(verifies(body.secret, both), 'the next event is signed with the new one at once')
  if (both.at < until1) t.ok(verifies(subscription.secret, both), 'and with the old one')
  const alone = await until(async () => {
    const received = await next(client, receiver)
    t.ok(verifies(body.secret, received))
    return verifies(subscription.secret, received) ? undefined : received
  }, 'the old secret has ended')
  t.ok(alone.at >= until1 - 1, 'at its time')
  t.equal(signaturesOf(alone, 'v1').length, 1)
})

t.test('with no body the overlap is a day, with 0 the old secret ends at once', async (t) => {
  const { client, receiver, subscription, rotate } = await begin(t)
  const { body: first } = await rotate(undefined)
  const hours = (Date.parse(first.oldSecretsUntil) - Date.now()) / 3_600_000
  t.ok(hours > 23.9 && hours <= 24)
  const { body: second } = await rotate({ secret: given(2), overlapSeconds: 0 })
  t.equal(second.secret, given(2), 'it may be given')
  t.equal(second.oldSecretsUntil, first.oldSecretsUntil, 'those before have their own times')
  const received = await next(client, receiver)
  t.strictSame(
    [second.secret, first.secret, subscription.secret].map((secret) => verifies(secret, received)),
    [true, false, true],
  )
  const { body: third } = await rotate({ secret: given(2), overlapSeconds: 60 })
  t.equal(third.secret, given(2), 'the one it has may be given again')
  t.equal(signaturesOf(await next(client, receiver), 'v1').length, 2, 'and signs once')
})

t.test('five old secrets sign at most', async (t) => {
  const { client, receiver, subscription, rotate } = await begin(t)
  const secrets = [subscription.secret]
  for (let number = 1; number <= 7; number++)
    secrets.unshift((await rotate({ secret: given(number), overlapSeconds: 1000 })).body.secret)
  const received = await next(client, receiver)
  t.strictSame(
    secrets.map((secret) => verifies(secret, received)),
    [true, true, true, true, true, true, false, false],
    'the newest',
  )
  t.equal(signaturesOf(received, 'v1').length, 6)
})

t.test('rotations that cannot be made change nothing', async (t) => {
  const { service, client, receiver, subscription, rotate } = await begin(t)
  const malformed = { status: 400, type: 'validation-failed' }
  for (const overlapSeconds of [-1, 1.5, 2_592_001, '60', null])
    expectProblem(
      t,
      await rotate({ overlapSeconds }),
      { ...malformed, pointers: ['/overlapSeconds'] },
      String(overlapSeconds),
    )
  for (const secret of [
    '',
    'whsec_short',
    'x',
    `whsec_${'A'.repeat(33)}`,
    `whsec_${'é'.repeat(32)}`,
    5,
    null,
  ])
    expectProblem(t, await rotate({ secret }), { ...malformed, pointers: ['/secret'] }, String(secret))
  expectProblem(t, await rotate({ overlap: 1 }), { ...malformed, pointers: ['/overlap'] }, 'unknown member')
  const stranger = await service.client()
  const path = `/subscriptions/${subscription.id}/rotate-secret`
  expectProblem(t, await stranger.post(path, {}), { status: 404, type: 'not-found' }, 'of another app')
  t.ok(verifies(subscription.secret, await next(client, receiver)))
  await client.delete(`/subscriptions/${subscription.id}`)
  expectProblem(t, await rotate({}), { status: 404, type: 'not-found' }, 'of a deleted one')
})

t.test('after a rotation of the app’s key both sign, and both are published', async (t) => {
  const { service, client, receiver } = await begin(t)
  t.equal(signaturesOf(await next(client, receiver), 'v1a').length, 1)
  t.equal((await client.post('/signing-keys/rotate', {})).status, 201)
  const both = await next(client, receiver)
  t.equal(signaturesOf(both, 'v1a').length, 2)
  t.strictSame(await verifyingKeys(service.url, client.appId, both), [0, 1])
  await client.post('/signing-keys/rotate', { overlapSeconds: 0 })
  const received = await next(client, receiver)
  t.equal(signaturesOf(received, 'v1a').length, 2, 'the new one, and the first')
  t.strictSame(await verifyingKeys(service.url, client.appId, received), [0, 1])
})

t.test('a secret is answered once, and is in no log', async (t) => {
  const environment = serviceEnvironment(await createTestDatabase(), undefined, { LOG_LEVEL: 'trace' })
  const { DATABASE_URL = '' } = environment
  await startService(t, { worker: false, databaseUrl: DATABASE_URL }) // has the database migrated
  const process = await startProcess(t, 'all', environment)
  const client = await createClient(process.url)
  const receiver = await startReceiver(t)
  receiver.answer = (response) => {
    response.statusCode = receiver.received.length % 2 === 1 ? 500 : 200
    response.end()
  }
  const header = 'Bearer v3ry-s3cr3t'
  const destination = { type: 'webhook', url: receiver.url, headers: { authorization: header } }
  const hook = `${receiver.url}services/T00/B00/t0k3n-0f-slack`
  const make = (body: object) => client.post('/subscriptions', { name: 's', eventPatterns: ['*'], ...body })
  const { body: made } = await make({ destination })
  const { body: slack } = await make({ destination: { type: 'slack', url: hook } })
  const path = `/subscriptions/${made.id}`
  const { body: rotated } = await client.post(`${path}/rotate-secret`, { secret: given(1) })
  const { body: again } = await client.post(`${path}/rotate-secret`, {})
  const secrets = [made.secret, slack.secret, rotated.secret, again.secret, header, 't0k3n-0f-slack']
  const answers: Answer[] = [
    await client.get('/subscriptions'),
    await client.patch(path, { name: 'other' }),
    await client.post(`${path}/rotate-secret`, { secret: `${given(1)}!` }),
    await client.patch(path, { destination: { ...destination, headers: { authorization: `${header}\n` } } }),
    await client.patch(path, { destination: { ...destination, headers: { host: header } } }),
    await client.patch(path, { destination: { type: 'slack', url: `${hook} ` } }),
    await client.post(`${path}/test`, {}),
    await client.post(`/subscriptions/${slack.id}/test`, {}),
  ]
  const { body: event } = await client.post('/events', { type: 'order.placed', payload: {} })
  await until(async () => {
    const { body } = await client.get(`/events/${event.id}`)
    return body.status === 'completed'
  }, 'both were delivered')
  answers.push(await client.get('/attempts'), await client.get('/deliveries'), await client.get('/events'))
  await process.end('SIGTERM')
  t.match(process.output.join('\n'), /"msg":"request"/, 'there is a log')
  const texts = [...answers.map(({ text }) => text), ...process.output]
  for (const secret of secrets)
    for (const text of texts) if (text.includes(secret)) t.fail(`${secret} is in ${text.slice(0, 300)}`)
})
