import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createSecretBox, randomSecret, sameDigest, sha256 } from '../../src/platform/secrets.ts'

const newKey = (): string => randomBytes(32).toString('base64')

const KEY = newKey()
const CONTEXT = 'subscription 1'
const text = fc.string({ unit: 'binary' })

t.test('what was sealed is opened with the same key and context', async (t) => {
  fc.assert(
    fc.property(text, text, (plain, context) => {
      const sealed = createSecretBox(KEY).seal(plain, context)
      assert.equal(createSecretBox(KEY).open(sealed, context), plain, 'by another process too')
    }),
  )
  t.pass('for any text')
})

t.test('it is not opened with another context', async (t) => {
  const box = createSecretBox(KEY)
  fc.assert(
    fc.property(text, text, text, (plain, context, other) => {
      fc.pre(context !== other)
      assert.throws(() => box.open(box.seal(plain, context), other))
    }),
  )
  t.pass('for any text')
})

t.test('it is not opened with another key', async (t) => {
  fc.assert(
    fc.property(text, (plain) => {
      const sealed = createSecretBox(KEY).seal(plain, CONTEXT)
      assert.throws(() => createSecretBox(newKey()).open(sealed, CONTEXT))
    }),
  )
  t.pass('for any text')
})

t.test('it is not opened once any byte has changed', async (t) => {
  const box = createSecretBox(KEY)
  for (const plain of ['', 'whsec_secret']) {
    const sealed = box.seal(plain, CONTEXT)
    for (const [at, byte] of sealed.entries()) {
      const changed = Buffer.from(sealed)
      changed[at] = byte ^ 1
      assert.throws(() => box.open(changed, CONTEXT), `byte ${at} of a sealed "${plain}"`)
    }
    assert.throws(() => box.open(Buffer.concat([sealed, Buffer.alloc(1)]), CONTEXT), 'a byte more')
  }
  t.pass('whichever byte it is')
})

t.test('it is not opened once it was cut short', async (t) => {
  const box = createSecretBox(KEY)
  for (const plain of ['', 'whsec_secret']) {
    const sealed = box.seal(plain, CONTEXT)
    for (let length = 0; length < sealed.length; length++) {
      t.throws(
        () => box.open(sealed.subarray(0, length), CONTEXT),
        `the first ${length} bytes of a sealed "${plain}"`,
      )
    }
  }
})

t.test('what is sealed does not show', async (t) => {
  const box = createSecretBox(KEY)
  const plain = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const sealed = box.seal(plain, CONTEXT)
  t.equal(sealed.includes(plain.slice(0, 6)), false, 'not even its beginning')
  t.equal(sealed.includes(Buffer.from(KEY, 'base64')), false)
  t.notSame(box.seal(plain, CONTEXT), sealed, 'the same secret is never sealed alike')
})

t.test('a fingerprint tells keys apart and does not tell the key', async (t) => {
  const { fingerprint } = createSecretBox(KEY)
  t.equal(createSecretBox(KEY).fingerprint, fingerprint)
  t.not(createSecretBox(newKey()).fingerprint, fingerprint)
  t.match(fingerprint, /^[0-9a-f]{16}$/)
  t.equal(
    createSecretBox(Buffer.alloc(32, 7).toString('base64')).fingerprint,
    '20c1b3fd72c01a66',
    'it is stored: another way to make it would lock every installation out',
  )
})

t.test('digests', async (t) => {
  t.equal(sha256('abc').toString('hex').slice(0, 16), 'ba7816bf8f01cfea')
  t.equal(sameDigest(sha256('a'), sha256('a')), true)
  t.equal(sameDigest(sha256('a'), sha256('b')), false)
  t.equal(sameDigest(sha256('a'), sha256('a').subarray(1)), false, 'of another length')
})

t.test('a random secret is 32 bytes fit for a URL', async (t) => {
  t.match(randomSecret(), /^[A-Za-z0-9_-]{43}$/)
  t.not(randomSecret(), randomSecret())
})
