import { sql } from 'kysely'
import { raiseVersion } from '../apps/index.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { SecretBox } from '../../platform/secrets/secret-box.ts'
import { secretContext } from './secret-contexts.ts'

/** A subscription that gets only the events addressed to it, for a feature that answers for it. */
export interface AddressedSubscription {
  name: string
  /** Its `type` names the destination. */
  destination: { type: string }
  secret: string
}

/** Adds one in a transaction, under the lock that orders the app's appends. */
export async function insertAddressed(
  transaction: Database,
  secrets: SecretBox,
  appId: string,
  id: string,
  { name, destination, secret }: AddressedSubscription,
): Promise<void> {
  await raiseVersion(transaction, appId, 'subscriptions_version')
  await transaction
    .insertInto('subscriptions')
    .values({
      app_id: appId,
      id,
      name,
      addressed: true,
      event_patterns: [],
      destination: JSON.stringify(destination),
      sealed_secret: secrets.seal(secret, secretContext(appId, id)),
    })
    .execute()
  await transaction.insertInto('subscription_states').values({ app_id: appId, subscription_id: id }).execute()
}

/** Changes one in a transaction. What is owed already goes to the new destination. */
export async function updateAddressed(
  transaction: Database,
  secrets: SecretBox,
  appId: string,
  id: string,
  { name, destination, secret }: Partial<AddressedSubscription>,
): Promise<void> {
  await transaction
    .updateTable('subscriptions')
    .set({
      updated_at: sql`clock_timestamp()`,
      ...(name !== undefined && { name }),
      ...(destination && { destination: JSON.stringify(destination) }),
      ...(secret !== undefined && { sealed_secret: secrets.seal(secret, secretContext(appId, id)) }),
    })
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .execute()
}

/** Ends one in a transaction; `cancelOwed` follows it. */
export async function endAddressed(transaction: Database, appId: string, id: string): Promise<void> {
  await raiseVersion(transaction, appId, 'subscriptions_version')
  await transaction
    .updateTable('subscriptions')
    .set({ deleted_at: sql`now()` })
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .execute()
}
