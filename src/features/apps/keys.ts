import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Bus } from '../../platform/bus/port.ts'
import type { AppKey } from '../../platform/http/auth.ts'
import { createMicroBatcher } from '../../platform/micro-batcher.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import { randomSecret, sameDigest, sha256 } from '../../platform/secrets/secret-box.ts'
import { declared } from './declared.ts'

/** How long a process may go on accepting a key after another one revoked it, if the bus lost the message. */
const CACHE_MS = 5_000
const CACHE_SIZE = 50_000
/** Keys that one statement reads. */
const MAX_LOADED = 500
/** Keys that wait to be read; more are refused. */
const MAX_WAITING = 50_000
const KEY_FORM = /^hg_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/

export interface NewKey {
  id: string
  /** The whole key, to be shown once. */
  apiKey: string
  secretHash: Buffer
}

/** Makes a key: a public id to find it by and a random secret, of which only the hash is stored. */
export function newKey(): NewKey {
  const id = randomBytes(8).toString('hex')
  const secret = randomSecret()
  return { id, apiKey: `hg_${id}_${secret}`, secretHash: sha256(secret) }
}

interface KnownKey extends AppKey {
  secretHash: Buffer
  /** The secret, once somebody proved to have it: to compare it costs less than to hash it at each request. */
  proven?: Buffer
}

/** Finds the app of a key, keeping those that were used lately. */
export interface KeyFinder {
  find(apiKey: string): Promise<AppKey | undefined>
  /**
   * Looks again at a key that somebody proved to have earlier.
   *
   * @returns undefined once it was revoked
   */
  findById(keyId: string): Promise<AppKey | undefined>
  /** Which of some keys are revoked or were never there, as the database says at the moment. */
  findRevoked(keyIds: readonly string[]): Promise<string[]>
  /** Makes every process ask the database again for a key. */
  forget(keyId: string): void
}

export function createKeyFinder(db: Database, bus: Bus): KeyFinder {
  const known = new LRUCache<string, Promise<KnownKey | undefined>>({ max: CACHE_SIZE, ttl: CACHE_MS })
  bus.subscribe(declared.topics.revoked, (keyId) => known.delete(String(keyId)))

  /** With thousands of apps in use there is always a key to be read again: those of a moment go together. */
  const loader = createMicroBatcher<string, KnownKey | undefined>({
    run: loadAll,
    weight: () => 1,
    maxBatch: MAX_LOADED,
    maxWaiting: MAX_WAITING,
    maxConcurrentBatches: 1,
    key: (keyId) => keyId,
  })

  async function loadAll(keyIds: readonly string[]): Promise<(KnownKey | undefined)[]> {
    const rows = await db
      .selectFrom('api_keys')
      .select(['id', 'app_id', 'secret_hash', 'scopes'])
      .where('id', '=', sql<string>`any(${keyIds}::text[])`)
      .where('revoked_at', 'is', null)
      .execute()
    const found = new Map(
      rows.map(({ id, app_id: appId, secret_hash: secretHash, scopes }) => [
        id,
        { appId, keyId: id, scopes: new Set(scopes), secretHash },
      ]),
    )
    return keyIds.map((keyId) => found.get(keyId))
  }

  function findById(keyId: string): Promise<KnownKey | undefined> {
    let loading = known.get(keyId)
    if (!loading) {
      loading = loader.add(keyId)
      known.set(keyId, loading)
      loading.catch(() => known.delete(keyId))
    }
    return loading
  }

  return {
    async find(apiKey) {
      const [, keyId, secret] = KEY_FORM.exec(apiKey) ?? []
      if (keyId === undefined || secret === undefined) return undefined
      const key = await findById(keyId)
      if (!key) return undefined
      const given = Buffer.from(secret, 'latin1')
      if (key.proven && sameDigest(given, key.proven)) return key
      if (!sameDigest(sha256(secret), key.secretHash)) return undefined
      key.proven = given
      return key
    },
    findById,
    async findRevoked(keyIds) {
      const rows = await db
        .selectFrom('api_keys')
        .select('id')
        .where('id', '=', sql<string>`any(${keyIds}::text[])`)
        .where('revoked_at', 'is', null)
        .execute()
      const live = new Set(rows.map(({ id }) => id))
      return keyIds.filter((keyId) => !live.has(keyId))
    },
    forget(keyId) {
      known.delete(keyId)
      bus.publish(declared.topics.revoked, keyId)
    },
  }
}
