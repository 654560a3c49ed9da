import { sql, type ExpressionBuilder, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { notFound, Problem } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import { newId } from '../../platform/identifiers/ids.ts'
import { isUniqueViolation } from '../../platform/postgres/errors.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { DB, PlatformUsers } from '../../platform/postgres/tables.ts'
import { keptUrl } from './attributes.ts'
import type { NewPlatformUser, PlatformUser, PlatformUserChange, PlatformUserQuery } from './schemas.ts'

type PlatformUserBody = Static<typeof PlatformUser>

/** Somebody as a platform tells of them. */
export interface KnownAs {
  platformConnectionId: string
  externalId: string
  /** Another id that it has on the platform, such as WhatsApp's user id beside the number. */
  otherExternalId?: string | undefined
  name?: string | undefined
}

/** Who is who on which platform connection; each belongs to a user (SPEC section 2). */
export function createPlatformUserService(db: Database) {
  return {
    async create(appId: string, input: Static<typeof NewPlatformUser>): Promise<PlatformUserBody> {
      const made = await insertAlone(db, appId, input)
      if (made) return toPlatformUser(made)
      throw new Problem('conflict', `The connection has a platform user "${input.externalId}" already.`)
    },

    /** The platform user with that id on the platform, made when it is met for the first time. */
    async ensure(appId: string, known: Omit<KnownAs, 'otherExternalId'>): Promise<string> {
      for (;;) {
        const rows = await knownAs(db, appId, known)
        // Somebody who has it beside another id goes before whoever had it alone and was joined with them.
        const row = rows.find((one) => one.other_external_id === known.externalId) ?? rows[0]
        if (row) {
          await rename(db, appId, row, known.name)
          return row.id
        }
        const made = await insertAlone(db, appId, known)
        if (made) return made.id
      }
    },

    async list(
      appId: string,
      { platformConnectionId, userId, externalId }: Static<typeof PlatformUserQuery>,
      size: number,
      after?: string,
    ): Promise<Page<PlatformUserBody>> {
      let query = db.selectFrom('platform_users').selectAll().where('app_id', '=', appId)
      if (platformConnectionId !== undefined)
        query = query.where('platform_connection_id', '=', platformConnectionId)
      if (userId !== undefined) query = query.where('user_id', '=', userId)
      if (externalId !== undefined) query = query.where(isKnownAs([externalId]))
      if (after !== undefined) query = query.where('id', '>', after)
      const rows = await query
        .orderBy('id')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toPlatformUser), size, (platformUser) => platformUser.id)
    },

    async get(appId: string, id: string): Promise<PlatformUserBody> {
      const row = await db
        .selectFrom('platform_users')
        .selectAll()
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .executeTakeFirst()
      if (!row) throw notFound('platform user')
      return toPlatformUser(row)
    },

    async change(
      appId: string,
      id: string,
      { name, profilePictureUrl }: Static<typeof PlatformUserChange>,
    ): Promise<PlatformUserBody> {
      const row = await db
        .updateTable('platform_users')
        .set({
          updated_at: sql`now()`,
          ...(name !== undefined && { name }),
          ...(profilePictureUrl !== undefined && { profile_picture_url: pictureUrl(profilePictureUrl) }),
        })
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst()
      if (!row) throw notFound('platform user')
      return toPlatformUser(row)
    },

    async remove(appId: string, id: string): Promise<void> {
      const { numDeletedRows } = await db
        .deleteFrom('platform_users')
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .where((eb) =>
          eb.not(
            eb.exists(
              eb
                .selectFrom('platform_connections')
                .select('id')
                .where('app_id', '=', appId)
                .where('own_user_id', '=', id)
                .where('deleted_at', 'is', null),
            ),
          ),
        )
        .executeTakeFirst()
      if (numDeletedRows > 0n) return
      await this.get(appId, id)
      throw new Problem('conflict', 'Its platform connection sends as this platform user. Delete that first.')
    },
  }
}

export type PlatformUserService = ReturnType<typeof createPlatformUserService>

const insertAlone = (db: Database, appId: string, input: Static<typeof NewPlatformUser>) =>
  db
    .transaction()
    .execute((transaction) => insert(transaction, appId, input))
    .catch((error: unknown) => {
      // our own side was given that id meanwhile
      if (isUniqueViolation(error)) return undefined
      throw error
    })

