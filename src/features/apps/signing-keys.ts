import type { KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { sql, type Selectable } from 'kysely'
import type { Clock } from '../../platform/time/clock.ts'
import { notFound } from '../../platform/http/problems.ts'
import { newId } from '../../platform/identifiers/ids.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { AppSigningKeys } from '../../platform/postgres/tables.ts'
import type { SecretBox } from '../../platform/secrets/secret-box.ts'
import {
  newSigningKey,
  privateKeyText,
  publicBytes,
  publicKeyText,
  readPrivateKey,
  signingJwk,
} from '../../platform/secrets/signing.ts'
import { keyContext } from './signing-key-context.ts'

/** How long a process may go on signing with the keys it knows after another one rotated them. */
const CACHE_MS = 60_000
const CACHE_SIZE = 10_000
/** More would make headers long; a rotation beyond it ends the oldest. */
const MAX_KEYS = 10

type Row = Selectable<AppSigningKeys>

interface OpenKey {
  key: KeyObject
  expiresAt: number
}

/**
 * The ed25519 keys that sign an app's webhooks: the current one, made when it is first asked for, and those
 * before it whose time after a rotation is not over. All throw the problem `not-found` for an unknown app.
 */
export function createSigningKeyService(db: Database, secrets: SecretBox, clock: Clock) {
  const known = new LRUCache<string, Promise<OpenKey[]>>({ max: CACHE_SIZE, ttl: CACHE_MS })

  /** Those that have not ended, the current one first. */
  const selectLive = (connection: Database, appId: string) =>
    connection
      .selectFrom('app_signing_keys')
      .selectAll()
      .where('app_id', '=', appId)
      .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', new Date(clock.now()))]))
      .orderBy(sql`expires_at is null`, 'desc')
      .orderBy('id', 'desc')

  const insert = (connection: Database, appId: string) => {
    const id = newId()
    const key = newSigningKey()
    return connection.insertInto('app_signing_keys').values({
      app_id: appId,
      id,
      public_key: publicBytes(key),
      sealed_private_key: secrets.seal(privateKeyText(key), keyContext(appId, id)),
      created_at: new Date(clock.now()),
    })
  }

  async function live(appId: string): Promise<Row[]> {
    const rows = await selectLive(db, appId).execute()
    if (rows.length > 0) return rows
    const app = await db.selectFrom('apps').select('id').where('id', '=', appId).executeTakeFirst()
    if (!app) throw notFound('app')
    // Another process may make one at the same time: the first one counts.
    await insert(db, appId)
      .onConflict((conflict) => conflict.column('app_id').where('expires_at', 'is', null).doNothing())
      .execute()
    return selectLive(db, appId).execute()
  }

  async function load(appId: string): Promise<OpenKey[]> {
    const rows = await live(appId)
    return rows.map((row) => ({
      key: readPrivateKey(secrets.open(row.sealed_private_key, keyContext(appId, row.id))),
      expiresAt: row.expires_at?.getTime() ?? Infinity,
    }))
  }

  return {
    /**
     * The private keys that sign now, the newest first. They are kept for a minute: for so long another
     * process may sign without a key that is new, or with one that a rotation ended at once.
     */
    async of(appId: string): Promise<readonly KeyObject[]> {
      let loading = known.get(appId)
      if (!loading) {
        loading = load(appId)
        known.set(appId, loading)
        loading.catch(() => known.delete(appId))
      }
      const now = clock.now()
      return (await loading).filter(({ expiresAt }) => expiresAt > now).map(({ key }) => key)
    },

    list: async (appId: string) => (await live(appId)).map(toSigningKey),

    /** The public keys as a JSON Web Key Set (RFC 7517). */
    async keySet(appId: string) {
      const rows = await live(appId)
      return { keys: rows.map(({ id, public_key: publicKey }) => signingJwk(id, publicKey)) }
    },

    /**
     * Makes a new current key. The one before it signs too until the overlap is over.
     *
     * @param overlapSeconds 0: it ends at once
     */
    async rotate(appId: string, overlapSeconds: number) {
      await live(appId) // so that nobody makes a first key meanwhile
      const row = await db.transaction().execute(async (transaction) => {
        // Its lock puts rotations of the app in order.
        await transaction
          .selectFrom('apps')
          .select('id')
          .where('id', '=', appId)
          .forNoKeyUpdate()
          .executeTakeFirstOrThrow()
        const now = clock.now()
        await transaction
          .updateTable('app_signing_keys')
          .set({ expires_at: new Date(now + overlapSeconds * 1000) })
          .where('app_id', '=', appId)
          .where('expires_at', 'is', null)
          .execute()
        const made = await insert(transaction, appId).returningAll().executeTakeFirstOrThrow()
        const tooOld = (await selectLive(transaction, appId).execute()).slice(MAX_KEYS)
        for (const { id } of tooOld) {
          await transaction
            .updateTable('app_signing_keys')
            .set({ expires_at: new Date(now) })
            .where('app_id', '=', appId)
            .where('id', '=', id)
            .execute()
        }
        return made
      })
      known.delete(appId)
      return toSigningKey(row)
    },
  }
}

export type SigningKeyService = ReturnType<typeof createSigningKeyService>

const toSigningKey = (row: Row) => ({
  id: row.id,
  publicKey: publicKeyText(row.public_key),
  createdAt: row.created_at.toISOString(),
  expiresAt: row.expires_at?.toISOString() ?? null,
})
