// What is sealed opens only in the row and the column that it was sealed for.

export const secretContext = (appId: string, subscriptionId: string): string => `${appId}/${subscriptionId}`

export const settingsContext = (appId: string, subscriptionId: string): string =>
  `${secretContext(appId, subscriptionId)}/settings`

export const oldSecretsContext = (appId: string, subscriptionId: string): string =>
  `${secretContext(appId, subscriptionId)}/old-secrets`
