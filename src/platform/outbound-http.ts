import { lookup as dnsLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { Agent, buildConnector, request } from 'undici'

/** Address ranges that are not the public internet: outbound requests do not go there unless allowed. */
const NOT_PUBLIC = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/96',
  '::ffff:0:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]

/** Connections kept open to one origin. */
const CONNECTIONS_PER_ORIGIN = 64
const KEEP_ALIVE_MS = 30_000

export interface OutboundResponse {
  status: number
  headers: Record<string, string>
  /** The beginning of the body, up to the given limit, as UTF-8 text. */
  body: string
}

export interface OutboundRequest {
  method: 'POST'
  headers: Record<string, string>
  body: string
  /** Limit over the whole exchange: name look-up, connection, request and response. */
  timeoutMs: number
  /** How much of the response body is read; what is longer is cut off with the connection. */
  maxResponseBytes: number
}

export interface OutboundHttp {
  /**
   * Sends one request. Redirects are not followed.
   *
   * @throws OutboundError saying what went wrong in words fit for the owner of the URL
   */
  send(url: string, request: OutboundRequest): Promise<OutboundResponse>
  close(): Promise<void>
}

/** A request that got no response. `code` is stable; the message is for a person. */
export class OutboundError extends Error {
  override name = 'OutboundError'
  readonly code: 'address-refused' | 'timeout' | 'connection-failed'

  constructor(code: OutboundError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Checks a comma-separated list of address ranges.
 *
 * @throws Error naming the part that is not a range
 */
export function parseCidrs(text: string): string[] {
  const ranges = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
  for (const range of ranges) {
    const [address = '', prefix = '', ...more] = range.split('/')
    const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1
    if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits || more.length > 0) {
      throw new Error(`"${range}" is not an address range: write for example 10.0.0.0/8 or fd00::/8.`)
    }
  }
  return ranges
}

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/')
    list.addSubnet(address, Number(prefix), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

/**
 * Outbound HTTP for URLs that tenants chose. The address is checked when the connection is made and that
 * very address is connected to, so a name that resolves to something else later gains nothing.
 *
 * @param allowedCidrs ranges that may be reached although they are not public
 */
export function createOutboundHttp(allowedCidrs: readonly string[]): OutboundHttp {
  const refused = blockList(NOT_PUBLIC)
  const allowed = blockList(allowedCidrs)

  /** `::ffff:a.b.c.d` is judged as `a.b.c.d`, by BlockList itself. */
  function mayReach(address: string): boolean {
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    return allowed.check(address, family) || !refused.check(address, family)
  }

  const refusal = (host: string, address: string): OutboundError =>
    new OutboundError(
      'address-refused',
      host === address
        ? `${address} is not a public address.`
        : `${host} resolves to ${address}, which is not a public address.`,
    )

  const checkedLookup: LookupFunction = (host, options, callback) => {
    dnsLookup(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      const reachable = addresses.filter(({ address }) => mayReach(address))
      const [first] = addresses
      if (reachable.length === 0) return callback(refusal(host, first?.address ?? 'nothing'), [])
      if (options.all) callback(null, reachable)
      else callback(null, reachable[0]?.address ?? '', reachable[0]?.family)
    })
  }

  const connector = buildConnector({ lookup: checkedLookup, timeout: 10_000 })
  const agent = new Agent({
    connections: CONNECTIONS_PER_ORIGIN,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: 16_384,
    connect(options, callback) {
      const host = options.hostname.replace(/^\[(.*)\]$/, '$1')
      if (isIP(host) !== 0 && !mayReach(host)) callback(refusal(host, host), null)
      else connector(options, callback)
    },
  })

  return {
    async send(url, { method, headers, body, timeoutMs, maxResponseBytes }) {
      const signal = AbortSignal.timeout(timeoutMs)
      try {
        const response = await request(url, {
          dispatcher: agent,
          method,
          headers,
          body,
          signal,
          headersTimeout: timeoutMs,
          bodyTimeout: timeoutMs,
        })
        const text = await readBeginning(response.body, maxResponseBytes)
        return { status: response.statusCode, headers: flatten(response.headers), body: text }
      } catch (error) {
        throw toOutboundError(error, timeoutMs)
      }
    },
    close: () => agent.destroy(),
  }
}

async function readBeginning(body: AsyncIterable<Buffer>, limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= limit) break // leaving the loop ends the exchange and closes the connection
  }
  return Buffer.concat(chunks).subarray(0, limit).toString('utf8')
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]))
}

function toOutboundError(error: unknown, timeoutMs: number): OutboundError {
  if (error instanceof OutboundError) return error
  if (!(error instanceof Error)) return new OutboundError('connection-failed', String(error))
  if (error.cause instanceof OutboundError) return error.cause
  if (
    /Timeout/.test(error.name) ||
    /TIMEOUT|UND_ERR_ABORTED/.test((error as NodeJS.ErrnoException).code ?? '')
  ) {
    return new OutboundError('timeout', `No complete response within ${timeoutMs} ms.`, { cause: error })
  }
  return new OutboundError('connection-failed', error.message || error.name, { cause: error })
}
