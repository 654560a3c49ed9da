import { sql } from 'kysely'
import type { Database } from '../../platform/postgres/pool.ts'
import {
  insertPlatformUser,
  knownAs,
  lockIds,
  renamePlatformUser,
  type KnownAs,
  type PlatformUserService,
} from '../entities/index.ts'
import type { Appender } from '../events/index.ts'
import { lockMerging, mergedOf, mergeUsers, requirePlatformUser } from './merge.ts'

/** Finds whom a platform tells of, or makes them. @returns the id of the platform user */
export type Recognize = (appId: string, known: KnownAs) => Promise<string>

type Known = Awaited<ReturnType<typeof knownAs>>[number]

/**
 * Recognizes people under either of two ids. The first time that both come together they are joined: whoever
 * was known under one of them gets the other one too, and two who were known under one each become one user.
 */
export function createRecognizer(options: {
  db: Database
  appender: Appender
  platformUsers: PlatformUserService
}): Recognize {
  const { db, appender, platformUsers } = options

  /** Gives both ids to one platform user, who is the one with the number where there were two. */
  const join = (appId: string, known: KnownAs & { otherExternalId: string }) =>
    appender.appendWith(appId, async (transaction) => {
      const { externalId, otherExternalId } = known
      await lockIds(transaction, known)
      const people = await knownAs(transaction, appId, known)
      const one = people.find((person) => person.external_id === externalId)
      const other =
        people.find((person) => person.other_external_id === otherExternalId) ??
        people.find((person) => person.external_id === otherExternalId)
      const ids = { external_id: externalId, other_external_id: otherExternalId }
      const nothing = { events: [], result: undefined }
      if (!one && !other) {
        await insertPlatformUser(transaction, appId, known)
        return nothing
      }
      if (!one || !other) {
        await change(transaction, appId, (one ?? other) as Known, ids)
        return nothing
      }
      if (other.id !== one.id && other.other_external_id !== null) {
        await change(transaction, appId, other, { other_external_id: null })
      }
      await change(transaction, appId, one, ids)
      // Either was known beside yet another id, as happens when a number gets a new owner: nobody is merged.
      if (one.other_external_id !== null || other.external_id !== otherExternalId) return nothing
      await lockMerging(transaction, appId)
      const source = (await requirePlatformUser(transaction, appId, other.id)).user_id
      const target = (await requirePlatformUser(transaction, appId, one.id)).user_id
      if (source === target) return nothing
      await mergeUsers(transaction, appId, { source, target })
      return { events: [mergedOf({ source, target })], result: undefined }
    })

  return async function recognize(appId, known) {
    const { externalId, otherExternalId, name } = known
    if (otherExternalId === undefined || otherExternalId === externalId) {
      return platformUsers.ensure(appId, known)
    }
    for (;;) {
      const people = await knownAs(db, appId, known)
      const person = people.find(
        (one) => one.external_id === externalId && one.other_external_id === otherExternalId,
      )
      if (person) {
        await renamePlatformUser(db, appId, person, name)
        return person.id
      }
      await join(appId, { ...known, otherExternalId })
    }
  }
}

const change = (
  db: Database,
  appId: string,
  { id }: Known,
  ids: { external_id?: string; other_external_id: string | null },
) =>
  db
    .updateTable('platform_users')
    .set({ ...ids, updated_at: sql`now()` })
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .execute()
