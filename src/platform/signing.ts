import { createHmac, randomBytes } from 'node:crypto'
import { sameDigest } from './secrets.ts'

const PREFIX = 'whsec_'
/** A request that was signed longer ago, or later than now, may have been sent before by somebody else. */
const TOLERANCE_SECONDS = 300

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
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': `v1,${signatureOf(secret, `${id}.${seconds}.${body}`).toString('base64')}`,
  }
}

/** Whether those headers of a request are genuine: one of its `v1` signatures fits and it is not old. */
export function verifySigned(
  secret: string,
  request: { id: string; timestamp: string; signatures: string; body: string; now: number },
): boolean {
  const { id, timestamp, signatures, body, now } = request
  if (!/^\d{1,12}$/.test(timestamp)) return false
  if (Math.abs(now / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return false
  const expected = signatureOf(secret, `${id}.${timestamp}.${body}`)
  return signatures
    .split(' ')
    .filter((signature) => signature.startsWith('v1,'))
    .some((signature) => sameDigest(expected, Buffer.from(signature.slice(3), 'base64')))
}

const signatureOf = (secret: string, text: string): Buffer =>
  createHmac('sha256', Buffer.from(secret.slice(PREFIX.length), 'base64'))
    .update(text)
    .digest()
