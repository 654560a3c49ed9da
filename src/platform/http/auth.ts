import type { FastifyInstance, FastifyRequest } from 'fastify'
import { sameDigest, sha256 } from '../secrets/secret-box.ts'
import { Problem } from './problems.ts'

/** A right that a key of an app can have, such as `events:read`: the features declare them. */
export type Scope = `${string}:${string}`

/** Whoever holds a key of an app. */
export interface AppKey {
  appId: string
  keyId: string
  scopes: ReadonlySet<string>
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Who may call the route; `any-key` looks at scopes itself, `observer` is for keys with `observation:read` and for
     * observer tokens. A route that does not say is refused when the server is built.
     */
    access?: 'public' | 'admin' | 'any-key' | 'observer' | Scope
    /** Requests without the header pass too, with `appKey` null; the route says whose they are. */
    keyOptional?: boolean
  }
  interface FastifyRequest {
    appKey: AppKey | null
  }
}

export interface AuthOptions {
  /** Every right that a key can have: a route that asks for another is refused when the server is built. */
  scopes: readonly string[]
  /** The admin key, or undefined when administration over HTTP is off. */
  adminApiKey: string | undefined
  /** @returns undefined for a key that does not exist or was revoked */
  findAppKey(token: string): Promise<AppKey | undefined>
  /** Finds out what an observer may do and keeps it with the request. @throws Problem for whoever may not observe */
  authenticateObserver(request: FastifyRequest): Promise<void>
}

/** Checks `Authorization: Bearer <key>` before anything else of a request is looked at. */
export function registerAuth(app: FastifyInstance, options: AuthOptions): void {
  const { adminApiKey } = options
  const adminDigest = adminApiKey === undefined ? undefined : sha256(adminApiKey)
  app.decorateRequest('appKey', null)
  app.addHook('onRoute', (route) => {
    const access = route.config?.access
    const name = `${String(route.method)} ${route.url}`
    if (access === undefined) throw new Error(`${name} does not say who may call it (config.access).`)
    if (access.includes(':') && !options.scopes.includes(access))
      throw new Error(`${name}: no feature declares the scope "${access}".`)
  })
  app.addHook('onRequest', async (request) => {
    const { access, keyOptional } = request.routeOptions.config
    if (access === 'public' || access === undefined) return // undefined: no route was found
    if (access === 'observer') return options.authenticateObserver(request)
    if (keyOptional && request.headers.authorization === undefined) return
    const token = bearerToken(request)
    if (token === undefined) {
      throw new Problem('unauthorized', 'Send the header "Authorization: Bearer <API key>".')
    }
    if (access === 'admin') {
      if (adminDigest && sameDigest(sha256(token), adminDigest)) return
      throw new Problem(
        'unauthorized',
        adminDigest ? 'This needs the admin key.' : 'Administration is off: set ADMIN_API_KEY and restart.',
      )
    }
    const key = await options.findAppKey(token)
    if (!key) throw unknownKey()
    if (access !== 'any-key' && !key.scopes.has(access)) throw missingScope(access)
    request.appKey = key
  })
}

export const unknownKey = (): Problem =>
  new Problem('unauthorized', 'The API key is not known or was revoked.')

export const missingScope = (scope: Scope): Problem =>
  new Problem('forbidden', `The API key needs the scope "${scope}".`)

/** What follows `Bearer` in the header `Authorization`; undefined without it, or when it is of another scheme. */
export function bearerToken(request: FastifyRequest): string | undefined {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ')
  return scheme?.toLowerCase() === 'bearer' && token ? token : undefined
}

/** The key that the request carries. Only for routes whose access is a scope. */
export function keyOf(request: FastifyRequest): AppKey {
  if (!request.appKey) throw new Error('This route does not require an app key.')
  return request.appKey
}

/** The app of that key. */
export const appIdOf = (request: FastifyRequest): string => keyOf(request).appId
