import t, { type Test } from 'tap'
import { slack } from '../../../src/packs/slack/platform.ts'
import { twilio } from '../../../src/packs/twilio/platform.ts'
import { PLATFORMS } from '../../helpers/platforms/all.ts'
import { startHttpPlatform } from '../../helpers/platforms/http.ts'
import { connect, deliver, type Webhook } from '../../helpers/platforms/messenger.ts'
import { eventsOf } from '../../helpers/platforms/messages.ts'
import { slackSignature, slackWebhook, startSlack } from '../../helpers/platforms/slack.ts'
import { twilioSignature } from '../../helpers/platforms/twilio.ts'
import { startWhatsApp } from '../../helpers/platforms/whatsapp.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { call, startService, type Answer } from '../../helpers/service.ts'

const refused = { status: 401, type: 'invalid-signature' }

t.test('Twilio’s documented signature fits, and no other', (t) => {
  const url = 'https://mycompany.com/myapp.php?foo=1&bar=2'
  const form = {
    CallSid: 'CA1234567890ABCDE',
    Caller: '+14158675309',
    Digits: '1234',
    From: '+14158675309',
    To: '+18005551212',
  }
  const documented = 'RSOYDt4T1cUTdK1PDd93/VVr8B8='
  t.equal(twilioSignature('12345', url, form), documented, 'the tests sign as Twilio does')
  const isGenuine = (change: { url?: string; form?: object; signature?: string; authToken?: string }) =>
    twilio.isGenuine(
      {
        url: change.url ?? url,
        headers: { 'x-twilio-signature': change.signature ?? documented },
        text: new URLSearchParams({ ...form, ...change.form }).toString(),
        now: 0,
      },
      { settings: {}, credentials: { authToken: change.authToken ?? '12345' } },
    )
  t.ok(isGenuine({}))
  for (const change of [
    { url: 'https://mycompany.com/myapp.php?foo=1&bar=3' },
    { form: { Digits: '1235' } },
    { form: { More: '' } },
    { signature: '' },
    { signature: documented.slice(1) },
    { authToken: '12346' },
  ])
    t.notOk(isGenuine(change), JSON.stringify(change))
  t.end()
})

t.test('Slack’s documented signature fits, for five minutes', (t) => {
  const signingSecret = '8f742231b10e8888abcd99yyyzzz85a5'
  const timestamp = '1531420618'
  const text =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
  const documented = 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503'
  t.equal(slackSignature(signingSecret, timestamp, text), documented, 'the tests sign as Slack does')
  const isGenuine = (seconds: number, signature = documented, stamp: string | undefined = timestamp) =>
    slack.isGenuine(
      {
        url: '',
        headers: { 'x-slack-signature': signature, 'x-slack-request-timestamp': stamp },
        text,
        now: (Number(timestamp) + seconds) * 1000,
      },
      { settings: {}, credentials: { signingSecret } },
    )
  for (const seconds of [0, 300, -300]) t.ok(isGenuine(seconds), `${seconds} s later`)
  for (const seconds of [301, -301, 86_400]) t.notOk(isGenuine(seconds), `${seconds} s later`)
  t.notOk(isGenuine(0, documented.replace('a2', 'b2')))
  t.notOk(isGenuine(0, documented.slice(3)))
  t.notOk(isGenuine(0, ''))
  t.notOk(isGenuine(0, documented, ''))
  t.notOk(isGenuine(0, documented, 'soon'))
  t.end()
})

async function setUp(t: Test, start: (typeof PLATFORMS)[0][1]) {
  const messenger = await start(t)
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const connection = await connect(client, messenger)
  const send = (webhook: Webhook, signing = {}): Promise<Answer> =>
    deliver(service, connection, messenger, webhook, signing)
  return { messenger, service, client, connection, send }
}

