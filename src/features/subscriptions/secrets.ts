import type { SecretBox } from '../../platform/secrets/secret-box.ts'
import type { HiddenSettings } from '../destinations/index.ts'
import { oldSecretsContext, secretContext, settingsContext } from './secret-contexts.ts'

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
