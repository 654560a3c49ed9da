import { sql, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { notFound, Problem } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import { newId } from '../../platform/identifiers/ids.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { LinkCodes } from '../../platform/postgres/tables.ts'
import type { UserService } from '../entities/index.ts'
import type { Appender, NewEvent } from '../events/index.ts'
import { findLinkCode, newLinkCode } from './code.ts'
import { lockMerging, mergedOf, mergeUsers, requirePlatformUser, toEvent } from './merge.ts'
import type { Activated, Activation, LinkCode, LinkCodeQuery, NewLinkCode } from './schemas.ts'

const DEFAULT_EXPIRY_MINUTES = 15

type LinkCodeBody = Static<typeof LinkCode>

/**
 * Link codes: made for a platform user, used from another, they prove that both are one person, whose two
 * users are then merged (SPEC section 2). Every change commits with the events that tell of it.
 */
export function createLinkCodeService(db: Database, appender: Appender, users: UserService) {
  const select = (appId: string) => db.selectFrom('link_codes').selectAll().where('app_id', '=', appId)

  async function get(appId: string, id: string): Promise<LinkCodeBody> {
    const row = await select(appId).where('id', '=', id).executeTakeFirst()
    if (!row) throw notFound('link code')
    return toLinkCode(row)
  }

  return {
    get,

    async generate(appId: string, input: Static<typeof NewLinkCode>): Promise<LinkCodeBody> {
      const { expiryMinutes = DEFAULT_EXPIRY_MINUTES, maxUses = 1 } = input
      const platformUserId = input.platformUserId.toLowerCase()
      const { result } = await appender.appendWith(appId, async (transaction) => {
        await requirePlatformUser(transaction, appId, platformUserId)
        const row = await transaction
          .insertInto('link_codes')
          .values({
            app_id: appId,
            id: newId(),
            code: newLinkCode(),
            platform_user_id: platformUserId,
            expiry_minutes: expiryMinutes,
            expires_at: sql`now() + ${expiryMinutes} * interval '1 minute'`,
            max_uses: maxUses,
            event_id: newId(),
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        const payload = {
          code: row.code,
          expiry_minutes: expiryMinutes,
          max_uses: maxUses,
          uses: 0,
          generated_by_platform_user_id: platformUserId,
        }
        const event = toEvent('link_code.generated', payload, {
          id: row.event_id,
          edges: [{ type: 'generated_by', targetType: 'platform_user', targetId: platformUserId }],
        })
        return { events: [event], result: toLinkCode(row) }
      })
      return result
    },

    async list(
      appId: string,
      { platformUserId }: Static<typeof LinkCodeQuery>,
      size: number,
      after: string | undefined,
    ): Promise<Page<LinkCodeBody>> {
      let query = select(appId)
      if (platformUserId !== undefined) query = query.where('platform_user_id', '=', platformUserId)
      if (after !== undefined) query = query.where('id', '>', after)
      const rows = await query
        .orderBy('id')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toLinkCode), size, (linkCode) => linkCode.id)
    },

    /**
     * Uses a code from a platform user: its user becomes that of whoever the code was made for.
     *
     * @throws Problem `link-code-refused` when it is not known, expired, used up, or one's own
     */
    async activate(
      appId: string,
      input: Static<typeof Activation>,
      { onlyMerging = false } = {},
    ): Promise<Static<typeof Activated>> {
      const code = findLinkCode(input.code)
      if (code === undefined) throw refused('It is not a link code: a digit is wrong or missing.')
      const platformUserId = input.platformUserId.toLowerCase()
      const { result } = await appender.appendWith(appId, async (transaction) => {
        await lockMerging(transaction, appId)
        const used = await use(transaction, appId, code, platformUserId)
        const target = await requirePlatformUser(transaction, appId, used.platform_user_id)
        const source = await requirePlatformUser(transaction, appId, platformUserId)
        const isNew = source.user_id !== target.user_id
        if (!isNew && onlyMerging) throw refused('Both are one user already.')
        if (isNew) await mergeUsers(transaction, appId, { source: source.user_id, target: target.user_id })
        const activation = activationOf(used, platformUserId)
        const events = isNew
          ? [activation, mergedOf({ source: source.user_id, target: target.user_id }, activation.id)]
          : [activation]
        return {
          events,
          result: {
            userId: target.user_id,
            mergedUserId: isNew ? source.user_id : null,
            linkCode: toLinkCode(used),
            eventId: activation.id,
          },
        }
      })
      const { userId, ...rest } = result
      return { user: await users.get(appId, userId), ...rest }
    },
  }
}

export type LinkCodeService = ReturnType<typeof createLinkCodeService>

const refused = (detail: string): Problem => new Problem('link-code-refused', detail)

/** Counts a use of a code. @throws Problem `link-code-refused` */
async function use(
  transaction: Database,
  appId: string,
  code: string,
  platformUserId: string,
): Promise<Selectable<LinkCodes>> {
  const row = await transaction
    .selectFrom('link_codes')
    .selectAll()
    .select(sql<boolean>`expires_at <= clock_timestamp()`.as('expired'))
    .where('app_id', '=', appId)
    .where('code', '=', code)
    .forUpdate()
    .executeTakeFirst()
  if (!row) throw refused('There is no such link code.')
  if (row.expired) throw refused('It has expired. Make a new one with POST /link-codes.')
  if (row.uses >= row.max_uses) throw refused('It was used as often as it may be.')
  if (row.platform_user_id === platformUserId) throw refused('It was made for this very platform user.')
  return transaction
    .updateTable('link_codes')
    .set({ uses: row.uses + 1 })
    .where('app_id', '=', appId)
    .where('id', '=', row.id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

function activationOf(code: Selectable<LinkCodes>, platformUserId: string): NewEvent & { id: string } {
  const payload = {
    code: code.code,
    link_code_event_id: code.event_id,
    uses: code.uses,
    max_uses: code.max_uses,
    generated_by_platform_user_id: code.platform_user_id,
    activated_by_platform_user_id: platformUserId,
  }
  return toEvent('link_code.activation', payload, {
    id: newId(),
    originEventId: code.event_id,
    edges: [
      { type: 'generated_by', targetType: 'platform_user', targetId: code.platform_user_id },
      { type: 'activated_by', targetType: 'platform_user', targetId: platformUserId },
    ],
  })
}

const toLinkCode = (row: Selectable<LinkCodes>): LinkCodeBody => ({
  id: row.id,
  code: row.code,
  platformUserId: row.platform_user_id,
  expiryMinutes: row.expiry_minutes,
  expiresAt: row.expires_at.toISOString(),
  maxUses: row.max_uses,
  uses: row.uses,
  eventId: row.event_id,
  createdAt: row.created_at.toISOString(),
})
