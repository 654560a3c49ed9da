import type { Database } from '../postgres/pool.ts'
import type { SecretBox } from './secret-box.ts'

const NAME = 'encryption key fingerprint'

/**
 * Makes sure that this database's secrets can be opened: it remembers the fingerprint of the key that they are
 * sealed with. A new database takes that of this process.
 *
 * @throws Error saying what to do when the key is neither the current nor an old one of this process
 */
export async function checkFingerprint(db: Database, secrets: SecretBox): Promise<void> {
  await db
    .insertInto('installation')
    .values({ name: NAME, value: secrets.fingerprint })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const { value } = await db
    .selectFrom('installation')
    .select('value')
    .where('name', '=', NAME)
    .executeTakeFirstOrThrow()
  if (secrets.fingerprints.includes(value)) return
  throw new Error(
    'The secrets in this database were encrypted with another key. Set ENCRYPTION_KEY to that key, or use the DATA_DIR that holds it (encryption.key); to change the key see docs/encryption-keys.md.',
  )
}

/** Says that everything in the database is sealed with the current key, so that the old ones may go. */
export async function recordFingerprint(db: Database, secrets: SecretBox): Promise<void> {
  await db.updateTable('installation').set({ value: secrets.fingerprint }).where('name', '=', NAME).execute()
}
