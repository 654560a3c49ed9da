import type { Database } from '../../platform/postgres/pool.ts'
import { notFound } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import { newId } from '../../platform/identifiers/ids.ts'
import { newKey, type KeyFinder } from './keys.ts'

const FIRST_KEY_NAME = 'first key'

/**
 * The tenants and their keys. Shapes are those of `schemas.ts`.
 *
 * @param usualScopes what a key may do of which nobody says more
 */
export function createAppService(db: Database, keys: KeyFinder, usualScopes: readonly string[]) {
  async function requireApp(appId: string) {
    const app = await db.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirst()
    if (!app) throw notFound('app')
    return app
  }

  async function insertKey(connection: Database, appId: string, name: string, scopes: readonly string[]) {
    const { id, apiKey, secretHash } = newKey()
    const row = await connection
      .insertInto('api_keys')
      .values({ app_id: appId, id, name, secret_hash: secretHash, scopes: [...scopes] })
      .returningAll()
      .executeTakeFirstOrThrow()
    return { ...toApiKey(row), apiKey }
  }

  return {
    /** Creates an app, its empty log and a key with every scope but `events:import`, which is shown this once. */
    create: (name: string) =>
      db.transaction().execute(async (transaction) => {
        const id = newId()
        const app = await transaction
          .insertInto('apps')
          .values({ id, name })
          .returningAll()
          .executeTakeFirstOrThrow()
        await transaction.insertInto('app_logs').values({ app_id: id }).execute()
        const { apiKey } = await insertKey(transaction, id, FIRST_KEY_NAME, usualScopes)
        return { ...toApp(app), apiKey }
      }),

    async list(size: number, after: string | undefined): Promise<Page<ReturnType<typeof toApp>>> {
      const rows = await db
        .selectFrom('apps')
        .selectAll()
        .$if(after !== undefined, (query) => query.where('id', '>', after as string))
        .orderBy('id')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toApp), size, (app) => app.id)
    },

    get: async (appId: string) => toApp(await requireApp(appId)),

    /** Whether link codes in messages are used, whichever platform connection they come through. */
    async detectsLinkCodes(appId: string): Promise<boolean> {
      const { detect_link_codes: detects } = await requireApp(appId)
      return detects
    },

    async change(appId: string, change: { name?: string; detectLinkCodes?: boolean }) {
      const { name, detectLinkCodes } = change
      const app = await requireApp(appId)
      if (name === undefined && detectLinkCodes === undefined) return toApp(app)
      const row = await db
        .updateTable('apps')
        .set({
          ...(name !== undefined && { name }),
          ...(detectLinkCodes !== undefined && { detect_link_codes: detectLinkCodes }),
        })
        .where('id', '=', appId)
        .returningAll()
        .executeTakeFirstOrThrow()
      return toApp(row)
    },

    async createKey(appId: string, name: string, scopes: readonly string[] = usualScopes) {
      await requireApp(appId)
      return insertKey(db, appId, name, scopes)
    },

    async listKeys(appId: string) {
      await requireApp(appId)
      const rows = await db
        .selectFrom('api_keys')
        .selectAll()
        .where('app_id', '=', appId)
        .orderBy('created_at')
        .execute()
      return rows.map(toApiKey)
    },

    /** From when this returns this process refuses the key; the others within moments (see `keys.ts`). */
    async revokeKey(appId: string, keyId: string): Promise<void> {
      const { numUpdatedRows } = await db
        .updateTable('api_keys')
        .set({ revoked_at: new Date() })
        .where('app_id', '=', appId)
        .where('id', '=', keyId)
        .where('revoked_at', 'is', null)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) throw notFound('API key in use')
      keys.forget(keyId)
    },
  }
}

export type AppService = ReturnType<typeof createAppService>

const toApp = (row: { id: string; name: string; created_at: Date }) => ({
  id: row.id,
  name: row.name,
  createdAt: row.created_at.toISOString(),
})

const toApiKey = (row: {
  id: string
  name: string
  scopes: string[]
  created_at: Date
  revoked_at: Date | null
}) => ({
  id: row.id,
  name: row.name,
  scopes: row.scopes,
  createdAt: row.created_at.toISOString(),
  revokedAt: row.revoked_at?.toISOString() ?? null,
})
