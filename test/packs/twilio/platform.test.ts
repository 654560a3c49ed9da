import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { twilio } from '../../../src/packs/twilio/platform.ts'
import { connect } from '../../helpers/platforms/messenger.ts'
import { eventsOf } from '../../helpers/platforms/messages.ts'
import { startTwilio, twilioSignature } from '../../helpers/platforms/twilio.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { call, startService, type Answer } from '../../helpers/service.ts'

const PUBLIC_URL = 'https://events.example.com'
const FORM = 'application/x-www-form-urlencoded'
const refused = { status: 401, type: 'invalid-signature' }

async function setUp(t: Test) {
  const messenger = await startTwilio(t)
  const service = await startService(t, { worker: false, settings: { PUBLIC_URL } })
  const client = await service.client()
  const { id } = await connect(client, messenger)
  const path = `/platform-connections/${id}/webhook`
  const sign = (form: Record<string, string | string[]>, query = '', base = PUBLIC_URL): string =>
    twilioSignature(messenger.credentials['authToken'] ?? '', base + path + query, form)
  const send = (contentType: string, body: string, signature: string, query = ''): Promise<Answer> =>
    call(service.url, 'POST', path + query, {
      body,
      headers: { 'content-type': contentType, 'x-twilio-signature': signature },
    })
  return { client, send, sign }
}

t.test('a parameter that occurs twice is signed by its unique values, sorted', async (t) => {
  const { client, send, sign } = await setUp(t)
  const body = 'MessageSid=SM1&From=%2B14155551234&Body=hi&Tag=b&Tag=a&Tag=b&Tag=B'
  const form = { MessageSid: 'SM1', From: '+14155551234', Body: 'hi' }
  const right = sign({ ...form, Tag: ['b', 'a', 'b', 'B'] })
  t.equal(right, sign({ ...form, Tag: ['B', 'a', 'b'] }), 'as documented')
  t.equal((await send(FORM, body, right)).status, 200)
  const [{ payload }] = await eventsOf(client, 'message.inbound')
  t.match(payload, { message: { text: 'hi' }, raw: { Tag: ['b', 'a', 'b', 'B'], From: '+14155551234' } })
  for (const Tag of ['b', 'a', ['a', 'b'], ['Bab'], ['B', 'a', 'b', 'c']])
    expectProblem(t, await send(FORM, body, sign({ ...form, Tag })), refused, JSON.stringify(Tag))
  expectProblem(t, await send(FORM, `${body}&Tag=c`, right), refused, 'one more value')
})

t.test('a parameter with an empty value is signed by its name', async (t) => {
  const { client, send, sign } = await setUp(t)
  const form = { MessageSid: 'SM1', From: '+14155551234', Body: '', NumMedia: '0' }
  for (const body of [
    new URLSearchParams(form).toString(),
    'Body&MessageSid=SM1&From=%2B14155551234&NumMedia=0',
  ])
    t.equal((await send(FORM, body, sign(form))).status, 200, body)
  t.match(await eventsOf(client, 'message.inbound'), [{ payload: { message: { text: '' } } }])
  const { Body: _empty, ...without } = form
  expectProblem(t, await send(FORM, new URLSearchParams(without).toString(), sign(form)), refused, 'left out')
})

t.test('a JSON body is signed by its hash in the address', async (t) => {
  const { client, send, sign } = await setUp(t)
  const body = '{"MessageSid": "SM1", "From": "+14155551234", "Body": "hi \\u00fc", "Count": 2}'
  const hash = createHash('sha256').update(body).digest('hex')
  const query = `?bodySHA256=${hash}`
  const json = 'application/json'
  t.equal((await send(json, body, sign({}, query), query)).status, 200)
  const [{ payload }] = await eventsOf(client, 'message.inbound')
  t.match(payload, { message: { text: 'hi ü' }, raw: JSON.parse(body) })

  const unknown = '{"anything": {"else": 1}, "MessageSid": null}'
  const other = `?bodySHA256=${createHash('sha256').update(unknown).digest('hex')}`
  t.equal((await send(json, unknown, sign({}, other), other)).status, 200)
  t.match(await eventsOf(client, 'system.platform.skipped'), [{ payload: { item: JSON.parse(unknown) } }])

  expectProblem(t, await send(json, body, sign({}, other), other), refused, 'the hash of another body')
  expectProblem(t, await send(json, `${body} `, sign({}, query), query), refused, 'a blank more')
  expectProblem(t, await send(json, body, sign({}, query), other), refused, 'an address that was not signed')
  expectProblem(t, await send(json, body, sign({})), refused, 'no hash')
  for (const odd of ['?bodySHA256=', '?bodySHA256=zz', `?bodySHA256=${hash.slice(2)}`])
    expectProblem(t, await send(json, body, sign({}, odd), odd), refused, odd)
})

t.test('the address is signed with its port or without it', async (t) => {
  const { send, sign } = await setUp(t)
  const form = { MessageSid: 'SM1', From: '+14155551234', Body: 'hi' }
  const body = new URLSearchParams(form).toString()
  t.equal((await send(FORM, body, sign(form, '', 'https://events.example.com:443'))).status, 200)
  for (const base of ['https://events.example.com:8443', 'http://events.example.com', 'https://example.com'])
    expectProblem(t, await send(FORM, body, sign(form, '', base)), refused, base)
})

t.test('the signature that Twilio’s libraries test themselves with fits a JSON body', (t) => {
  const hash = '0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620'
  const isGenuine = (text: string, url = `https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=${hash}`) =>
    twilio.isGenuine(
      { url, headers: { 'x-twilio-signature': 'a9nBmqA0ju/hNViExpshrM61xv4=' }, text, now: 0 },
      { settings: {}, credentials: { authToken: '12345' } },
    )
  t.ok(isGenuine('{"property": "value", "boolean": true}'))
  t.notOk(isGenuine('{"property": "value", "boolean": false}'))
  t.notOk(isGenuine('{"property": "value", "boolean": true}', 'https://mycompany.com/myapp.php?foo=1&bar=2'))
  t.end()
})
