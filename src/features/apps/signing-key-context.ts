/** What a private key is sealed for: it opens in the row of that key alone. */
export const keyContext = (appId: string, keyId: string): string => `${appId}/signing-keys/${keyId}`
