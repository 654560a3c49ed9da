import type { FastifyRequest } from 'fastify'
import { bearerToken, missingScope, unknownKey, type AppKey } from '../../../platform/http/auth.ts'
import type { createOriginCheck } from '../../../platform/http/origins.ts'
import { Problem } from '../../../platform/http/problems.ts'
import type { KeyFinder } from '../../apps/index.ts'
import type { Grant } from '../contracts.ts'
import type { ObserverTokens } from './tokens.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What the observer may do; only of routes whose access is `observer`. */
    grant?: Grant
  }
}

const KEY_PREFIX = 'hg_'
/** A part of a value that is a key of an app or a generated admin key; a room may well be called `hg_x`. */
const KEY_IN_VALUE = /hg_[0-9a-f]{16}_|hgadmin_[\w-]{20}/
/** Parameters in which other services take keys. */
const KEY_PARAMETERS = new Set(['key', 'apikey', 'api_key', 'api-key', 'access_token'])

interface AuthenticationOptions {
  keys: KeyFinder
  tokens: ObserverTokens
  isAllowedOrigin: ReturnType<typeof createOriginCheck>
}

/**
 * Finds out what whoever asks to observe may do: by a key or an observer token in `Authorization`, or by an observer
 * token in `?token=`. The returned function throws
 *
 * - `unauthorized` without a credential that counts, and for whatever may be a key in a URL
 * - `forbidden` for a key that lacks its scope
 * - `origin-not-allowed` for a page that may not observe
 * - `validation-failed` for two credentials
 */
export function createObserverAuthentication({ keys, tokens, isAllowedOrigin }: AuthenticationOptions) {
  /** One grant for all observers with a key: it is kept for as long as any of them is there. */
  const grants = new WeakMap<AppKey, Grant>()

  async function grantOfKey(apiKey: string): Promise<Grant> {
    const key = await keys.find(apiKey)
    if (!key) throw unknownKey()
    if (!key.scopes.has('observation:read')) throw missingScope('observation:read')
    let grant = grants.get(key)
    if (!grant) grants.set(key, (grant = grantTo(key)))
    return grant
  }

  return async function authenticateObserver(request: FastifyRequest): Promise<Grant> {
    const query = request.query as Record<string, string | string[]>
    refuseKeysInUrl(query)
    if (!isAllowedOrigin(request.headers.origin, request.host)) {
      throw new Problem(
        'origin-not-allowed',
        'Add the origin of the page to ALLOWED_ORIGINS to let it observe.',
      )
    }
    const bearer = bearerToken(request)
    const { token } = query
    if (Array.isArray(token) || (bearer !== undefined && token !== undefined)) {
      throw new Problem(
        'validation-failed',
        'Send one credential: a header "Authorization", or one "?token=".',
      )
    }
    if (bearer?.startsWith(KEY_PREFIX)) return grantOfKey(bearer)
    const observerToken = bearer ?? token
    if (observerToken === undefined) {
      throw new Problem(
        'unauthorized',
        'Send the header "Authorization: Bearer <API key or observer token>", or "?token=<observer token>".',
      )
    }
    return tokens.verify(observerToken)
  }
}

const grantTo = ({ appId, keyId, scopes }: AppKey): Grant => ({
  appId,
  keyId,
  rooms: ['**'],
  types: ['*'],
  publish: scopes.has('observation:publish') ? ['**'] : [],
  member: null,
  expiresAt: undefined,
})

/** What is in a URL is in logs and histories. @throws Problem without a look at whether it is a key that counts */
function refuseKeysInUrl(query: Record<string, string | string[]>): void {
  const isSuspect = ([name, value]: [string, string | string[]]): boolean =>
    KEY_PARAMETERS.has(name.toLowerCase()) ||
    [value]
      .flat()
      .some((text) => KEY_IN_VALUE.test(text) || (name === 'token' && text.startsWith(KEY_PREFIX)))
  if (!Object.entries(query).some(isSuspect)) return
  throw new Problem(
    'unauthorized',
    'An API key is never taken in a URL, where it may have been logged: revoke it. Send a new one in the header "Authorization", or an observer token (POST /observation/tokens) as "?token=".',
  )
}

/** What the observer who sent the request may do. Only for routes whose access is `observer`. */
export function grantOf(request: FastifyRequest): Grant {
  if (!request.grant) throw new Error('This route is not for observers.')
  return request.grant
}
