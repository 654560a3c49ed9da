import assert from 'node:assert/strict'
import { sign, webcrypto, type JsonWebKey, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'
import t from 'tap'
import {
  newSigningKey,
  newSigningSecret,
  privateKeyText,
  publicBytes,
  publicKeyText,
  readPrivateKey,
  signedHeaders,
  signingJwk,
  verifySigned,
} from '../../../src/platform/secrets/signing.ts'

const now = (): number => Math.floor(Date.now() / 1000)
const signaturesOf = (headers: Record<string, string>): string[] =>
  headers['webhook-signature']?.split(' ') ?? []
const seedKey = (seed: Buffer): KeyObject => readPrivateKey(`whsk_${seed.toString('base64')}`)

/** Another implementation than the one that signs. @returns whether a `v1a` signature fits */
async function verifiedByWebCrypto(key: KeyObject, signature: string, content: string): Promise<boolean> {
  const jwk: JsonWebKey = { ...signingJwk('kid', publicBytes(key)) }
  const publicKey = await webcrypto.subtle.importKey('jwk', jwk, 'Ed25519', false, ['verify'])
  const [version, encoded = ''] = signature.split(',')
  assert.equal(version, 'v1a')
  const bytes = Buffer.from(encoded, 'base64')
  return webcrypto.subtle.verify('Ed25519', publicKey, bytes, Buffer.from(content))
}

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
const SECONDS = 1_614_265_330
const BODY = '{"test": 2432232314}'

t.test('the example of the Standard Webhooks specification', async (t) => {
  const headers = signedHeaders({ secrets: [SECRET] }, ID, SECONDS, BODY)
  t.same(headers, {
    'webhook-id': ID,
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
  t.equal(headers['webhook-signature'], new Webhook(SECRET).sign(ID, new Date(SECONDS * 1000), BODY))
})

t.test('the ed25519 example of the specification’s own Go library', async (t) => {
  const key = readPrivateKey('whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=')
  const headers = signedHeaders({ secrets: [], keys: [key] }, ID, SECONDS, BODY)
  const expected =
    'v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=='
  t.equal(headers['webhook-signature'], expected)
  t.ok(await verifiedByWebCrypto(key, expected, `${ID}.${SECONDS}.${BODY}`))
  t.notOk(await verifiedByWebCrypto(key, expected, `${ID}.${SECONDS + 1}.${BODY}`), 'of another time')
})

t.test('ed25519 is that of RFC 8032', async (t) => {
  const vectors = [
    {
      seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      message: '',
      signature:
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    },
    {
      seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      message: '72',
      signature:
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    },
    {
      seed: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      message: 'af82',
      signature:
        '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    },
  ]
  for (const { seed, publicKey, message, signature } of vectors) {
    const key = seedKey(Buffer.from(seed, 'hex'))
    t.equal(publicBytes(key).toString('hex'), publicKey)
    t.equal(sign(null, Buffer.from(message, 'hex'), key).toString('hex'), signature)
  }
})

t.test('the specification’s own library verifies any body', async (t) => {
  fc.assert(
    fc.property(fc.json(), fc.uuid(), (body, id) => {
      const secret = newSigningSecret()
      const headers = signedHeaders({ secrets: [secret] }, id, now(), body)
      assert.doesNotThrow(() => new Webhook(secret).verify(body, headers))
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (body, seconds) => {
      const secret = newSigningSecret()
      const expected = new Webhook(secret).sign('msg_1', new Date(seconds * 1000), body)
      const headers = signedHeaders({ secrets: [secret] }, 'msg_1', seconds, body)
      assert.equal(headers['webhook-signature'], expected)
    }),
  )
  t.pass('JSON and any other text')
})

t.test('each secret and each key signs, in this order, and whoever knows one can verify', async (t) => {
  const secrets = [newSigningSecret(), newSigningSecret(), `whsec_${Buffer.alloc(64, 1).toString('base64')}`]
  const keys = [newSigningKey(), newSigningKey()]
  const body = '{"text":"Grüße 👋"}'
  const seconds = now()
  const headers = signedHeaders({ secrets, keys }, 'msg_1', seconds, body)
  const signatures = signaturesOf(headers)
  t.strictSame(
    signatures.map((signature) => signature.split(',')[0]),
    ['v1', 'v1', 'v1', 'v1a', 'v1a'],
  )
  t.equal(new Set(signatures).size, 5)
  for (const [index, secret] of secrets.entries()) {
    t.equal(signatures[index], new Webhook(secret).sign('msg_1', new Date(seconds * 1000), body))
    t.same(new Webhook(secret).verify(body, headers), { text: 'Grüße 👋' }, 'standardwebhooks')
    t.doesNotThrow(() => new SvixWebhook(secret).verify(body, headers), 'svix')
    const request = { id: 'msg_1', timestamp: String(seconds), signatures: signatures.join(' '), body }
    t.ok(verifySigned(secret, { ...request, now: seconds * 1000 }), 'verifySigned')
    t.notOk(verifySigned(secret, { ...request, body: '{}', now: seconds * 1000 }))
  }
  for (const [index, key] of keys.entries()) {
    const content = `msg_1.${seconds}.${body}`
    t.ok(await verifiedByWebCrypto(key, signatures[3 + index] ?? '', content))
    t.notOk(await verifiedByWebCrypto(key, signatures[4 - index] ?? '', content), 'with the other key')
  }
  const another = newSigningSecret()
  t.throws(() => new Webhook(another).verify(body, headers), { message: /matching signature/ })
  t.throws(() => new SvixWebhook(another).verify(body, headers), { message: /matching signature/ })
})

t.test('keys alone are enough, but something must sign', async (t) => {
  const key = newSigningKey()
  const [signature = '', ...more] = signaturesOf(signedHeaders({ secrets: [], keys: [key] }, 'm', 1, ''))
  t.ok(await verifiedByWebCrypto(key, signature, 'm.1.'))
  t.strictSame(more, [])
  t.throws(() => signedHeaders({ secrets: [] }, 'm', 1, ''), { message: /nothing to sign with/ })
})

t.test('what was not signed is not verified', async (t) => {
  const secret = newSigningSecret()
  const headers = signedHeaders({ secrets: [secret] }, 'msg_1', now(), '{"a":1}')
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

t.test('keys as text', async (t) => {
  const key = newSigningKey()
  const text = privateKeyText(key)
  t.match(text, /^whsk_[A-Za-z0-9+/]{86}==$/, '64 bytes')
  t.match(publicKeyText(publicBytes(key)), /^whpk_[A-Za-z0-9+/]{43}=$/, '32 bytes')
  t.strictSame(
    Buffer.from(text.slice(5), 'base64').subarray(32),
    Buffer.from(publicKeyText(publicBytes(key)).slice(5), 'base64'),
    'the public key is the second half of the private one',
  )
  t.ok(readPrivateKey(text).equals(key))
  t.not(privateKeyText(newSigningKey()), text, 'each is another')
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
      const made = seedKey(Buffer.from(seed))
      assert.ok(readPrivateKey(privateKeyText(made)).equals(made))
    }),
  )

  const bytes = Buffer.from(text.slice(5), 'base64')
  const wrong = {
    'another prefix': text.replace('whsk_', 'whpk_'),
    'no prefix': text.slice(5),
    'too short': `whsk_${bytes.subarray(0, 31).toString('base64')}`,
    'half of a public key': `whsk_${bytes.subarray(0, 48).toString('base64')}`,
    'the public key of another': `whsk_${Buffer.concat([bytes.subarray(0, 32), publicBytes(newSigningKey())]).toString('base64')}`,
    nothing: '',
  }
  for (const [what, refused] of Object.entries(wrong)) t.throws(() => readPrivateKey(refused), Error, what)
})

t.test('a public key as a JSON Web Key', async (t) => {
  // The example of RFC 8037, appendix A.
  const key = seedKey(Buffer.from('nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A', 'base64url'))
  t.strictSame(signingJwk('my key', publicBytes(key)), {
    kty: 'OKP',
    crv: 'Ed25519',
    alg: 'EdDSA',
    use: 'sig',
    kid: 'my key',
    x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  })
})
