import { createHmac, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'

/** A new signing secret in the form of the Standard Webhooks specification: `whsec_` and 32 random bytes. */
export const newSigningSecret = (): string => PREFIX + randomBytes(32).toString('base64')

/** Whether a text is a secret that any Standard Webhooks library takes: 24 to 64 bytes in proper base64. */
export function isSigningSecret(text: string): boolean {
  const encoded = text.slice(PREFIX.length)
  const key = Buffer.from(encoded, 'base64')
  return text.startsWith(PREFIX) && key.toString('base64') === encoded && key.length >= 24 && key.length <= 64
}

/**
 * The three headers of the Standard Webhooks specification, signed with HMAC-SHA256 (`v1`).
 *
 * @param secret as made by `newSigningSecret`
 * @param id the same for every attempt to send the same message
 * @param seconds Unix time of this attempt, in seconds
 * @param body the exact bytes that are sent
 */
export function signedHeaders(
  secret: string,
  id: string,
  seconds: number,
  body: string,
): Record<string, string> {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': `v1,${signature}`,
  }
}