for (const [platform, start] of PLATFORMS) {
  t.test(`only what the platform signed is taken (${platform})`, async (t) => {
    const { messenger, service, client, connection, send } = await setUp(t, start)
    const path = `/platform-connections/${connection.id}/webhook`
    const webhook = messenger.inbound({ id: '1355517523.000005', from: 'U1', text: 'hi' })
    const { contentType, body } = webhook
    const headers = { 'content-type': contentType }
    const signed: Record<string, string> = { ...headers, ...messenger.sign(webhook, service.url + path) }
    const otherSecret =
      platform === 'http' ? `whsec_${Buffer.alloc(32, 1).toString('base64')}` : 'another secret'
    expectProblem(t, await call(service.url, 'POST', path, { body, headers }), refused, 'no signature')
    expectProblem(t, await send(webhook, { secret: otherSecret }), refused, 'another secret')
    const changed = body.toString().replace('hi', 'ho')
    expectProblem(
      t,
      await call(service.url, 'POST', path, { body: changed, headers: signed }),
      refused,
      'changed',
    )
    for (const name of Object.keys(signed).filter((header) => header !== 'content-type')) {
      const broken = { ...signed, [name]: `x${signed[name]}` }
      expectProblem(
        t,
        await call(service.url, 'POST', path, { body, headers: broken }),
        refused,
        `a broken ${name}`,
      )
    }
    if (platform === 'slack' || platform === 'http') {
      const now = Math.floor(Date.now() / 1000)
      for (const at of [now - 400, now + 400])
        expectProblem(t, await send(webhook, { at }), refused, `at ${at}`)
    }
    const key = { key: client.key, body, headers }
    expectProblem(t, await call(service.url, 'POST', path, key), refused, 'an API key is no signature')
    t.strictSame((await client.get('/events')).body.data, [])
    t.equal((await client.get('/platform-users')).body.data.length, 1, 'only our own side')
    t.equal((await call(service.url, 'POST', path, { body, headers: signed })).status, 200, 'it was right')

    const { body: gone } = await client.get(`/platform-connections/${connection.id}`)
    await client.delete(`/platform-connections/${gone.id}`)
    expectProblem(t, await send(webhook), { status: 404, type: 'not-found' }, 'after it was deleted')
    t.equal((await eventsOf(client, 'message.inbound')).length, 1)
  })

  t.test(`bodies that cannot be read are never answered with a 5xx (${platform})`, async (t) => {
    const { client, messenger, send } = await setUp(t, start)
    const { contentType } = messenger.inbound({ id: '1', from: 'U1', text: 'hi' })
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    const unreadable = ['', ' ', 'garbage', '{', '[]', 'null', '5', '"text"', '\0', deep]
    for (const body of unreadable) {
      const { status } = await send({ contentType, body })
      const what = `${body.length} characters: ${body.slice(0, 30)}`
      // Whoever sends to an `http` connection is told; a vendor would only switch the webhook off.
      t.equal(status, platform === 'http' ? 400 : 200, what)
    }
    const unknown = await send({ contentType: 'application/x-unknown', body: 'more garbage' })
    t.equal(unknown.status, platform === 'http' ? 400 : 200, 'whatever its type says')
    const noText = [
      Buffer.from([0xff, 0xfe, 0x00]),
      Buffer.from('{"messages":[{"id":"\xff"}]}', 'latin1'),
      'x'.repeat(1_100_000),
    ]
    for (const body of noText) {
      const { status } = await send({ contentType, body })
      t.ok(status >= 400 && status < 500, `${body.length} bytes: ${status}`)
    }
    t.strictSame(await eventsOf(client, 'message.inbound'), [])
    const kept = await eventsOf(client, 'system.platform.skipped')
    t.equal(
      kept.length,
      platform === 'http' ? 0 : unreadable.length + 1,
      'what was answered with 200 is kept',
    )
    if (platform === 'whatsapp' || platform === 'slack') {
      t.ok(
        kept.some(({ payload }) => payload.item === 'more garbage' && payload.reason.includes('not JSON')),
        'as it came, with the reason',
      )
    }
  })
}

/** Members of webhooks that are not what the platforms document. */
const ODD: Record<string, unknown[]> = {
  whatsapp: [
    { entry: [null] },
    { entry: 5 },
    { entry: [{ changes: null }, { changes: [7] }] },
    { entry: [{ changes: [{ field: 'messages', value: { messages: [{ id: 'a', from_user_id: {} }] } }] }] },
    {
      entry: [
        {
          changes: [
            {
              field: 'messages',
              value: { messages: [{ id: 'a', from: '1', from_user_id: {}, type: 'text' }] },
            },
          ],
        },
      ],
    },
    { entry: [{ changes: [{ field: 'messages', value: { contacts: 5, messages: [{ id: 'a' }] } }] }] },
    { entry: [{ changes: [{ field: 'messages', value: { messages: 5 } }] }] },
    { entry: [{ changes: [{ field: 'messages', value: { messages: [8] } }] }] },
    { entry: [{ changes: [{ field: 'messages', value: { messages: [{ id: 'a\0', from: 'b' }] } }] }] },
    { entry: [{ changes: [{ field: 'messages', value: { statuses: [{ id: 'a\0', status: 'read' }] } }] }] },
    {
      entry: [
        { changes: [{ field: 'messages', value: { statuses: [{ id: {}, status: 'read', errors: 5 }] } }] },
      ],
    },
    {
      entry: [
        {
          changes: [
            {
              field: 'messages',
              value: {
                contacts: [{ wa_id: 'b', profile: { name: 5 } }],
                messages: [{ id: 'z', from: 'b', timestamp: 'soon', type: 'text', text: { body: 5 } }],
              },
            },
          ],
        },
      ],
    },
  ],
  slack: [
    { type: 'event_callback', event: 5 },
    { type: 'event_callback', event: { type: 'message', channel: {}, user: {}, ts: [] } },
    { type: 'event_callback', event: { type: 'message', channel: 'C', user: 'U\0', ts: '1' } },
    { type: 'event_callback', event: { type: 'message', channel: 'C', user: 'U', ts: 'x', text: {} } },
    { type: 'event_callback', event: { type: 'message', channel: 'C', user: 'U', ts: 'y', text: null } },
  ],
  http: [
    { messages: {} },
    { messages: [{ id: '', from: 'a', text: '' }] },
    { messages: [{ id: 'a\0', from: 'a', text: '' }] },
    { messages: [{ id: 'a', from: 'a', text: '', sent_at: '2026-06-30T23:59:60Z' }] },
    { statuses: [{ id: 'a\0', status: 'read' }] },
    { statuses: [{ id: 'a', status: 'sent' }] },
  ],
}

