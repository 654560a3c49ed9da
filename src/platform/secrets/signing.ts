import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { sameDigest } from './secret-box.ts'

const PREFIX = 'whsec_'
const PUBLIC_PREFIX = 'whpk_'
const PRIVATE_PREFIX = 'whsk_'
/** A request that was signed longer ago, or later than now, may have been sent before by somebody else. */
const TOLERANCE_SECONDS = 300

/** What stands before the 32 bytes of an ed25519 private key in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')
const SEED_BYTES = 32

/** Making the key of an HMAC takes several times as long as the HMAC of a usual body. */
const hmacKeys = new LRUCache<string, KeyObject>({ max: 10_000 })

/** A new signing secret in the form of the Standard Webhooks specification: `whsec_` and 32 random bytes. */
export const newSigningSecret = (): string => PREFIX + randomBytes(32).toString('base64')

/** Characters of a secret that somebody chose. */
export const SECRET_LENGTH = { least: 8, most: 256 }

/**
 * What keeps a text from being a signing secret; undefined for a good one. One that begins with `whsec_` is
 * base64 in either alphabet, padded or not; of any other text the UTF-8 bytes are the key.
 */
export function faultOfSecret(text: string): string | undefined {
  const { least, most } = SECRET_LENGTH
  const length = Array.from(text).length
  if (length < least || length > most) return `must have ${least} to ${most} characters`
  if (!text.isWellFormed()) return 'must not hold half of a surrogate pair'
  if (!text.startsWith(PREFIX) || isBase64(text.slice(PREFIX.length))) return undefined
  return 'begins with whsec_, so what follows must be base64 (padded or not, of either alphabet)'
}

function isBase64(text: string): boolean {
  const [, digits = '', padding = ''] = /^([A-Za-z0-9+/_-]+)(={0,2})$/.exec(text) ?? []
  const over = digits.length % 4
  return digits !== '' && over !== 1 && (padding === '' || over + padding.length === 4)
}

/** With what a request is signed: at least one secret or key. */
export interface Signers {
  /** As `faultOfSecret` takes them, the newest first: one `v1` signature (HMAC-SHA256) each. */
  secrets: readonly string[]
  /** ed25519 private keys, the newest first: one `v1a` signature each. */
  keys?: readonly KeyObject[]
}

/**
 * The three headers of the Standard Webhooks specification. A receiver takes the request when one of the
 * signatures fits, so that secrets and keys can be replaced while requests are under way.
 *
 * @param id the same for every attempt to send the same message
 * @param seconds Unix time of this attempt, in seconds
 * @param body the exact bytes that are sent
 */
export function signedHeaders(
  { secrets, keys = [] }: Signers,
  id: string,
  seconds: number,
  body: string,
): Record<string, string> {
  if (secrets.length + keys.length === 0) throw new Error('There is nothing to sign with.')
  const content = Buffer.from(`${id}.${seconds}.${body}`)
  const signatures = [
    ...secrets.map((secret) => `v1,${hmacOf(secret, content).toString('base64')}`),
    ...keys.map((key) => `v1a,${sign(null, content, key).toString('base64')}`),
  ]
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures.join(' '),
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
  const expected = hmacOf(secret, Buffer.from(`${id}.${timestamp}.${body}`))
  return signatures
    .split(' ')
    .filter((signature) => signature.startsWith('v1,'))
    .some((signature) => sameDigest(expected, Buffer.from(signature.slice(3), 'base64')))
}

function hmacOf(secret: string, content: Buffer): Buffer {
  let key = hmacKeys.get(secret)
  if (!key) hmacKeys.set(secret, (key = keyOf(secret)))
  return createHmac('sha256', key).update(content).digest()
}

const keyOf = (secret: string): KeyObject =>
  secret.startsWith(PREFIX)
    ? createSecretKey(secret.slice(PREFIX.length), 'base64')
    : createSecretKey(secret, 'utf8')

/** A new ed25519 private key. Its public half: `publicBytes`. */
export const newSigningKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey

/** The 32 bytes of a private key's public half. */
export const publicBytes = (key: KeyObject): Buffer =>
  Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x ?? '', 'base64url')

/** A public key as text in the form of the specification. @param publicKey its 32 bytes */
export const publicKeyText = (publicKey: Buffer): string => PUBLIC_PREFIX + publicKey.toString('base64')

/** A private key as text: `whsk_` and, in base64, its seed and its public key, 32 bytes each. */
export function privateKeyText(key: KeyObject): string {
  const seed = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url')
  return PRIVATE_PREFIX + Buffer.concat([seed, publicBytes(key)]).toString('base64')
}

/**
 * Reads what `privateKeyText` wrote; the seed alone will do, as in some libraries.
 *
 * @throws Error when it is no ed25519 key, or its halves do not belong together
 */
export function readPrivateKey(text: string): KeyObject {
  const bytes = Buffer.from(text.slice(PRIVATE_PREFIX.length), 'base64')
  const seed = bytes.subarray(0, SEED_BYTES)
  const given = bytes.subarray(SEED_BYTES)
  if (!text.startsWith(PRIVATE_PREFIX) || seed.length !== SEED_BYTES) {
    throw new Error('This is not an ed25519 private key: whsk_ and 32 or 64 bytes in base64.')
  }
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
  if (given.length > 0 && !given.equals(publicBytes(key))) {
    throw new Error('The two halves of this ed25519 key do not belong together.')
  }
  return key
}

/** A public ed25519 key as RFC 8037 has it. */
export interface SigningJwk {
  kty: 'OKP'
  crv: 'Ed25519'
  alg: 'EdDSA'
  use: 'sig'
  kid: string
  x: string
}

/** @param publicKey its 32 bytes */
export const signingJwk = (kid: string, publicKey: Buffer): SigningJwk => ({
  kty: 'OKP',
  crv: 'Ed25519',
  alg: 'EdDSA',
  use: 'sig',
  kid,
  x: publicKey.toString('base64url'),
})
