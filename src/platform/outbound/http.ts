import type { IncomingHttpHeaders } from 'node:http'
import { lookup as dnsLookup } from 'node:dns'
import pLimit, { type LimitFunction } from 'p-limit'
import { createAddressCheck } from './addresses.ts'
import { CONNECTIONS_PER_ORIGIN, createAgent, type Lookup } from './agent.ts'
import { bodyText } from './body-text.ts'
import { OutboundError, toOutboundError } from './error.ts'
import { Exchange } from './exchange.ts'

export type { Lookup } from './agent.ts'
export { OutboundError, toOutboundError } from './error.ts'

/** How much of the headers is kept, as JSON. */
const MAX_HEADER_BYTES = 16_384

/** Of answers; of text as short as these there is nothing to be gained. */
const NOT_ENCODED = { 'accept-encoding': 'identity' }

export interface OutboundResponse {
  status: number
  /** Those that fit into 16 KiB as JSON. */
  headers: Record<string, string>
  /**
   * The beginning of the body, up to the given limit, as text without zero characters; decoded if it was encoded.
   * What is no text is told in brackets: `[1234 bytes of image/png that are no text]`.
   */
  body: string
}

export interface OutboundRequest {
  method: 'POST'
  /** Names are one in any case: see `mergeHeaders`. */
  headers: Record<string, string>
  body: string
  /** Limit over the whole exchange: waiting for a connection, name look-up, connection, request and response. */
  timeoutMs: number
  /** How much of the response body is read, 16 KiB at most; what is longer is cut off with the connection. */
  maxResponseBytes: number
}

export interface OutboundHttp {
  /**
   * Sends one request, and again only where it went out on a connection that had been used before and was closed
   * before anything of the answer came: once, at once, on a new one. Redirects are not followed.
   *
   * @throws OutboundError saying what went wrong in words fit for the owner of the URL
   */
  send(url: string, request: OutboundRequest): Promise<OutboundResponse>
  close(): Promise<void>
}

/**
 * Outbound HTTP for URLs that tenants chose. The address is checked when the connection is made and that
 * very address is connected to, so a name that resolves to something else later gains nothing.
 *
 * @param allowedCidrs ranges that may be reached although they are not public
 * @param lookup resolves names; as the system does unless given
 */
export function createOutboundHttp(
  allowedCidrs: readonly string[],
  lookup: Lookup = dnsLookup,
): OutboundHttp {
  const mayReach = createAddressCheck(allowedCidrs)
  const pool = createAgent(mayReach, lookup, { keepAlive: true })
  const fresh = createAgent(mayReach, lookup, { keepAlive: false })
  const limits = new Map<string, LimitFunction>()

  /**
   * Waits for one of the origin's connections. The agent would let requests wait as well, but those that are
   * given up meanwhile would each take a connection down with them.
   */
  async function inTurn<T>(origin: string, run: () => Promise<T>): Promise<T> {
    const limit = limits.get(origin) ?? pLimit(CONNECTIONS_PER_ORIGIN)
    limits.set(origin, limit)
    try {
      return await limit(run)
    } finally {
      if (limit.activeCount + limit.pendingCount === 0) limits.delete(origin)
    }
  }

  return {
    async send(url, { timeoutMs, maxResponseBytes, method, body, ...options }) {
      let timer: NodeJS.Timeout | undefined
      try {
        const { origin, pathname, search } = new URL(url)
        const exchange = new Exchange(maxResponseBytes)
        timer = setTimeout(
          () => exchange.fail(new OutboundError('timeout', `No complete response within ${timeoutMs} ms.`)),
          timeoutMs,
        )
        const headers = mergeHeaders(options.headers, NOT_ENCODED)
        const request = { method, origin, path: pathname + search, headers, body }
        inTurn(origin, () => exchange.run(pool, fresh, request)).catch(exchange.fail)
        const response = await exchange.response
        return {
          status: response.status,
          headers: flatten(response.headers),
          body: await bodyText(response, maxResponseBytes),
        }
      } catch (error) {
        throw toOutboundError(error)
      } finally {
        clearTimeout(timer)
      }
    },
    async close() {
      await Promise.all([pool.destroy(), fresh.destroy()])
    },
  }
}

/**
 * Puts headers together; of those with one name, in whatever case (RFC 9110, section 5.1), the last one counts.
 *
 * @param layers each has a name once
 */
export function mergeHeaders(...layers: readonly Record<string, string>[]): Record<string, string> {
  const byName = new Map<string, [name: string, value: string]>()
  for (const layer of layers)
    for (const header of Object.entries(layer)) byName.set(header[0].toLowerCase(), header)
  return Object.fromEntries(byName.values())
}

/** Refused credentials may be mended meanwhile, a rate passes, a server comes back: these are worth another try. */
const WORTH_RETRYING = new Set([401, 403, 404, 408, 425, 429])

/** Whether the same request may be answered otherwise later. @param status of an answer that was no success */
export const isWorthRetrying = (status: number): boolean => status >= 500 || WORTH_RETRYING.has(status)

/** Reads `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3), as milliseconds from now. */
export function retryAfterMs(headers: Record<string, string>, now: number): number | undefined {
  const value = headers['retry-after']
  if (value === undefined) return undefined
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

function flatten(headers: IncomingHttpHeaders): Record<string, string> {
  const all = Object.entries(headers).map(([name, values = '']): [string, string] => [
    name,
    typeof values === 'string' ? values : values.join(', '),
  ])
  // Far from the limit there is no need to measure: no character takes more than six bytes.
  const characters = all.reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  if (6 * (characters + all.length) < MAX_HEADER_BYTES) return Object.fromEntries(all)
  let size = 2
  const kept = all.filter(([name, value]) => {
    const added = Buffer.byteLength(JSON.stringify({ [name]: value }))
    if (size + added > MAX_HEADER_BYTES) return false
    size += added
    return true
  })
  return Object.fromEntries(kept)
}
