import { sql, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { raiseVersion } from '../apps/index.ts'
import { notFound, Problem } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import { newId } from '../../platform/ids.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { Subscriptions } from '../../platform/postgres/tables.ts'
import type { SecretBox } from '../../platform/secrets.ts'
import { isSigningSecret, newSigningSecret } from '../../platform/signing.ts'
import { cancelOwed } from './cancel.ts'
import type { NewSubscription, Subscription, SubscriptionChange } from './schemas.ts'

type SubscriptionBody = Static<typeof Subscription>

/** A signing secret opens only in the row it was sealed for. */
export const secretContext = (appId: string, subscriptionId: string): string => `${appId}/${subscriptionId}`

/**
 * Subscriptions of an app. Every change raises the version in the app's log head, under the lock that orders
 * appends: so a subscription gets every event after its creation and none from before it.
 */
export function createSubscriptionService(db: Database, secrets: SecretBox) {
  const select = (appId: string) =>
    db
      .selectFrom('subscriptions')
      .selectAll()
      .where('app_id', '=', appId)
      .where('addressed', '=', false)
      .where('deleted_at', 'is', null)

  return {
    /** @returns the subscription with its signing secret, which is shown this once */
    async create(appId: string, input: Static<typeof NewSubscription>) {
      checkUrl(input.destination.url)
      const secret = input.secret ?? newSigningSecret()
      if (!isSigningSecret(secret)) {
        throw new Problem('validation-failed', 'Leave the secret out to have one made.', [
          { pointer: '/secret', detail: 'must be whsec_ and 24 to 64 bytes in base64' },
        ])
      }
      const id = newId()
      const row = await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'subscriptions_version')
        return transaction
          .insertInto('subscriptions')
          .values({
            app_id: appId,
            id,
            name: input.name,
            event_patterns: input.eventPatterns,
            destination: JSON.stringify(input.destination),
            sealed_secret: secrets.seal(secret, secretContext(appId, id)),
          })
          .returningAll()
          .executeTakeFirstOrThrow()
      })
      return { ...toSubscription(row), secret }
    },

    async list(appId: string, size: number, after: string | undefined): Promise<Page<SubscriptionBody>> {
      const rows = await select(appId)
        .$if(after !== undefined, (query) => query.where('id', '>', after as string))
        .orderBy('id')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toSubscription), size, (subscription) => subscription.id)
    },

    async get(appId: string, id: string): Promise<SubscriptionBody> {
      const row = await select(appId).where('id', '=', id).executeTakeFirst()
      if (!row) throw notFound('subscription')
      return toSubscription(row)
    },

    /** Deliveries that are pending already go to the new destination. */
    async change(
      appId: string,
      id: string,
      change: Static<typeof SubscriptionChange>,
    ): Promise<SubscriptionBody> {
      if (change.destination) checkUrl(change.destination.url)
      const row = await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'subscriptions_version')
        return transaction
          .updateTable('subscriptions')
          .set({
            updated_at: sql`now()`,
            ...(change.name !== undefined && { name: change.name }),
            ...(change.eventPatterns && { event_patterns: change.eventPatterns }),
            ...(change.destination && { destination: JSON.stringify(change.destination) }),
          })
          .where('app_id', '=', appId)
          .where('id', '=', id)
          .where('addressed', '=', false)
          .where('deleted_at', 'is', null)
          .returningAll()
          .executeTakeFirst()
      })
      if (!row) throw notFound('subscription')
      return toSubscription(row)
    },

    /** What it is still owed is cancelled, except for requests under way; those end as they end. */
    async remove(appId: string, id: string): Promise<void> {
      const removed = await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'subscriptions_version')
        return transaction
          .updateTable('subscriptions')
          .set({ deleted_at: sql`now()` })
          .where('app_id', '=', appId)
          .where('id', '=', id)
          .where('addressed', '=', false)
          .where('deleted_at', 'is', null)
          .executeTakeFirst()
      })
      if (removed.numUpdatedRows === 0n) throw notFound('subscription')
      await cancelOwed(db, appId, id)
    },
  }
}

export type SubscriptionService = ReturnType<typeof createSubscriptionService>

function checkUrl(url: string): void {
  const parsed = URL.parse(url)
  if (!parsed) throw new Problem('invalid-destination', 'destination.url is not a URL.')
  if (parsed.username !== '' || parsed.password !== '') {
    throw new Problem('invalid-destination', 'destination.url must not hold a user name or password.')
  }
}

const toSubscription = (row: Selectable<Subscriptions>): SubscriptionBody => ({
  id: row.id,
  name: row.name,
  eventPatterns: row.event_patterns,
  destination: row.destination as SubscriptionBody['destination'],
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
})
