import { createCipheriv, createDecipheriv, createHash, randomBytes, timingSafeEqual } from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

/** Encrypts what is stored but must be read back, such as signing secrets (AES-256-GCM). */
export interface SecretBox {
  /** Identifies the key without telling it. */
  readonly fingerprint: string
  /**
   * @param context what the secret belongs to; opening it needs the same words, so that a stored secret
   *   cannot be moved to another row
   */
  seal(plain: string, context: string): Buffer
  /** @throws Error when the key or the context is another, or the bytes were changed */
  open(sealed: Buffer, context: string): string
}

/** @param key 32 bytes in base64 */
export function createSecretBox(key: string): SecretBox {
  const secretKey = Buffer.from(key, 'base64')
  return {
    fingerprint: createHash('sha256')
      .update('heliograph key fingerprint')
      .update(secretKey)
      .digest('hex')
      .slice(0, 16),
    seal(plain, context) {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv(ALGORITHM, secretKey, iv).setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), body])
    },
    open(sealed, context) {
      const decipher = createDecipheriv(ALGORITHM, secretKey, sealed.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      })
        .setAAD(Buffer.from(context))
        .setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
      return Buffer.concat([
        decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)),
        decipher.final(),
      ]).toString('utf8')
    },
  }
}

/** SHA-256 of a text: what is stored of a key that is only ever compared. */
export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Compares two digests in a time that does not depend on where they differ. */
export const sameDigest = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b)

/** A random secret of 32 bytes, URL-safe. */
export const randomSecret = (): string => randomBytes(32).toString('base64url')
