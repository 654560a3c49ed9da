import t, { type Test } from 'tap'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { httpWebhook, startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect, deliver, type Connection, type Messenger } from '../../helpers/platforms/messenger.ts'
import { eventsOf } from '../../helpers/platforms/messages.ts'
import { idleConnection, makeCode, makePeople, mergedInto, userOf } from '../../helpers/platforms/people.ts'
import { startService, type Answer, type Client, type Service } from '../../helpers/service.ts'

interface Setup {
  service: Service
  client: Client
  messenger: Messenger
  connection: Connection
  /** Somebody on another connection, whom codes are made for. */
  ada: { id: string; userId: string }
}

async function setUp(t: Test, start: (typeof PLATFORMS)[0][1], detectLinkCodes = true): Promise<Setup> {
  const messenger = await start(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger, { detectLinkCodes })
  const [ada] = await makePeople(client, await idleConnection(client), 1)
  if (!ada) throw new Error('Nobody was made.')
  return { service, client, messenger, connection, ada }
}

/** The platform user who wrote a message. */
async function senderOf(client: Client, { id }: Connection, externalId: string): Promise<Answer['body']> {
  const { body } = await client.get(`/platform-users?platformConnectionId=${id}&externalId=${externalId}`)
  return body.data[0]
}

for (const [platform, start] of PLATFORMS) {
  t.test(`who writes a code from a platform is whoever it was made for (${platform})`, async (t) => {
    const { service, client, messenger, connection, ada } = await setUp(t, start)
    const code = await makeCode(client, ada)
    const text = `Hi! My code is ${code.code}.`
    const webhook = messenger.inbound({ id: '1355517523.000005', from: 'U2147', text })
    t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
    const sender = await senderOf(client, connection, 'U2147')
    t.equal(sender.userId, ada.userId)
    t.equal((await client.get(`/link-codes/${code.id}`)).body.uses, 1)
    const types = (await client.get('/events?order=asc')).body.data.map(({ type }: Answer['body']) => type)
    t.strictSame(types, ['link_code.generated', 'message.inbound', 'link_code.activation', 'user.merged'])
    const [merged] = await eventsOf(client, 'user.merged')
    t.equal(await mergedInto(client, merged.payload.source_user_id), ada.userId)
    const found = await client.get(`/events?type=message.inbound&edge=sent_by:user:${ada.userId}`)
    t.equal(found.body.data.length, 1, 'the message is that user’s now')
  })
}

t.test('a message that the platform repeats uses its code once', async (t) => {
  const { service, client, messenger, connection, ada } = await setUp(t, startHttpPlatform)
  const code = await makeCode(client, ada, { maxUses: 100 })
  const webhook = messenger.inbound({ id: 'm1', from: 'bob', text: code.code })
  const repeats = Array.from({ length: 10 }, () => deliver(service, connection, messenger, webhook))
  for (const { status } of await Promise.all(repeats)) t.equal(status, 200)
  t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
  t.equal((await client.get(`/link-codes/${code.id}`)).body.uses, 1)
  t.equal((await eventsOf(client, 'link_code.activation')).length, 1)
  t.equal((await eventsOf(client, 'user.merged')).length, 1)
})

t.test('without the setting a code in a message is only text', async (t) => {
  const { service, client, messenger, connection, ada } = await setUp(t, startHttpPlatform, false)
  const code = await makeCode(client, ada)
  const say = (id: string) =>
    deliver(service, connection, messenger, messenger.inbound({ id, from: 'bob', text: code.code }))
  t.equal((await say('m1')).status, 200)
  const sender = await senderOf(client, connection, 'bob')
  t.not(sender.userId, ada.userId)
  t.equal((await client.get(`/link-codes/${code.id}`)).body.uses, 0)

  await client.patch(`/platform-connections/${connection.id}`, { detectLinkCodes: true })
  t.equal((await say('m2')).status, 200)
  t.equal(await userOf(client, sender), ada.userId, 'the setting counts from then on')
})

t.test('a code that cannot be used is ignored, and the message stored', async (t) => {
  const { service, client, messenger, connection, ada } = await setUp(t, startHttpPlatform)
  const expired = await makeCode(client, ada)
  await service.platform.pool.query('update link_codes set expires_at = now()')
  const code = await makeCode(client, ada)
  const mistyped = code.code.replace(/\d$/, (digit: string) => String((Number(digit) + 1) % 10))
  const texts = [expired.code, mistyped, '1234-5678-9012-5924', '4111 1111 1111 1111', 'no code']
  for (const [index, text] of texts.entries()) {
    const webhook = messenger.inbound({ id: `m${index}`, from: 'bob', text })
    t.equal((await deliver(service, connection, messenger, webhook)).status, 200, text)
  }
  t.equal((await eventsOf(client, 'message.inbound')).length, texts.length)
  t.strictSame(await eventsOf(client, 'link_code.activation'), [])
  t.not((await senderOf(client, connection, 'bob')).userId, ada.userId)

  // One webhook with a bad code, a good one, and one's own: each counts for itself.
  const own = await makeCode(client, await senderOf(client, connection, 'bob'))
  const said = [mistyped, own.code, code.code, 'bye']
  const messages = said.map((text, index) => ({ id: `n${index}`, from: 'bob', text }))
  const answer = await deliver(service, connection, messenger, httpWebhook({ messages }))
  t.equal(answer.status, 200)
  t.equal((await senderOf(client, connection, 'bob')).userId, ada.userId)
  t.equal((await eventsOf(client, 'message.inbound')).length, texts.length + said.length)
  t.equal((await eventsOf(client, 'link_code.activation')).length, 1)
})

t.test('an app may have codes looked for on all its connections', async (t) => {
  const { service, client, messenger, connection, ada } = await setUp(t, startHttpPlatform, false)
  const setting = (to: string) =>
    client.post('/graphql', {
      query: `mutation { updateApplication(config: { link_code_auto_detect: "${to}" }) { id config } }`,
    })
  for (const [number, [to, uses]] of Object.entries({ enabled: 1, disabled: 0 }).entries()) {
    const { body } = await setting(to)
    t.strictSame(body.data.updateApplication, {
      id: client.appId,
      config: { link_code_auto_detect: to },
    })
    const code = await makeCode(client, ada)
    const webhook = messenger.inbound({ id: `m${number}`, from: `somebody ${number}`, text: code.code })
    t.equal((await deliver(service, connection, messenger, webhook)).status, 200)
    t.equal((await client.get(`/link-codes/${code.id}`)).body.uses, uses, to)
  }
  t.match((await setting('maybe')).body.errors, [{ extensions: { status: 400 } }])
})