for (const [platform, start] of PLATFORMS.filter(([name]) => name in ODD)) {
  t.test(`members that are not as documented never make a 5xx (${platform})`, async (t) => {
    const { client, send } = await setUp(t, start)
    for (const body of ODD[platform] ?? []) {
      const { length } = (await client.get('/events?limit=100')).body.data
      const { status, text } = await send({ contentType: 'application/json', body: JSON.stringify(body) })
      const what = `${JSON.stringify(body)}: ${status} ${text}`
      if (platform === 'http') {
        t.ok(status < 500, what)
        continue
      }
      t.equal(status, 200, what)
      t.ok((await client.get('/events?limit=100')).body.data.length > length, `it is kept: ${what}`)
    }
  })
}

t.test('an event from outside keeps to the limits of payloads', async (t) => {
  const { client, send } = await setUp(t, startHttpPlatform)
  const message = '"id":"1","from":"ada"'
  const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`
  for (const [what, body] of [
    ['nested too deeply', `{"messages":[{${message},"text":"hi","more":${deep}}]}`],
    ['too large', `{"messages":[{${message},"text":"${'x'.repeat(300_000)}"}]}`],
  ] as const) {
    const { status } = await send({ contentType: 'application/json', body })
    t.ok(status >= 400 && status < 500, `${what}: ${status}`)
  }
  t.strictSame(await eventsOf(client, 'message.inbound'), [])
})

t.test('Meta’s challenge is answered for the right token only', async (t) => {
  const { messenger, service, connection } = await setUp(t, startWhatsApp)
  const path = `/platform-connections/${connection.id}/webhook`
  const ask = (query: Record<string, string>): Promise<Answer> =>
    call(service.url, 'GET', `${path}?${new URLSearchParams(query).toString()}`)
  const right = {
    'hub.mode': 'subscribe',
    'hub.verify_token': messenger.credentials['verifyToken'] as string,
    'hub.challenge': '<b>1158201444</b>',
  }
  const answer = await ask(right)
  t.strictSame([answer.status, answer.text], [200, right['hub.challenge']])
  t.match(answer.headers, { 'content-type': /^text\/plain/, 'x-content-type-options': 'nosniff' })
  const { 'hub.challenge': _, ...noChallenge } = right
  for (const query of [
    { ...right, 'hub.verify_token': 'wrong' },
    { ...right, 'hub.verify_token': '' },
    { ...right, 'hub.mode': 'unsubscribe' },
    noChallenge,
    {},
  ])
    expectProblem(t, await ask(query), refused, JSON.stringify(query))
})

t.test('Slack’s url_verification is answered, when Slack signed it', async (t) => {
  const { client, service, connection, send } = await setUp(t, startSlack)
  const webhook = slackWebhook({
    token: 't',
    challenge: '3eZbrw1aBm2rZgRNFdxV2595E9',
    type: 'url_verification',
  })
  const answer = await send(webhook)
  t.strictSame([answer.status, answer.text], [200, '3eZbrw1aBm2rZgRNFdxV2595E9'])
  t.match(answer.headers['content-type'], /^text\/plain/)
  expectProblem(t, await send(webhook, { secret: 'wrong' }), refused, 'another secret')
  const asked = await call(service.url, 'GET', `/platform-connections/${connection.id}/webhook?challenge=1`)
  expectProblem(t, asked, refused, 'Slack asks by POST only')
  t.strictSame((await client.get('/events')).body.data, [])
})
