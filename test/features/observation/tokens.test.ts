import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createObserverTokens, type EndingGrant } from '../../../src/features/observation/access/tokens.ts'
import { Problem } from '../../../src/platform/http/problems.ts'
import { createSecretBox } from '../../../src/platform/secrets/secret-box.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, call, startService } from '../../helpers/service.ts'

const NOW = Date.parse('2026-11-21T12:00:00.000Z')
const UNKNOWN = /not one of this service/
const newKey = (): string => randomBytes(32).toString('base64')
const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url')
const decode = (part: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>

t.test('observer tokens', async (t) => {
  const service = await startService(t, { worker: false })
  const { keys } = service.features.apps
  const { secrets } = service.platform
  const client = await service.client()
  const clock = { at: NOW, now: () => clock.at }
  t.beforeEach(() => void (clock.at = NOW))
  const tokens = createObserverTokens({ secrets, keys, clock })

  const makeKey = async (scopes?: string[]): Promise<{ id: string; apiKey: string }> => {
    const body = { name: 'some', ...(scopes && { scopes }) }
    const answer = await call(service.url, 'POST', `/apps/${client.appId}/api-keys`, { key: ADMIN_KEY, body })
    return answer.body
  }
  const { id: keyId } = await makeKey()
  const grant: EndingGrant = {
    appId: client.appId,
    keyId,
    rooms: ['outreach/**'],
    types: ['inquiry.*'],
    publish: ['chat/42'],
    member: { id: 'user-7', info: '{ "n": 12345678901234567890 }' },
    expiresAt: NOW + 60_000,
  }
  const { token } = tokens.issue(grant)
  const [header = '', payload = '', signature = ''] = token.split('.')
  const [derived] = secrets.deriveKeys('observer tokens')
  const key = derived?.key as Buffer

  /** A token that this service's own key signed. */
  const signed = (withHeader: object, withClaims: object, hash = 'sha256'): string => {
    const input = `${encode({ ...decode(header), ...withHeader })}.${encode({ ...decode(payload), ...withClaims })}`
    return `${input}.${createHmac(hash, key).update(input).digest('base64url')}`
  }
  const refused = async (given: string, detail: RegExp, by = tokens): Promise<void> => {
    await assert.rejects(by.verify(given), (error) => {
      assert.ok(error instanceof Problem, `${given} gives ${String(error)}`)
      assert.equal(error.problem, 'unauthorized')
      assert.match(error.message, detail, given)
      assert.ok(!error.message.includes(grant.keyId) && !given.includes(error.message))
      return true
    })
  }

  t.test('say what they were made to say', async (t) => {
    t.strictSame(await tokens.verify(token), grant)
    t.strictSame(await tokens.verify(signed({}, {})), grant, 'the tests sign as the service does')
    const pattern = fc.stringMatching(/^[a-z*]{1,4}(\/[a-z*]{1,4}){0,3}$/)
    const plain = { noNullPrototype: true }
    const info = fc.option(fc.json({ maxDepth: 2 }))
    const any = fc.record(
      {
        appId: fc.constant(client.appId),
        keyId: fc.constant(keyId),
        rooms: fc.array(pattern, { minLength: 1, maxLength: 32 }),
        types: fc.array(pattern, { minLength: 1, maxLength: 32 }),
        publish: fc.array(pattern, { maxLength: 32 }),
        member: fc.option(fc.record({ id: fc.string({ unit: 'binary' }), info }, plain)),
        expiresAt: fc.integer({ min: NOW + 1_000, max: NOW + 3_600_000 }),
      },
      plain,
    )
    await fc.assert(
      fc.asyncProperty(any, async (some) => {
        const issued = tokens.issue(some)
        const second = Math.floor(some.expiresAt / 1000) * 1000
        assert.equal(issued.expiresAt, second)
        assert.deepEqual(await tokens.verify(issued.token), { ...some, expiresAt: second })
      }),
    )
    t.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/, 'fit for a URL')
    t.notOk(token.includes(client.key) || payload.includes(client.key))
  })

  t.test('are refused once any of their bytes has changed', async (t) => {
    for (const [at, part] of [header, payload, signature].entries()) {
      const bytes = Buffer.from(part, 'base64url')
      for (let index = 0; index < bytes.length; index++) {
        const changed = Buffer.from(bytes)
        changed[index] = (bytes[index] as number) ^ 1
        await refused(token.split('.').with(at, changed.toString('base64url')).join('.'), UNKNOWN)
      }
    }
    const cut = ['', '.', '..', '...', header, `${header}.`, `${header}.${payload}`, `${header}.${payload}.`]
    const longer = [`${token}.`, `.${token}`, `${token}.${signature}`, `${token}=`, `${token} `, `${token}\n`]
    for (const given of [...cut, ...longer, 'nonsense', 'null', client.key]) await refused(given, UNKNOWN)
    t.pass('whichever it is')
  })

  t.test('are refused when they were not signed as ours are', async (t) => {
    const input = (changes: object): string => `${encode({ ...decode(header), ...changes })}.${payload}`
    for (const alg of ['none', 'None', 'NONE', '', undefined, null, ['HS256']]) {
      await refused(`${input({ alg })}.`, UNKNOWN)
      await refused(`${input({ alg })}.${signature}`, UNKNOWN)
      await refused(signed({ alg }, {}), UNKNOWN)
    }
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const rsa = input({ alg: 'RS256' })
    await refused(`${rsa}.${sign('sha256', Buffer.from(rsa), privateKey).toString('base64url')}`, UNKNOWN)
    const pem = publicKey.export({ type: 'spki', format: 'pem' })
    for (const alg of ['RS256', 'HS256']) {
      const given = input({ alg, jwk: publicKey.export({ format: 'jwk' }), kid: derived?.id })
      await refused(`${given}.${createHmac('sha256', pem).update(given).digest('base64url')}`, UNKNOWN)
    }
    for (const alg of ['RS256', 'ES256', 'EdDSA', 'HS384', 'HS512'])
      await refused(signed({ alg }, {}), UNKNOWN)
    await refused(signed({ alg: 'HS512' }, {}, 'sha512'), UNKNOWN)
    t.pass('whatever they say of it')
  })

  t.test('are refused when they are something else that this key signed', async (t) => {
    for (const kid of [undefined, null, '', 'other', '__proto__', 'constructor', [derived?.id, 'x'], 0])
      await refused(signed({ kid }, {}), UNKNOWN)
    for (const typ of [undefined, 'JWT', 'at+jwt', 1]) await refused(signed({ typ }, {}), UNKNOWN)
    await refused(signed({ crit: ['exp2'], exp2: 1 }, {}), UNKNOWN)
    for (const iss of [undefined, null, '', 'other', 'heliograph2', ['other'], 1])
      await refused(signed({}, { iss }), UNKNOWN)
    for (const aud of [undefined, null, '', 'heliograph', ['other'], [], {}])
      await refused(signed({}, { aud }), UNKNOWN)
    const otherClaims = [
      { sub: undefined },
      { app: 1 },
      { exp: undefined },
      { exp: String(NOW) },
      { exp: 1e300 },
      { iat: '1' },
      { rooms: 'outreach/**' },
      { rooms: undefined },
      { types: [1] },
      { publish: null },
      { member: undefined },
      { member: { id: 1, info: null } },
      { member: { id: 'x', info: { name: 'Ada' } } },
    ]
    for (const claims of otherClaims) await refused(signed({}, claims), UNKNOWN)
    t.pass('all were refused')
  })

  t.test('end at the second they say', async (t) => {
    clock.at = grant.expiresAt - 1
    t.same(await tokens.verify(token), grant)
    clock.at = grant.expiresAt
    await refused(token, /has expired/)
    clock.at = NOW
    const long = tokens.issue({ ...grant, expiresAt: NOW + 3_600_000 }).token
    clock.at = NOW - 5_000
    t.ok(await tokens.verify(long), 'one of a clock that is a little ahead')
    clock.at = NOW - 5_001
    await refused(long, UNKNOWN)
  })

  t.test('end with their key', async (t) => {
    const made = await makeKey()
    const given = tokens.issue({ ...grant, keyId: made.id }).token
    t.equal((await tokens.verify(given)).keyId, made.id)
    const path = `/apps/${client.appId}/api-keys/${made.id}`
    t.equal((await call(service.url, 'DELETE', path, { key: ADMIN_KEY })).status, 204)
    await refused(given, /was revoked/)
    await refused(tokens.issue({ ...grant, keyId: '0'.repeat(16) }).token, /was revoked/)
    const other = await service.client()
    await refused(tokens.issue({ ...grant, appId: other.appId }).token, /was revoked/)
  })

  t.test('end with the scopes of their key', async (t) => {
    const reader = await makeKey(['observation:read', 'observation:publish'])
    await refused(tokens.issue({ ...grant, keyId: reader.id }).token, /"observation:tokens"/)
    const maker = await makeKey(['observation:tokens'])
    await refused(tokens.issue({ ...grant, keyId: maker.id }).token, /"observation:publish"/)
    const silent = tokens.issue({ ...grant, keyId: maker.id, publish: [] }).token
    t.same((await tokens.verify(silent)).publish, [])
  })

  t.test('outlive a change of the encryption key for as long as the old one is there', async (t) => {
    const [first, second] = [newKey(), newKey()]
    const withKeys = (current: string, old: string[] = []) =>
      createObserverTokens({ secrets: createSecretBox(current, old), keys, clock })
    const before = withKeys(first).issue(grant).token
    const during = withKeys(second, [first])
    t.strictSame(await during.verify(before), grant)
    const after = during.issue(grant).token
    t.strictSame(await withKeys(second).verify(after), grant, 'the current key signs')
    t.strictSame(await withKeys(first, [second]).verify(after), grant, 'a process that is not yet told')
    await refused(before, UNKNOWN, withKeys(second))
    await refused(after, UNKNOWN, withKeys(first))
  })

  t.test('fit into a URL, or are not made', async (t) => {
    const info = (length: number) => ({ ...grant, member: { id: 'x', info: '1'.repeat(length) } })
    const spare = Math.floor(((4096 - tokens.issue(info(0)).token.length) * 3) / 4)
    t.ok(tokens.issue(info(spare)).token.length <= 4096)
    t.ok(await tokens.verify(tokens.issue(info(spare)).token))
    t.throws(() => tokens.issue(info(spare + 3)), { problem: 'validation-failed', message: /4096/ })
    await refused(signed({}, { more: 'x'.repeat(4096) }), UNKNOWN)
  })

  t.test('POST /observation/tokens', async (t) => {
    const post = (body: unknown) => client.post('/observation/tokens', body)
    const whole = {
      rooms: ['outreach/**', '*/a.b:c@d~e-F_9', '**'],
      types: ['inquiry.*', '**', 'order.placed'],
      publish: ['chat/42', 'chat/*'],
      ttlSeconds: 10,
      member: { id: 'user-7', info: [12345678901234567890n, '\u0000 ü 店'] },
    }
    // JSON.stringify takes no bigint, and parsing must not lose its digits.
    const text = JSON.stringify(whole, (_, value: unknown) => (typeof value === 'bigint' ? '@' : value))
    const before = Date.now()
    const answer = await post(text.replace('"@"', ' 12345678901234567890'))
    t.equal(answer.status, 201)
    t.strictSame(Object.keys(answer.body).toSorted(), ['expiresAt', 'token'])
    const found = await service.features.observation.observerTokens.verify(answer.body.token)
    const [ownKeyId] = /(?<=^hg_)[0-9a-f]{16}/.exec(client.key) ?? []
    t.strictSame(found, {
      appId: client.appId,
      keyId: ownKeyId,
      rooms: whole.rooms,
      types: whole.types,
      publish: whole.publish,
      member: { id: 'user-7', info: '[ 12345678901234567890,"\\u0000 ü 店"]' },
      expiresAt: Date.parse(answer.body.expiresAt),
    })
    t.ok(found.expiresAt > before + 9_000 - 1_000 && found.expiresAt <= Date.now() + 10_000)

    const least = await post({ rooms: ['orders'], publish: [] })
    const leastGrant = await service.features.observation.observerTokens.verify(least.body.token)
    t.match(leastGrant, { rooms: ['orders'], types: ['*'], publish: [], member: null })
    t.ok(leastGrant.expiresAt > before + 298_000 && leastGrant.expiresAt <= Date.now() + 300_000)
    for (const member of [{ id: 'x' }, { id: 'x', info: null }]) {
      const { body } = await post({ rooms: ['a'], member, ttlSeconds: 3600 })
      const { member: kept } = await service.features.observation.observerTokens.verify(body.token)
      t.strictSame(kept, { id: 'x', info: null })
    }

    const bad: [what: string, change: object, pointers: string[]][] = [
      ['no rooms', { rooms: undefined }, ['/rooms']],
      ['an empty list of rooms', { rooms: [] }, ['/rooms']],
      ['too many rooms', { rooms: Array(33).fill('a') }, ['/rooms']],
      ['spaces', { rooms: ['a', 'b c'] }, ['/rooms/1']],
      ['what is no room', { rooms: ['/', 'a//b', 'a/', 'ü'] }, [0, 1, 2, 3].map((at) => `/rooms/${at}`)],
      ['stars in segments', { rooms: ['***', 'a*'] }, ['/rooms/0', '/rooms/1']],
      ['a room that is empty', { rooms: [''] }, ['/rooms/0']],
      ['nine segments', { rooms: ['a/b/c/d/e/f/g/h/i'] }, ['/rooms/0']],
      ['a long segment', { rooms: ['a'.repeat(129)] }, ['/rooms/0']],
      ['a long room', { rooms: [`${'a'.repeat(127)}/${'b'.repeat(128)}`] }, ['/rooms/0']],
      ['no list', { rooms: 'a' }, ['/rooms']],
      ['no types', { types: [] }, ['/types']],
      ['what is no type', { types: ['a', 'Order', 'ord*', ''] }, ['/types/1', '/types/2', '/types/3']],
      ['what cannot be published to', { publish: ['a', 'b c'] }, ['/publish/1']],
      ['too many to publish to', { publish: Array(33).fill('a') }, ['/publish']],
      ['too short', { ttlSeconds: 9 }, ['/ttlSeconds']],
      ['too long', { ttlSeconds: 3601 }, ['/ttlSeconds']],
      ['a part of a second', { ttlSeconds: 10.5 }, ['/ttlSeconds']],
      ['a text', { ttlSeconds: '60' }, ['/ttlSeconds']],
      ['a member without an id', { member: { info: 1 } }, ['/member/id']],
      ['an empty id', { member: { id: '' } }, ['/member/id']],
      ['a long id', { member: { id: 'x'.repeat(129) } }, ['/member/id']],
      ['an id that cannot be stored', { member: { id: '\u0000' } }, ['/member/id']],
      ['more of a member', { member: { id: 'x', name: 'y' } }, ['/member/name']],
      ['much info', { member: { id: 'x', info: 'ü'.repeat(1024) } }, ['/member/info']],
      ['something else', { appId: client.appId }, ['/appId']],
    ]
    for (const [what, change, pointers] of bad) {
      const refusal = await post({ rooms: ['a'], ...change })
      expectProblem(t, refusal, { status: 400, type: 'validation-failed', pointers }, what)
    }
    const wide = await post({ rooms: Array.from({ length: 32 }, (_, index) => `${index}`.padEnd(128, 'x')) })
    expectProblem(t, wide, { status: 400, type: 'validation-failed' }, 'too long a token')
    t.match(wide.body.detail, /4096/)

    const maker = await makeKey(['observation:tokens'])
    const headers = { authorization: `Bearer ${maker.apiKey}` }
    const publishing = { headers, body: { rooms: ['a'], publish: ['a'] } }
    const refusal = await call(service.url, 'POST', '/observation/tokens', publishing)
    expectProblem(t, refusal, { status: 403, type: 'forbidden' }, 'a key that may not publish')
    t.match(refusal.body.detail, /observation:publish/)
    const silent = { headers, body: { rooms: ['a'], publish: [] } }
    t.equal((await call(service.url, 'POST', '/observation/tokens', silent)).status, 201)
    const withToken = { headers: { authorization: `Bearer ${token}` }, body: { rooms: ['a'] } }
    const unauthorized = { status: 401, type: 'unauthorized' }
    const again = await call(service.url, 'POST', '/observation/tokens', withToken)
    expectProblem(t, again, unauthorized, 'a token makes no tokens')
  })
})
