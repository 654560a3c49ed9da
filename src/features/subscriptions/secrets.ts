import type { SealedColumn } from '../../platform/postgres/reseal.ts'
import type { SecretBox } from '../../platform/secrets.ts'
import type { HiddenSettings } from '../destinations/index.ts'

// What is sealed opens only in the row and the column that it was sealed for.

export const secretContext = (appId: string, subscriptionId: string): string => `${appId}/${subscriptionId}`

export const settingsContext = (appId: string, subscriptionId: string): string =>
  `${secretContext(appId, subscriptionId)}/settings`

export const oldSecretsContext = (appId: string, subscriptionId: string): string =>
  `${secretContext(appId, subscriptionId)}/old-secrets`

/** What a change of the encryption key seals anew. */
export const SEALED_SUBSCRIPTION_COLUMNS: readonly SealedColumn[] = [
  { table: 'subscriptions', column: 'sealed_secret', context: secretContext },
  { table: 'subscriptions', column: 'sealed_settings', context: settingsContext },
  { table: 'subscriptions', column: 'sealed_old_secrets', context: oldSecretsContext },
]

/** A secret that was replaced and still signs. */
export interface OldSecret {
  secret: string
  /** Milliseconds since the Unix epoch. */
  until: number
}

interface Sealed {
  app_id: string
  id: string
  sealed_secret: Buffer
  sealed_settings: Buffer | null
  sealed_old_secrets: Buffer | null
}

/** What is stored encrypted of a subscription, in the clear. */
export interface OpenSecrets {
  secret: string
  oldSecrets: OldSecret[]
  settings: HiddenSettings
}

export function openSecrets(box: SecretBox, row: Sealed): OpenSecrets {
  const { app_id: appId, id } = row
  return {
    secret: box.open(row.sealed_secret, secretContext(appId, id)),
    oldSecrets: row.sealed_old_secrets
      ? (JSON.parse(box.open(row.sealed_old_secrets, oldSecretsContext(appId, id))) as OldSecret[])
      : [],
    settings: openSettings(box, row),
  }
}

export const openSettings = (
  box: SecretBox,
  { app_id: appId, id, sealed_settings: sealed }: Pick<Sealed, 'app_id' | 'id' | 'sealed_settings'>,
): HiddenSettings =>
  sealed ? (JSON.parse(box.open(sealed, settingsContext(appId, id))) as HiddenSettings) : {}

/** Null when there is nothing to hide. */
export const sealSettings = (
  box: SecretBox,
  appId: string,
  id: string,
  settings: HiddenSettings,
): Buffer | null =>
  Object.keys(settings).length === 0 ? null : box.seal(JSON.stringify(settings), settingsContext(appId, id))
