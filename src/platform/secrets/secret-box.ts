import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hash,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'
const KEY_ID_BYTES = 4
const IV_BYTES = 12
const TAG_BYTES = 16
const DERIVED_KEY_BYTES = 32
const DERIVED_ID_BYTES = 8

/** Encrypts what is stored but must be read back, such as signing secrets (AES-256-GCM). */
export interface SecretBox {
  /** Identifies the key that seals, without telling it. */
  readonly fingerprint: string
  /** Those of all keys that open, that one first. */
  readonly fingerprints: readonly string[]
  /**
   * @param context what the secret belongs to; opening it needs the same words, so that a stored secret
   *   cannot be moved to another row
   */
  seal(plain: string, context: string): Buffer
  /** @throws Error when it was sealed with a key that is not here or in another context, or was changed */
  open(sealed: Buffer, context: string): string
  /**
   * Seals anew what was sealed with an old key, or before sealed values named their key.
   *
   * @returns undefined when it is as `seal` would make it
   * @throws Error as `open` does
   */
  reseal(sealed: Buffer, context: string): Buffer | undefined
  /**
   * Keys for something else than sealing, one of each key (HKDF, RFC 5869): the current one's first; those of old
   * keys are only to verify with.
   *
   * @param purpose keys of different purposes have nothing in common
   */
  deriveKeys(purpose: string): DerivedKey[]
}

export interface DerivedKey {
  /** Names the key to everybody, and tells nothing of it. */
  id: string
  /** 32 bytes. */
  key: Buffer
}

interface Key {
  fingerprint: string
  /** Stands before what it sealed. */
  id: Buffer
  bytes: Buffer
}

/**
 * A sealed value is the id of its key, a nonce, a tag and the encrypted text. Those of the first versions have
 * no id; they are opened by trying each key, which the tag makes safe.
 *
 * @param key 32 bytes in base64; it seals
 * @param oldKeys such keys that only open
 */
export function createSecretBox(key: string, oldKeys: readonly string[] = []): SecretBox {
  const current = toKey(key)
  const keys = [current, ...oldKeys.map(toKey)]

  const seal = (plain: string, context: string): Buffer => {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(ALGORITHM, current.bytes, iv).setAAD(Buffer.from(context))
    const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
    return Buffer.concat([current.id, iv, cipher.getAuthTag(), body])
  }

  /** Which key opened it, and whether it named that key. */
  function unseal(sealed: Buffer, context: string): { plain: string; by: Key; named: boolean } {
    const id = sealed.subarray(0, KEY_ID_BYTES)
    for (const by of keys.filter((candidate) => candidate.id.equals(id))) {
      const plain = decrypt(by.bytes, sealed.subarray(KEY_ID_BYTES), context)
      if (plain !== undefined) return { plain, by, named: true }
    }
    for (const by of keys) {
      const plain = decrypt(by.bytes, sealed, context)
      if (plain !== undefined) return { plain, by, named: false }
    }
    throw new Error('A stored secret was sealed with another key or for another row, or was changed since.')
  }

  return {
    fingerprint: current.fingerprint,
    fingerprints: keys.map(({ fingerprint }) => fingerprint),
    seal,
    open: (sealed, context) => unseal(sealed, context).plain,
    reseal(sealed, context) {
      const { plain, by, named } = unseal(sealed, context)
      return named && by.fingerprint === current.fingerprint ? undefined : seal(plain, context)
    },
    deriveKeys: (purpose) => keys.map(({ bytes }) => deriveKey(bytes, purpose)),
  }
}

function toKey(text: string): Key {
  const bytes = Buffer.from(text, 'base64')
  const digest = createHash('sha256').update('heliograph key fingerprint').update(bytes).digest()
  return { fingerprint: digest.toString('hex').slice(0, 16), id: digest.subarray(0, KEY_ID_BYTES), bytes }
}

function deriveKey(bytes: Buffer, purpose: string): DerivedKey {
  const length = DERIVED_KEY_BYTES + DERIVED_ID_BYTES
  const derived = Buffer.from(hkdfSync('sha256', bytes, '', `heliograph ${purpose}`, length))
  return {
    id: derived.subarray(DERIVED_KEY_BYTES).toString('hex'),
    key: derived.subarray(0, DERIVED_KEY_BYTES),
  }
}

/** @returns undefined when the key or the context is another, or the bytes are not what was encrypted */
function decrypt(key: Buffer, sealed: Buffer, context: string): string | undefined {
  const body = sealed.subarray(IV_BYTES + TAG_BYTES)
  if (sealed.length < IV_BYTES + TAG_BYTES) return undefined
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(Buffer.from(context))
    .setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
  const plain = decipher.update(body)
  try {
    return Buffer.concat([plain, decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

/** SHA-256 of a text: what is stored of a key that is only ever compared. */
export const sha256 = (text: string): Buffer => hash('sha256', text, 'buffer')

/** Compares two digests, or two secrets of one length, in a time that does not depend on where they differ. */
export const sameDigest = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b)

/** A random secret of 32 bytes, URL-safe. */
export const randomSecret = (): string => randomBytes(32).toString('base64url')
