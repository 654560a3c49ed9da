import { sql, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { notFound, Problem } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import { newId } from '../../platform/identifiers/ids.ts'
import { isForeignKeyViolation } from '../../platform/postgres/errors.ts'
import { parseAsWritten } from '../../platform/json/exact-numbers.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { Users } from '../../platform/postgres/tables.ts'
import { refuseTooLarge } from './attributes.ts'
import type { NewUser, User, UserChange } from './schemas.ts'

type UserBody = Static<typeof User>

/** Who events are about, whatever platforms they use (SPEC section 2). */
export function createUserService(db: Database) {
  return {
    async create(appId: string, { name, attributes = {} }: Static<typeof NewUser>): Promise<UserBody> {
      refuseTooLarge('attributes', attributes)
      const row = await db
        .insertInto('users')
        .values({ app_id: appId, id: newId(), name: name ?? null, attributes: JSON.stringify(attributes) })
        .returningAll()
        .executeTakeFirstOrThrow()
      return toUser(row)
    },

    async list(appId: string, _query: object, size: number, after?: string): Promise<Page<UserBody>> {
      const rows = await db
        .selectFrom('users')
        .selectAll()
        .where('app_id', '=', appId)
        .$if(after !== undefined, (query) => query.where('id', '>', after as string))
        .orderBy('id')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toUser), size, (user) => user.id)
    },

    async get(appId: string, id: string): Promise<UserBody> {
      const row = await db
        .selectFrom('users')
        .selectAll()
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .executeTakeFirst()
      if (!row) throw notFound('user')
      return toUser(row)
    },

    async change(
      appId: string,
      id: string,
      { name, attributes }: Static<typeof UserChange>,
    ): Promise<UserBody> {
      if (attributes) refuseTooLarge('attributes', attributes)
      const row = await db
        .updateTable('users')
        .set({
          updated_at: sql`now()`,
          ...(name !== undefined && { name }),
          ...(attributes && { attributes: JSON.stringify(attributes) }),
        })
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst()
      if (!row) throw notFound('user')
      return toUser(row)
    },

    async remove(appId: string, id: string): Promise<void> {
      const { numDeletedRows } = await db
        .deleteFrom('users')
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .executeTakeFirst()
        .catch((error: unknown) => {
          if (!isForeignKeyViolation(error)) throw error
          throw new Problem(
            'conflict',
            'Platform users or merged users belong to this user. Delete those first.',
          )
        })
      if (numDeletedRows === 0n) throw notFound('user')
    },
  }
}

export type UserService = ReturnType<typeof createUserService>

export const toUser = (row: Selectable<Users>): UserBody => ({
  id: row.id,
  name: row.name,
  isSystem: row.is_system,
  attributes: parseAsWritten(row.attributes) as UserBody['attributes'],
  mergedInto: row.merged_into,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
})