/**
 * Adds a platform user, and a user for it unless one is named.
 *
 * @returns undefined when somebody on the connection has an id of it already
 * @throws Problem `unknown-reference` when there is no such connection or no such user
 */
export async function insert(
  transaction: Database,
  appId: string,
  input: Static<typeof NewPlatformUser> & { id?: string; isSystem?: boolean; otherExternalId?: string },
): Promise<Selectable<PlatformUsers> | undefined> {
  await lockIds(transaction, input)
  if ((await knownAs(transaction, appId, input)).length > 0) return undefined
  await requireConnection(transaction, appId, input.platformConnectionId)
  const userId = input.userId === undefined ? newId() : await currentUser(transaction, appId, input.userId)
  const name = input.name ?? null
  if (input.userId === undefined) {
    await transaction
      .insertInto('users')
      .values({ app_id: appId, id: userId, name, is_system: input.isSystem ?? false })
      .execute()
  }
  return transaction
    .insertInto('platform_users')
    .values({
      app_id: appId,
      id: input.id ?? newId(),
      platform_connection_id: input.platformConnectionId,
      external_id: input.externalId,
      other_external_id: input.otherExternalId ?? null,
      user_id: userId,
      name,
      profile_picture_url: pictureUrl(input.profilePictureUrl ?? null),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function requireConnection(transaction: Database, appId: string, id: string): Promise<void> {
  const row = await transaction
    .selectFrom('platform_connections')
    .select('id')
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .forShare()
    .executeTakeFirst()
  if (!row) throw new Problem('unknown-reference', 'There is no such platform connection.')
}

/** The user, or the one that it became. It is locked: it must not be merged until the platform user is stored. */
async function currentUser(transaction: Database, appId: string, id: string): Promise<string> {
  const row = await transaction
    .selectFrom('users')
    .select(['id', 'merged_into'])
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .forShare()
    .executeTakeFirst()
  if (!row) throw new Problem('unknown-reference', 'There is no such user.')
  return row.merged_into ?? row.id
}

/** Who has one of the ids on a connection: at most one under each as the first, and one as the other. */
export const knownAs = (
  db: Database,
  appId: string,
  { platformConnectionId, externalId, otherExternalId }: Omit<KnownAs, 'name'>,
) =>
  db
    .selectFrom('platform_users')
    .select(['id', 'user_id', 'name', 'external_id', 'other_external_id'])
    .where('app_id', '=', appId)
    .where('platform_connection_id', '=', platformConnectionId)
    .where(isKnownAs(otherExternalId === undefined ? [externalId] : [externalId, otherExternalId]))
    .execute()

/** Nobody else is given these ids on the connection until the transaction ends. */
export async function lockIds(
  transaction: Database,
  { platformConnectionId, externalId, otherExternalId = externalId }: Omit<KnownAs, 'name'>,
): Promise<void> {
  for (const id of [...new Set([externalId, otherExternalId])].toSorted()) {
    const name = `platform user ${platformConnectionId} ${id}`
    await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(transaction)
  }
}

const isKnownAs = (ids: readonly string[]) => (eb: ExpressionBuilder<DB, 'platform_users'>) =>
  eb.or([eb('external_id', 'in', ids), eb('other_external_id', 'in', ids)])

/** Follows a name that the platform tells; one that it does not tell stays. */
export async function rename(
  db: Database,
  appId: string,
  { id, name: before }: { id: string; name: string | null },
  name: string | undefined,
): Promise<void> {
  if (name === undefined || name === before) return
  await db
    .updateTable('platform_users')
    .set({ name, updated_at: sql`now()` })
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .execute()
}

const pictureUrl = (url: string | null): string | null => url && keptUrl('profilePictureUrl', url)

export const toPlatformUser = (row: Selectable<PlatformUsers>): PlatformUserBody => ({
  id: row.id,
  platformConnectionId: row.platform_connection_id,
  externalId: row.external_id,
  otherExternalId: row.other_external_id,
  userId: row.user_id,
  name: row.name,
  profilePictureUrl: row.profile_picture_url,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
})
