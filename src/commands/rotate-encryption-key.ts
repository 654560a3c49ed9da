import { join } from 'node:path'
import type { Config } from '../config.ts'
import { gather } from '../declarations.ts'
import { loadModules } from '../extensions.ts'
import { packs } from '../packs/index.ts'
import { readSecret } from '../platform/secrets/data-dir.ts'
import { checkFingerprint, recordFingerprint } from '../platform/secrets/encryption-key.ts'
import type { Log } from '../platform/log/log.ts'
import { startEmbeddedPostgres } from '../platform/postgres/embedded.ts'
import { pendingMigrations } from '../platform/postgres/migrate.ts'
import { neededPostgres } from '../platform/postgres/needed.ts'
import { createDatabase, createPool, type Database } from '../platform/postgres/pool.ts'
import { resealColumn, type SealedColumn } from '../platform/postgres/reseal.ts'
import { untilReachable } from '../platform/process/reachable.ts'
import { createSecretBox, type SecretBox } from '../platform/secrets/secret-box.ts'
import { ConfigError } from '../platform/settings.ts'

const CONNECTIONS = 4
/** An error names so many of the values that cannot be opened. */
const MAX_NAMED = 20

/**
 * `npm run rotate-encryption-key`: encrypts everything with ENCRYPTION_KEY that was encrypted with one of
 * ENCRYPTION_KEY_OLD, and then says so in the database. See docs/encryption-keys.md.
 *
 * @throws Error saying what to do when the settings do not allow it, or something cannot be read with any key
 */
export async function runRotateEncryptionKey(
  config: Config,
  log: Log,
  say: (text: string) => void,
): Promise<void> {
  const { ENCRYPTION_KEY: key, DATA_DIR: dataDir } = config
  if (key === undefined) {
    throw new ConfigError(
      'Set ENCRYPTION_KEY to the new key and ENCRYPTION_KEY_OLD to the one until now: see docs/encryption-keys.md.',
    )
  }
  const secrets = createSecretBox(key, config.oldEncryptionKeys)
  if (config.DATABASE_URL !== undefined)
    await untilReachable([neededPostgres(config.DATABASE_URL)], { timeoutMs: config.START_TIMEOUT_MS, say })
  const server =
    config.DATABASE_URL === undefined
      ? await startEmbeddedPostgres({ dataDir, say, onLost: () => {} })
      : undefined
  const pool = createPool(server?.address ?? config.DATABASE_URL ?? '', {
    size: CONNECTIONS,
    name: 'heliograph rotate-encryption-key',
    log,
  })
  try {
    const db = createDatabase(pool)
    const pending = await pendingMigrations(db)
    if (pending.length > 0)
      throw new Error(`The database is not up to date (${pending.join(', ')}): migrate it first.`)
    await checkFingerprint(db, secrets)
    const { sealedColumns } = gather([...packs, ...(await loadModules(config.extensions))])
    await resealAll(db, secrets, sealedColumns, say)
    await recordFingerprint(db, secrets)
    say('Everything is encrypted with ENCRYPTION_KEY; ENCRYPTION_KEY_OLD may be unset.')
  } finally {
    await pool.end()
    await server?.stop()
  }
  const file = join(dataDir, 'encryption.key')
  const kept = await readSecret(file)
  if (kept !== undefined && createSecretBox(kept).fingerprint !== secrets.fingerprint)
    say(`${file} holds another key: put the new one there, or keep ENCRYPTION_KEY set.`)
}

/** Goes over all of it until there is nothing left that somebody sealed with an old key meanwhile. */
async function resealAll(
  db: Database,
  secrets: SecretBox,
  sealedColumns: readonly SealedColumn[],
  say: (text: string) => void,
): Promise<void> {
  for (;;) {
    let changes = 0
    const unreadable: string[] = []
    for (const sealed of sealedColumns) {
      const name = `${sealed.table}.${sealed.column}`
      const result = await resealColumn(db, secrets, sealed, (looked, resealed) =>
        say(`${name}: ${looked} looked at, ${resealed} encrypted anew`),
      )
      changes += result.resealed + result.changed
      unreadable.push(...result.unreadable.map(({ appId, id }) => `${name} of ${id} (app ${appId})`))
    }
    if (unreadable.length > 0) {
      throw new Error(
        `No key opens ${unreadable.length} values: add the missing key to ENCRYPTION_KEY_OLD and run this again.\n  ${unreadable.slice(0, MAX_NAMED).join('\n  ')}`,
      )
    }
    if (changes === 0) return
  }
}
