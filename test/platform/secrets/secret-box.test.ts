import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  createSecretBox,
  randomSecret,
  sameDigest,
  sha256,
} from '../../../src/platform/secrets/secret-box.ts'

const newKey = (): string => randomBytes(32).toString('base64')

const KEY = newKey()
const CONTEXT = 'subscription 1'
const text = fc.string({ unit: 'binary' })

/** As the first versions sealed, without the id of the key. */
function sealWithoutId(key: string, plain: string, context: string): Buffer {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'base64'), iv).setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), body])
}

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

t.test('old keys open what they sealed, and seal nothing', async (t) => {
  const [first, second, third] = [newKey(), newKey(), newKey()]
  const box = createSecretBox(third, [first, second])
  fc.assert(
    fc.property(text, text, (plain, context) => {
      for (const key of [first, second, third]) {
        assert.equal(box.open(createSecretBox(key).seal(plain, context), context), plain)
        assert.equal(box.open(sealWithoutId(key, plain, context), context), plain, 'without an id')
      }
      const sealed = box.seal(plain, context)
      assert.equal(createSecretBox(third).open(sealed, context), plain)
      assert.throws(() => createSecretBox(first, [second]).open(sealed, context))
    }),
  )
  t.strictSame(
    box.fingerprints,
    [third, first, second].map((key) => createSecretBox(key).fingerprint),
  )
  t.equal(box.fingerprint, createSecretBox(third).fingerprint)
  t.throws(() => box.open(createSecretBox(newKey()).seal('x', CONTEXT), CONTEXT), 'of no key of its own')
})

t.test('a value that happens to begin like the id of a key is opened', async (t) => {
  const box = createSecretBox(KEY)
  const id = box.seal('', CONTEXT).subarray(0, 4)
  t.same(box.seal('x', CONTEXT).subarray(0, 4), id, 'the id is the same each time')
  const iv = Buffer.concat([id, randomBytes(8)])
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(KEY, 'base64'), iv).setAAD(Buffer.from(CONTEXT))
  const body = Buffer.concat([cipher.update('whsec_x'), cipher.final()])
  const sealed = Buffer.concat([iv, cipher.getAuthTag(), body])
  t.equal(box.open(sealed, CONTEXT), 'whsec_x')
  t.ok(box.reseal(sealed, CONTEXT), 'and is not taken for one that is sealed as it should be')
})

t.test('sealing anew', async (t) => {
  const old = newKey()
  const box = createSecretBox(KEY, [old])
  const outdated = {
    'with an old key': createSecretBox(old).seal('plain', CONTEXT),
    'with an old key, without its id': sealWithoutId(old, 'plain', CONTEXT),
    'with the current key, without its id': sealWithoutId(KEY, 'plain', CONTEXT),
  }
  for (const [what, sealed] of Object.entries(outdated)) {
    const renewed = box.reseal(sealed, CONTEXT)
    assert.ok(renewed, what)
    t.equal(createSecretBox(KEY).open(renewed, CONTEXT), 'plain', what)
    t.equal(box.reseal(renewed, CONTEXT), undefined, 'and then it is as it should be')
    t.throws(() => box.reseal(sealed, 'another context'), what)
  }
  t.throws(() => box.reseal(createSecretBox(newKey()).seal('plain', CONTEXT), CONTEXT), 'of another key')
})

t.test('keys are derived from each key for each purpose', async (t) => {
  const [old, older] = [newKey(), newKey()]
  const derived = createSecretBox(KEY, [old, older]).deriveKeys('tokens')
  const alone = [KEY, old, older].map((key) => createSecretBox(key).deriveKeys('tokens')[0])
  t.strictSame(derived, alone, 'the current one first, and the same in another process')
  t.strictSame(
    derived.map(({ key }) => key.length),
    [32, 32, 32],
  )
  const others = createSecretBox(KEY, [old, older]).deriveKeys('else')
  const all = [...derived, ...others]
  t.equal(new Set(all.map(({ id }) => id)).size, 6, 'their ids differ')
  t.equal(new Set(all.map(({ key }) => key.toString('hex'))).size, 6, 'and they do')
  for (const { id, key } of all) {
    t.match(id, /^[0-9a-f]{16}$/)
    t.notOk(key.toString('hex').includes(id) || Buffer.from(KEY, 'base64').toString('hex').includes(id))
    t.notOk(key.equals(Buffer.from(KEY, 'base64')))
  }
  const [known] = createSecretBox(Buffer.alloc(32, 7).toString('base64')).deriveKeys('observer tokens')
  t.equal(known?.id, 'cb77c7675f05c2a2', 'tokens are there: another way to make it would end them all')
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
