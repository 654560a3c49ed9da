import { sign, webcrypto, type JsonWebKey, type KeyObject } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { createSigningKeyService } from '../../../src/features/apps/signing-keys.ts'
import type { AppSigningKeys } from '../../../src/features/destinations/destination.ts'
import { newId } from '../../../src/platform/identifiers/ids.ts'
import { createSecretBox } from '../../../src/platform/secrets/secret-box.ts'
import { publicBytes, publicKeyText } from '../../../src/platform/secrets/signing.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, call, startService, type Client } from '../../helpers/service.ts'

const DAY_MS = 24 * 3_600_000
const MAX_KEYS = 10
const NOT_FOUND = { name: 'Problem', message: 'There is no app with this id.' }

interface Listed {
  id: string
  publicKey: string
  createdAt: string
  expiresAt: string | null
}
interface Jwk extends JsonWebKey {
  kid: string
}

const publicTexts = (keys: readonly KeyObject[]): string[] =>
  keys.map((key) => publicKeyText(publicBytes(key)))
const listed = async (client: Client): Promise<Listed[]> => (await client.get('/signing-keys')).body.data
const jwksPath = (appId: string): string => `/apps/${appId}/.well-known/jwks.json`

async function verifies(jwk: Jwk | undefined, key: KeyObject, text = 'some text'): Promise<boolean> {
  const publicKey = await webcrypto.subtle.importKey('jwk', jwk ?? {}, 'Ed25519', false, ['verify'])
  const signature = sign(null, Buffer.from(text), key)
  return webcrypto.subtle.verify('Ed25519', publicKey, signature, Buffer.from('some text'))
}

