import { sql } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { notFound, Problem } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import { newId } from '../../platform/identifiers/ids.ts'
import { isUniqueViolation } from '../../platform/postgres/errors.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { SecretBox } from '../../platform/secrets/secret-box.ts'
import type { DestinationSettings } from '../destinations/index.ts'
import { insertPlatformUser } from '../entities/index.ts'
import {
  cancelOwed,
  endAddressed,
  insertAddressed,
  secretContext,
  updateAddressed,
} from '../subscriptions/index.ts'
import { createAccountCheck } from './accounts.ts'
import type { Account, PlatformDriver } from './driver.ts'
import type { Drivers } from './drivers.ts'
import type { ConnectionSchemas, PlatformConnectionChange } from './schemas.ts'

type ConnectionBody = Static<ConnectionSchemas['PlatformConnection']>

/** The settings of the subscription behind a connection. */
export interface PlatformDestination extends DestinationSettings {
  type: 'platform'
  platform: string
  settings: Record<string, string>
}

/** A connection with its secrets, for those who talk to the platform. */
export interface OpenConnection {
  appId: string
  id: string
  platform: string
  driver: PlatformDriver
  account: Account
  /** The system user that stands for our own side. */
  ownUserId: string
  detectLinkCodes: boolean
}

interface Row {
  app_id: string
  id: string
  platform: string
  name: string
  detect_link_codes: boolean
  app_detects_link_codes: boolean
  own_platform_user_id: string
  own_user_id: string
  created_at: Date
  updated_at: Date
  destination: unknown
  sealed_secret: Buffer
}

/**
 * Accounts on messaging platforms. A connection is a subscription with the same id that gets only the messages
 * addressed to it, so sending has the retries, dead letters and attempts of every delivery.
 *
 * @param options.publicUrl where platforms reach this service; undefined when it was not told
 * @param options.faultOfUrl what is wrong with a URL that is to be called
 */
