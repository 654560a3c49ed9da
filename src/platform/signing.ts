import { createHmac, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'

/** A new signing secret in the form of the Standard Webhooks specification: `whsec_` and 32 random bytes. */
export const newSigningSecret = (): string => PREFIX + randomBytes(32).toString('base64')

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
