import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { createSigner, createVerifier, TokenError } from 'fast-jwt'
import type { Clock } from '../../../platform/time/clock.ts'
import type { Scope } from '../../../platform/http/auth.ts'
import { Problem } from '../../../platform/http/problems.ts'
import { Nullable } from '../../../platform/http/schemas.ts'
import type { SecretBox } from '../../../platform/secrets/secret-box.ts'
import type { KeyFinder } from '../../apps/index.ts'
import type { Grant } from '../contracts.ts'

/** Longer URLs are refused by some of what stands between a browser and this service. */
export const MAX_TOKEN_LENGTH = 4096
export const MAX_TTL_SECONDS = 3600
/** How far the clocks of two processes may be apart. */
const MAX_SKEW_MS = 5_000

const ALGORITHM = 'HS256'
const PURPOSE = 'observer tokens'
// Whatever else may be signed with keys of this service one day, none of it is an observer token.
const ISSUER = 'heliograph'
const AUDIENCE = 'heliograph/observation'
const TYPE = 'heliograph-observer+jwt'

/** What this version of the service puts into a token beside issuer and audience. */
const Claims = Type.Object({
  /** The API key. */
  sub: Type.String(),
  app: Type.String(),
  /** Both in seconds since the Unix epoch. */
  iat: Type.Integer(),
  exp: Type.Integer(),
  rooms: Type.Array(Type.String()),
  types: Type.Array(Type.String()),
  publish: Type.Array(Type.String()),
  member: Nullable(Type.Object({ id: Type.String(), info: Nullable(Type.String()) })),
})

export type EndingGrant = Grant & { expiresAt: number }

export interface ObserverTokens {
  /**
   * Makes a token that says what its holder may do.
   *
   * @returns until when it counts, in milliseconds since the Unix epoch: `grant.expiresAt` in whole seconds
   * @throws Problem `validation-failed` when it would be too long
   */
  issue(grant: EndingGrant): { token: string; expiresAt: number }
  /**
   * @returns what the holder may do, until when
   * @throws Problem `unauthorized` that says whether the token is none of this service, is over, or has lost its key or
   *   that key its scopes
   */
  verify(token: string): Promise<EndingGrant>
}

interface TokenOptions {
  secrets: SecretBox
  keys: KeyFinder
  clock: Clock
}

/**
 * Observer tokens: JSON Web Tokens that only this service makes and reads. Nothing of them is stored; they count for
 * as long as the API key that they were made with, and are read with an old encryption key too.
 */
export function createObserverTokens({ secrets, keys, clock }: TokenOptions): ObserverTokens {
  const [current, ...old] = secrets.deriveKeys(PURPOSE)
  if (!current) throw new Error('There is no key to sign observer tokens with.')
  const bytesById = new Map([...old, current].map(({ id, key }) => [id, key]))

  const sign = createSigner({
    key: current.key,
    algorithm: ALGORITHM,
    kid: current.id,
    header: { alg: ALGORITHM, typ: TYPE },
    iss: ISSUER,
    aud: AUDIENCE,
  })
  const checkSignature = createVerifier({
    async key({ header }: { header: { kid?: unknown } }) {
      const bytes = bytesById.get(String(header.kid))
      if (!bytes) throw new TokenError(TokenError.codes.invalidKey)
      return bytes
    },
    algorithms: [ALGORITHM],
    checkTyp: TYPE,
    allowedIss: ISSUER,
    allowedAud: AUDIENCE,
    requiredClaims: ['iss', 'aud'],
    // Times are looked at below, by the clock that everything else here goes by.
    ignoreExpiration: true,
    ignoreNotBefore: true,
  })

  async function read(token: string): Promise<Static<typeof Claims>> {
    if (token.length > MAX_TOKEN_LENGTH) throw unknownToken()
    let claims: unknown
    try {
      claims = await checkSignature(token)
    } catch (error) {
      if (error instanceof TokenError) throw unknownToken()
      throw error
    }
    if (!Value.Check(Claims, claims)) throw unknownToken()
    return claims
  }

  return {
    issue({ appId, keyId, rooms, types, publish, member, expiresAt }) {
      const exp = Math.floor(expiresAt / 1000)
      const claims: Static<typeof Claims> = {
        sub: keyId,
        app: appId,
        iat: Math.floor(clock.now() / 1000),
        exp,
        rooms: [...rooms],
        types: [...types],
        publish: [...publish],
        member,
      }
      const token = sign(claims)
      if (token.length > MAX_TOKEN_LENGTH) {
        throw new Problem(
          'validation-failed',
          `The token would take ${token.length} characters; ${MAX_TOKEN_LENGTH} fit into a URL. Use fewer or wider patterns, or less info.`,
        )
      }
      return { token, expiresAt: exp * 1000 }
    },

    async verify(token) {
      const { sub: keyId, app: appId, exp, rooms, types, publish, member } = await read(token)
      const expiresAt = exp * 1000
      const leftMs = expiresAt - clock.now()
      if (leftMs <= 0) throw new Problem('unauthorized', 'The observer token has expired; get a new one.')
      // A process whose clock was far ahead made it: it would count for much longer than was asked for.
      if (leftMs > MAX_TTL_SECONDS * 1000 + MAX_SKEW_MS) throw unknownToken()
      const key = await keys.findById(keyId)
      if (!key || key.appId !== appId) {
        throw new Problem('unauthorized', 'The API key that the observer token was made with was revoked.')
      }
      const scopes: Scope[] = ['observation:tokens']
      if (publish.length > 0) scopes.push('observation:publish')
      const missing = scopes.find((scope) => !key.scopes.has(scope))
      if (missing) {
        throw new Problem(
          'unauthorized',
          `The API key that the observer token was made with no longer has the scope "${missing}".`,
        )
      }
      return { appId, keyId, rooms, types, publish, member, expiresAt }
    },
  }
}

const unknownToken = (): Problem =>
  new Problem('unauthorized', 'The observer token is not one of this service, or was changed.')