t.test('signing keys', async (t) => {
  const service = await startService(t, { worker: false })
  const { db, secrets, clock } = service.platform
  const { signingKeys } = service.features.apps
  const readJwks = async (appId: string): Promise<Jwk[]> =>
    (await call(service.url, 'GET', jwksPath(appId))).body.keys
  const countRows = async (appId?: string): Promise<number> => {
    const { count } = await db
      .selectFrom('app_signing_keys')
      .select((select) => select.fn.countAll<number>().as('count'))
      .$if(appId !== undefined, (query) => query.where('app_id', '=', appId ?? ''))
      .executeTakeFirstOrThrow()
    return count
  }
  /** A service of another process, which knows nothing of what this one cached, with a clock to be moved. */
  const another = () => {
    const time = { now: Date.now() }
    const keys = createSigningKeyService(db, secrets, { now: () => time.now })
    // Destinations are given it as this.
    const forDestinations: AppSigningKeys = keys
    return { time, keys, of: (appId: string) => forDestinations.of(appId) }
  }

  t.test('an app has one from its first use on, the same in every process', async (t) => {
    const { appId } = await service.client()
    t.equal(await countRows(appId), 0)
    const services = [signingKeys, ...Array.from({ length: 7 }, () => another().keys)]
    const found = await Promise.all(services.flatMap((one) => [one.of(appId), one.of(appId)]))
    t.equal(await countRows(appId), 1, 'those who were first at once agreed on one')
    const [[first] = []] = found
    t.equal(first?.asymmetricKeyType, 'ed25519')
    t.equal(new Set(found.map((keys) => publicTexts(keys).join(' '))).size, 1)
    t.equal(found.flat().length, found.length)
  })

  t.test('it is published for whoever verifies', async (t) => {
    const client = await service.client()
    const answer = await call(service.url, 'GET', jwksPath(client.appId))
    t.equal(answer.status, 200)
    t.match(answer.headers['content-type'], /^application\/jwk-set\+json/)
    t.equal(answer.headers['cache-control'], 'public, max-age=300')
    const [key] = await listed(client)
    const [jwk, ...more] = answer.body.keys as Jwk[]
    t.strictSame(more, [])
    t.strictSame(jwk, {
      kty: 'OKP',
      crv: 'Ed25519',
      alg: 'EdDSA',
      use: 'sig',
      kid: key?.id,
      x: Buffer.from(key?.publicKey.slice(5) ?? '', 'base64').toString('base64url'),
    })
    const [privateKey] = await signingKeys.of(client.appId)
    if (!privateKey) throw new Error('There is no key.')
    t.equal(await verifies(jwk, privateKey), true, 'what is signed with the private key')
    t.equal(await verifies(jwk, privateKey, 'another text'), false)
    t.notMatch(answer.text, /"d"/)
    t.strictSame(await readJwks(client.appId), [jwk], 'asking again makes no other')
    t.equal(await countRows(client.appId), 1)
  })

  t.test('nobody makes rows for apps that do not exist', async (t) => {
    const before = await countRows()
    for (const id of [newId(), newId()]) {
      const answer = await call(service.url, 'GET', jwksPath(id))
      expectProblem(t, answer, { status: 404, type: 'not-found' }, 'an unknown app')
      await t.rejects(signingKeys.of(id), NOT_FOUND)
      await t.rejects(signingKeys.rotate(id, 0), NOT_FOUND)
    }
    const answer = await call(service.url, 'GET', jwksPath('no-id'))
    expectProblem(t, answer, { status: 400, type: 'validation-failed' }, 'no id')
    t.equal(await countRows(), before)
  })

  t.test('it is listed', async (t) => {
    const client = await service.client()
    const { status, body } = await client.get('/signing-keys')
    t.equal(status, 200)
    t.strictSame(Object.keys(body), ['data'])
    const [key, ...more] = body.data as Listed[]
    t.strictSame(more, [])
    t.match(key, { id: /^[0-9a-f-]{36}$/, publicKey: /^whpk_[A-Za-z0-9+/]{43}=$/, expiresAt: null })
    t.ok(Math.abs(Date.parse(key?.createdAt ?? '') - Date.now()) < 60_000)
    t.strictSame(Object.keys(key ?? {}).toSorted(), ['createdAt', 'expiresAt', 'id', 'publicKey'])
  })

  t.test('after a rotation both sign until the overlap is over', async (t) => {
    const client = await service.client()
    const [before] = await listed(client)
    await signingKeys.of(client.appId)
    const asked = Date.now()
    const { status, body: made } = await client.post('/signing-keys/rotate', {})
    t.equal(status, 201)
    t.not(made.id, before?.id)
    t.equal(made.expiresAt, null)
    const [current, old, ...more] = await listed(client)
    t.strictSame([current, more], [made, []], 'the new one comes first')
    const overlap = Date.parse(old?.expiresAt ?? '') - asked
    t.ok(overlap >= DAY_MS && overlap < DAY_MS + 60_000, 'a day unless told')
    t.strictSame(old, { ...before, expiresAt: old?.expiresAt })
    const both = [made.publicKey, old?.publicKey]
    t.strictSame(publicTexts(await signingKeys.of(client.appId)), both, 'this process knows at once')
    t.strictSame(
      (await readJwks(client.appId)).map(({ kid }) => kid),
      [made.id, old?.id],
    )

    const { time, keys, of } = another()
    time.now = Date.parse(old?.expiresAt ?? '') - 1
    t.strictSame(publicTexts(await of(client.appId)), both, 'in the last moment too')
    time.now += 1
    t.strictSame(publicTexts(await of(client.appId)), [made.publicKey], 'but not after it, though cached')
    t.strictSame(await keys.list(client.appId), [made])
    t.strictSame(
      (await keys.keySet(client.appId)).keys.map(({ kid }) => kid),
      [made.id],
    )
    t.equal(await countRows(client.appId), 2, 'no new one was made for it')
  })

  t.test('with no overlap the old one ends at once', async (t) => {
    const client = await service.client()
    await signingKeys.of(client.appId)
    const { body: made } = await client.post('/signing-keys/rotate', { overlapSeconds: 0 })
    t.strictSame(await listed(client), [made])
    t.strictSame(publicTexts(await signingKeys.of(client.appId)), [made.publicKey])
    t.strictSame(
      (await readJwks(client.appId)).map(({ kid }) => kid),
      [made.id],
    )
  })

  t.test('the overlap may be 30 days and no more', async (t) => {
    const client = await service.client()
    const most = 30 * 24 * 3600
    t.equal((await client.post('/signing-keys/rotate', { overlapSeconds: most })).status, 201)
    const [, old] = await listed(client)
    t.ok(Date.parse(old?.expiresAt ?? '') - Date.now() > 29 * DAY_MS)
    for (const overlapSeconds of [-1, most + 1, 1.5, '60', null]) {
      const refused = await client.post('/signing-keys/rotate', { overlapSeconds })
      const expected = { status: 400, type: 'validation-failed', pointers: ['/overlapSeconds'] }
      expectProblem(t, refused, expected, String(overlapSeconds))
    }
    const unknown = await client.post('/signing-keys/rotate', { overlap: 1 })
    expectProblem(t, unknown, { status: 400, type: 'validation-failed' }, 'an unknown member')
    t.equal((await listed(client)).length, 2, 'what was refused changed nothing')
  })

  t.test('at most ten sign; a rotation beyond that ends the oldest', async (t) => {
    const client = await service.client()
    const made = (await listed(client)).map(({ id }) => id)
    for (let number = 0; number < MAX_KEYS + 2; number++)
      made.unshift((await client.post('/signing-keys/rotate', {})).body.id)
    t.strictSame(
      (await listed(client)).map(({ id }) => id),
      made.slice(0, MAX_KEYS),
    )
    t.equal((await signingKeys.of(client.appId)).length, MAX_KEYS)
    t.equal(await countRows(client.appId), made.length, 'those that ended may stay')
  })

  t.test('rotations at once leave one current key, and none is lost', async (t) => {
    const client = await service.client()
    const services = Array.from({ length: 4 }, () => another())
    const rotated = await Promise.all(
      services.flatMap(({ keys, of }) => [keys.rotate(client.appId, 60), of(client.appId)]),
    )
    const ids = new Set(rotated.flatMap((result) => ('id' in result ? [result.id] : [])))
    t.equal(ids.size, 4)
    const keys = await listed(client)
    t.strictSame(
      keys.map(({ expiresAt }) => expiresAt === null),
      [true, false, false, false, false],
    )
    t.ok([...ids].every((id) => keys.some((key) => key.id === id)))
  })

  t.test('an app sees and rotates only its own', async (t) => {
    const [one, two] = [await service.client(), await service.client()]
    const [ofOne] = await listed(one)
    const [ofTwo] = await listed(two)
    t.not(ofOne?.publicKey, ofTwo?.publicKey)
    await one.post('/signing-keys/rotate', { overlapSeconds: 0 })
    t.strictSame(await listed(two), [ofTwo])
    t.strictSame(publicTexts(await signingKeys.of(two.appId)), [ofTwo?.publicKey])
    t.strictSame(
      (await readJwks(two.appId)).map(({ kid }) => kid),
      [ofTwo?.id],
    )
  })

  t.test('the private key is stored sealed, for its row alone', async (t) => {
    const [one, two] = [await service.client(), await service.client()]
    await Promise.all([signingKeys.of(one.appId), signingKeys.of(two.appId)])
    const rows = await db
      .selectFrom('app_signing_keys')
      .selectAll()
      .where('app_id', 'in', [one.appId, two.appId])
      .execute()
    for (const { app_id: appId, id, sealed_private_key: sealed, public_key: publicKey } of rows) {
      const text = secrets.open(sealed, `${appId}/signing-keys/${id}`)
      t.match(text, /^whsk_/)
      t.notOk(sealed.includes(Buffer.from(text.slice(5), 'base64').subarray(0, 32)), 'it does not show')
      t.equal(publicKey.length, 32)
    }
    await sql`update app_signing_keys a set sealed_private_key = b.sealed_private_key
      from app_signing_keys b where a.app_id = ${one.appId} and b.app_id = ${two.appId}`.execute(db)
    await t.rejects(another().of(one.appId), { message: /for another row/ }, 'another one’s does not open')
    const strange = createSigningKeyService(
      db,
      createSecretBox(Buffer.alloc(32, 1).toString('base64')),
      clock,
    )
    await t.rejects(strange.of(two.appId), { message: /another key/ })
    await t.resolves(another().of(two.appId))
  })

  t.test('keys of an app need a scope', async (t) => {
    const { appId } = await service.client()
    const { body } = await call(service.url, 'POST', `/apps/${appId}/api-keys`, {
      key: ADMIN_KEY,
      body: { name: 'reads', scopes: ['subscriptions:read'] },
    })
    t.equal((await call(service.url, 'GET', '/signing-keys', { key: body.apiKey })).status, 200)
    const refused = await call(service.url, 'POST', '/signing-keys/rotate', { key: body.apiKey, body: {} })
    expectProblem(t, refused, { status: 403, type: 'forbidden' }, 'rotating with a key that may read')
  })
})
