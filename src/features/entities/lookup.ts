import { sql, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { isUuid } from '../../platform/identifiers/ids.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { PlatformUsers } from '../../platform/postgres/tables.ts'
import { toFile } from './files.ts'
import { toPlatformUser } from './platform-users.ts'
import type { File, PlatformUser, User } from './schemas.ts'
import { toUser } from './users.ts'

/** What an edge points to. */
export interface EntityRef {
  targetType: string
  targetId: string
}

export type Entity = Static<typeof User> | Static<typeof PlatformUser> | Static<typeof File>

/** Finds what was read for an edge; undefined when there is no such entity. */
export type FindEntity = (ref: EntityRef) => Entity | undefined

/**
 * Reads the entities behind some edges: one query for each kind of entity among them.
 *
 * @param publicUrl where others reach this service: addresses of files' contents begin with it
 */
export async function readEntities(
  db: Database,
  appId: string,
  refs: readonly EntityRef[],
  publicUrl: string | undefined,
): Promise<FindEntity> {
  const idsOf = (kind: string): string[] => [
    ...new Set(
      refs
        .filter(({ targetType, targetId }) => targetType === kind && isUuid(targetId))
        .map(({ targetId }) => targetId.toLowerCase()),
    ),
  ]
  const userIds = idsOf('user')
  const platformUserIds = idsOf('platform_user')
  const fileIds = idsOf('file')
  const [users, platformUsers, files] = await Promise.all([
    userIds.length === 0
      ? []
      : db.selectFrom('users').selectAll().where('app_id', '=', appId).where('id', 'in', userIds).execute(),
    platformUserIds.length === 0
      ? []
      : db
          .selectFrom('platform_users')
          .selectAll()
          .where('app_id', '=', appId)
          .where('id', 'in', platformUserIds)
          .execute(),
    fileIds.length === 0
      ? []
      : db.selectFrom('files').selectAll().where('app_id', '=', appId).where('id', 'in', fileIds).execute(),
  ])
  const found = new Map<string, Entity>([
    ...users.map((row) => [`user ${row.id}`, toUser(row)] as const),
    ...platformUsers.map((row) => [`platform_user ${row.id}`, toPlatformUser(row)] as const),
    ...files.map((row) => [`file ${row.id}`, toFile(row, publicUrl)] as const),
  ])
  return ({ targetType, targetId }) => found.get(`${targetType} ${targetId.toLowerCase()}`)
}

/** The platform users of each of some users, in one query. @param limit for each user */
export async function platformUsersOf(
  db: Database,
  appId: string,
  userIds: readonly string[],
  limit: number,
): Promise<Static<typeof PlatformUser>[]> {
  const { rows } = await sql<Selectable<PlatformUsers>>`
    select p.* from unnest(${userIds}::uuid[]) as owner(id)
     cross join lateral (select * from platform_users
            where app_id = ${appId} and user_id = owner.id order by id limit ${limit}) p`.execute(db)
  return rows.map(toPlatformUser)
}

/**
 * Everything a user is known as: itself, whoever was merged into it, and their platform users. Asked for a
 * merged user it is the same as for the one it became.
 */
export async function identitiesOf(db: Database, appId: string, userId: string): Promise<EntityRef[]> {
  const itself = { targetType: 'user', targetId: userId }
  if (!isUuid(userId)) return [itself]
  const { rows } = await sql<EntityRef>`
    with root as (select coalesce(merged_into, id) as id from users where app_id = ${appId} and id = ${userId}),
    users_in as (
      select id from root
      union all
      select u.id from root join users u on u.app_id = ${appId} and u.merged_into = root.id
    )
    select 'user' as "targetType", id::text as "targetId" from users_in
    union all
    select 'platform_user', p.id::text
      from users_in join platform_users p on p.app_id = ${appId} and p.user_id = users_in.id`.execute(db)
  // Edges keep an id as it was sent, which may be in upper case.
  return rows.some(({ targetType, targetId }) => targetType === 'user' && targetId === userId)
    ? rows
    : [itself, ...rows]
}