export function createConnectionService(options: {
  db: Database
  secrets: SecretBox
  publicUrl: string | undefined
  drivers: Drivers
  faultOfUrl: (url: string) => string | undefined
}) {
  const { db, secrets, publicUrl, drivers } = options
  const checkAccount = createAccountCheck(drivers, options.faultOfUrl)

  const select = () =>
    db
      .selectFrom('platform_connections as c')
      .innerJoin('subscriptions as s', (join) =>
        join.onRef('s.app_id', '=', 'c.app_id').onRef('s.id', '=', 'c.id'),
      )
      .innerJoin('apps as a', 'a.id', 'c.app_id')
      .innerJoin('platform_users as own', (join) =>
        join.onRef('own.app_id', '=', 'c.app_id').onRef('own.id', '=', 'c.own_user_id'),
      )
      .select(['a.detect_link_codes as app_detects_link_codes'])
      .select([
        'c.app_id',
        'c.id',
        'c.platform',
        'c.name',
        'c.detect_link_codes',
        'own.id as own_platform_user_id',
        'own.user_id as own_user_id',
        'c.created_at',
        'c.updated_at',
        's.destination',
        's.sealed_secret',
      ])
      .where('c.deleted_at', 'is', null)

  const ofApp = (appId: string) => select().where('c.app_id', '=', appId)

  async function get(appId: string, id: string): Promise<ConnectionBody> {
    const row = await ofApp(appId).where('c.id', '=', id).executeTakeFirst()
    if (!row) throw notFound('platform connection')
    return toConnection(row, publicUrl)
  }

  function open(row: Row): OpenConnection {
    return {
      appId: row.app_id,
      id: row.id,
      platform: row.platform,
      driver: drivers.of(row.platform),
      account: {
        settings: (row.destination as PlatformDestination).settings,
        credentials: JSON.parse(secrets.open(row.sealed_secret, secretContext(row.app_id, row.id))) as Record<
          string,
          string
        >,
      },
      ownUserId: row.own_user_id,
      detectLinkCodes: row.detect_link_codes || row.app_detects_link_codes,
    }
  }

  return {
    get,

    async create(
      appId: string,
      input: Static<ConnectionSchemas['NewPlatformConnection']>,
    ): Promise<ConnectionBody> {
      const { platform, name } = input
      const account = { settings: input.settings, credentials: input.credentials }
      const { settings, credentials } = checkAccount(platform, account)
      const id = newId()
      await db.transaction().execute(async (transaction) => {
        const destination: PlatformDestination = { type: 'platform', platform, settings }
        await insertAddressed(transaction, secrets, appId, id, {
          name,
          destination,
          secret: JSON.stringify(credentials),
        })
        const ownUserId = newId()
        await transaction
          .insertInto('platform_connections')
          .values({
            app_id: appId,
            id,
            platform,
            name,
            own_user_id: ownUserId,
            detect_link_codes: input.detectLinkCodes ?? false,
          })
          .execute()
        await insertPlatformUser(transaction, appId, {
          id: ownUserId,
          platformConnectionId: id,
          externalId: drivers.of(platform).ownExternalId(settings),
          name,
          isSystem: true,
        })
      })
      return get(appId, id)
    },

    async list(
      appId: string,
      { platform }: Static<ConnectionSchemas['PlatformConnectionQuery']>,
      size: number,
      after: string | undefined,
    ): Promise<Page<ConnectionBody>> {
      let query = ofApp(appId)
      if (platform !== undefined) query = query.where('c.platform', '=', platform)
      if (after !== undefined) query = query.where('c.id', '>', after)
      const rows = await query
        .orderBy('c.id')
        .limit(size + 1)
        .execute()
      return toPage(
        rows.map((row) => toConnection(row, publicUrl)),
        size,
        (connection) => connection.id,
      )
    },

    async change(
      appId: string,
      id: string,
      change: Static<typeof PlatformConnectionChange>,
    ): Promise<ConnectionBody> {
      const { platform } = await get(appId, id)
      const { name, detectLinkCodes } = change
      const account = {
        ...(change.settings && { settings: change.settings }),
        ...(change.credentials && { credentials: change.credentials }),
      }
      const { settings, credentials } = checkAccount(platform, account)
      await db.transaction().execute(async (transaction) => {
        const changed = await transaction
          .updateTable('platform_connections')
          .set({
            updated_at: sql`now()`,
            ...(name !== undefined && { name }),
            ...(detectLinkCodes !== undefined && { detect_link_codes: detectLinkCodes }),
          })
          .where('app_id', '=', appId)
          .where('id', '=', id)
          .where('deleted_at', 'is', null)
          .executeTakeFirst()
        if (changed.numUpdatedRows === 0n) throw notFound('platform connection')
        if (settings)
          await renameOwnUser(transaction, appId, id, drivers.of(platform).ownExternalId(settings))
        const destination = settings && { type: 'platform', platform, settings }
        await updateAddressed(transaction, secrets, appId, id, {
          ...(name !== undefined && { name }),
          ...(destination && { destination }),
          ...(credentials && { secret: JSON.stringify(credentials) }),
        })
      })
      return get(appId, id)
    },

    /** Messages that were not sent yet are cancelled; its platform users stay. */
    async remove(appId: string, id: string): Promise<void> {
      await db.transaction().execute(async (transaction) => {
        await endAddressed(transaction, appId, id)
        const removed = await transaction
          .updateTable('platform_connections')
          .set({ deleted_at: sql`now()` })
          .where('app_id', '=', appId)
          .where('id', '=', id)
          .where('deleted_at', 'is', null)
          .executeTakeFirst()
        if (removed.numUpdatedRows === 0n) throw notFound('platform connection')
      })
      await cancelOwed(db, appId, id)
    },

    /** Those of some connections that exist, in one query. */
    async getMany(appId: string, ids: readonly string[]): Promise<ConnectionBody[]> {
      if (ids.length === 0) return []
      const rows = await ofApp(appId)
        .where('c.id', 'in', [...ids])
        .execute()
      return rows.map((row) => toConnection(row, publicUrl))
    },

    /** Undefined when there is none any more. */
    async find(appId: string, id: string): Promise<OpenConnection | undefined> {
      const row = await ofApp(appId).where('c.id', '=', id).executeTakeFirst()
      return row && open(row)
    },

    /** The connection that a platform names by its webhook's address, whatever app it is of. */
    async openAny(id: string): Promise<OpenConnection> {
      const row = await select().where('c.id', '=', id).executeTakeFirst()
      if (!row) throw notFound('platform connection')
      return open(row)
    },
  }
}

/** Our own side of a connection is known by what its settings say. */
async function renameOwnUser(
  transaction: Database,
  appId: string,
  connectionId: string,
  externalId: string,
): Promise<void> {
  await transaction
    .updateTable('platform_users as own')
    .from('platform_connections as c')
    .set({ external_id: externalId, updated_at: sql`now()` })
    .where('c.app_id', '=', appId)
    .where('c.id', '=', connectionId)
    .whereRef('own.app_id', '=', 'c.app_id')
    .whereRef('own.id', '=', 'c.own_user_id')
    .where('own.external_id', '<>', externalId)
    .execute()
    .catch((error: unknown) => {
      if (!isUniqueViolation(error)) throw error
      throw new Problem('conflict', `"${externalId}" is known on this connection as somebody else already.`)
    })
}

export type ConnectionService = ReturnType<typeof createConnectionService>

export const webhookUrl = (publicUrl: string | undefined, connectionId: string): string =>
  `${publicUrl ?? ''}/platform-connections/${connectionId}/webhook`

const toConnection = (row: Row, publicUrl: string | undefined): ConnectionBody => ({
  id: row.id,
  platform: row.platform,
  name: row.name,
  settings: (row.destination as PlatformDestination).settings,
  detectLinkCodes: row.detect_link_codes,
  ownPlatformUserId: row.own_platform_user_id,
  ownUserId: row.own_user_id,
  webhookUrl: webhookUrl(publicUrl, row.id),
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
})
