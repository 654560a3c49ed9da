import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { newSigningSecret, signedHeaders } from '../../src/platform/signing.ts'

const now = (): number => Math.floor(Date.now() / 1000)

t.test('the example of the Standard Webhooks specification', async (t) => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
  const seconds = 1_614_265_330
  const body = '{"test": 2432232314}'
  const headers = signedHeaders(secret, id, seconds, body)
  t.same(headers, {
    'webhook-id': id,
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
  t.equal(headers['webhook-signature'], new Webhook(secret).sign(id, new Date(seconds * 1000), body))
})

t.test('the specification’s own library verifies any body', async (t) => {
  fc.assert(
    fc.property(fc.json(), fc.uuid(), (body, id) => {
      const secret = newSigningSecret()
      const headers = signedHeaders(secret, id, now(), body)
      assert.doesNotThrow(() => new Webhook(secret).verify(body, headers))
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (body, seconds) => {
      const secret = newSigningSecret()
      const expected = new Webhook(secret).sign('msg_1', new Date(seconds * 1000), body)
      assert.equal(signedHeaders(secret, 'msg_1', seconds, body)['webhook-signature'], expected)
    }),
  )
  t.pass('JSON and any other text')
})

t.test('what was not signed is not verified', async (t) => {
  const secret = newSigningSecret()
  const headers = signedHeaders(secret, 'msg_1', now(), '{"a":1}')
  const refuses = (body: string, changed: Record<string, string>, by: string, name: string): void =>
    void t.throws(
      () => new Webhook(by).verify(body, { ...headers, ...changed }),
      { message: /matching signature/ },
      name,
    )
  t.same(new Webhook(secret).verify('{"a":1}', headers), { a: 1 })
  refuses('{"a":2}', {}, secret, 'another body')
  refuses('{"a":1}', { 'webhook-id': 'msg_2' }, secret, 'another id')
  refuses('{"a":1}', { 'webhook-timestamp': String(now() - 60) }, secret, 'another time')
  refuses('{"a":1}', {}, newSigningSecret(), 'another secret')
})

t.test('a new secret is 32 random bytes', async (t) => {
  const secret = newSigningSecret()
  t.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.not(secret, newSigningSecret())
})
