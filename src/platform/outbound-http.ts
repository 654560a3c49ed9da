import type { IncomingHttpHeaders } from 'node:http'
import { lookup as dnsLookup, type LookupAddress, type LookupAllOptions } from 'node:dns'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import pLimit, { type LimitFunction } from 'p-limit'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { createAddressCheck } from './addresses.ts'
import { OutboundError, toOutboundError } from './outbound-error.ts'

export { OutboundError, toOutboundError } from './outbound-error.ts'

/** Connections open to one origin; several subscriptions may share it. */
const CONNECTIONS_PER_ORIGIN = 512
const KEEP_ALIVE_MS = 30_000

/** Over the look-up of the name, the connection and the TLS handshake. */
const CONNECT_MS = 10_000

/** How much of the headers is kept, as JSON. */
const MAX_HEADER_BYTES = 16_384

/** What is received for one request, in all: headers, interim responses, chunk extensions and so on. */
const MAX_RECEIVED_BYTES = 131_072

export interface OutboundResponse {
  status: number
  /** Those that fit into 16 KiB as JSON. */
  headers: Record<string, string>
  /** The beginning of the body, up to the given limit, as UTF-8 text without zero bytes. */
  body: string
}

export interface OutboundRequest {
  method: 'POST'
  headers: Record<string, string>
  body: string
  /** Limit over the whole exchange: waiting for a connection, name look-up, connection, request and response. */
  timeoutMs: number
  /** How much of the response body is read, 16 KiB at most; what is longer is cut off with the connection. */
  maxResponseBytes: number
}

export interface OutboundHttp {
  /**
   * Sends one request, once. Redirects are not followed.
   *
   * @throws OutboundError saying what went wrong in words fit for the owner of the URL
   */
  send(url: string, request: OutboundRequest): Promise<OutboundResponse>
  close(): Promise<void>
}

/** Finds all addresses of a name. */
export type Lookup = (
  host: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

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
  const agent = createAgent(createAddressCheck(allowedCidrs), lookup)
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
    async send(url, { timeoutMs, maxResponseBytes, ...options }) {
      let timer: NodeJS.Timeout | undefined
      try {
        const { origin, pathname, search } = new URL(url)
        const exchange = new Exchange(maxResponseBytes)
        timer = setTimeout(
          () => exchange.fail(new OutboundError('timeout', `No complete response within ${timeoutMs} ms.`)),
          timeoutMs,
        )
        const path = pathname + search
        inTurn(origin, () => exchange.run(agent, { ...options, origin, path })).catch(exchange.fail)
        return await exchange.response
      } catch (error) {
        throw toOutboundError(error)
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => agent.destroy(),
  }
}

/** One request and its response, without the streams that would be made for it. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly response: Promise<OutboundResponse>
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #size = 0
  #status = 0
  #headers: Record<string, string> = {}
  #isOver = false
  #controller: Dispatcher.DispatchController | undefined
  #resolve!: (response: OutboundResponse) => void
  #reject!: (error: Error) => void
  #leave!: () => void

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Resolves once the connection is not needed any more, whatever came of the exchange. */
  run(dispatcher: Dispatcher, options: Dispatcher.DispatchOptions): Promise<void> {
    return new Promise((leave) => {
      if (this.#isOver) return leave()
      this.#leave = leave
      dispatcher.dispatch({ ...options, headersTimeout: 0, bodyTimeout: 0 }, this)
    })
  }

  /** Gives it up, now or, if it has no connection yet, once it has one. */
  readonly fail = (error: Error): void => {
    this.#isOver = true
    this.#reject(error)
    this.#controller?.abort(error)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isOver) controller.abort(new OutboundError('timeout', 'It was given up meanwhile.'))
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return // interim
    this.#status = status
    this.#headers = flatten(headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size < this.#maxBytes) return
    this.#succeed()
    controller.abort(new OutboundError('connection-failed', 'The rest is not wanted.'))
  }

  onResponseEnd(): void {
    this.#succeed()
    this.#leave()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.fail(error)
    this.#leave()
  }

  #succeed(): void {
    this.#isOver = true
    const body = beginningOf(this.#chunks, this.#size, this.#maxBytes)
    this.#resolve({ status: this.#status, headers: this.#headers, body })
  }
}

/** An agent that connects only to addresses that may be reached. */
function createAgent(mayReach: (address: string) => boolean, lookup: Lookup): Agent {
  const connector = buildConnector({
    lookup: checkedLookup(mayReach, lookup),
    timeout: CONNECT_MS,
    allowH2: false,
  })
  return new Agent({
    connections: CONNECTIONS_PER_ORIGIN,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    // Never reached: beyond it the parser makes an error for each header that is still in the buffer, which takes
    // most of a second.
    maxHeaderSize: 8 * MAX_RECEIVED_BYTES,
    // Each exchange has a connection of its own then, which ends with it where the server misbehaves.
    allowH2: false,
    connect(options, callback) {
      const host = options.hostname.replace(/^\[(.*)\]$/, '$1')
      if (isIP(host) !== 0 && !mayReach(host)) return callback(refusal(host, host), null)
      connector(options, (...result) => {
        if (result[0] === null) limitReceived(result[1])
        callback(...result)
      })
    },
  })
}

const refusal = (host: string, address: string): OutboundError =>
  new OutboundError(
    'address-refused',
    host === address
      ? `${address} is not a public address.`
      : `${host} resolves to ${address}, which is not a public address.`,
  )

type LookupCallback = Parameters<Lookup>[2]

/** A look-up that finds only addresses that may be reached. */
function checkedLookup(mayReach: (address: string) => boolean, lookup: Lookup): LookupFunction {
  const waiting = new Map<string, LookupCallback[]>()

  /** Look-ups share a few threads, of which a name whose server does not answer is to hold one at most. */
  function lookUpOnce(host: string, options: LookupAllOptions, callback: LookupCallback): void {
    const others = waiting.get(host)
    if (others !== undefined) return void others.push(callback)
    const callbacks = [callback]
    waiting.set(host, callbacks)
    lookup(host, options, (error, addresses) => {
      waiting.delete(host)
      for (const each of callbacks) each(error, addresses)
    })
  }

  return (host, options, callback) => {
    lookUpOnce(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      const reachable = addresses.filter(({ address }) => mayReach(address))
      const [first] = reachable
      if (first === undefined) callback(refusal(host, addresses[0]?.address ?? 'nothing'), [])
      else if (options.all) callback(null, reachable)
      else callback(null, first.address, first.family)
    })
  }
}

/** Closes a connection that one request brings too much on; more being written is the sign of the next request. */
function limitReceived(socket: Socket): void {
  let written = 0
  let readBefore = 0
  socket.on('readable', () => {
    if (socket.bytesWritten !== written) {
      written = socket.bytesWritten
      readBefore = socket.bytesRead
    } else if (socket.bytesRead - readBefore > MAX_RECEIVED_BYTES) {
      socket.destroy(
        new OutboundError('connection-failed', `The response is longer than ${MAX_RECEIVED_BYTES} bytes.`),
      )
    }
  })
}

/** The beginning of a body as UTF-8 text; what is beyond the limit, in bytes, is not read. */
export async function readBeginning(body: AsyncIterable<Buffer>, limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= limit) break // leaving the loop ends the exchange and closes the connection
  }
  return beginningOf(chunks, size, limit)
}

function beginningOf(chunks: readonly Buffer[], size: number, limit: number): string {
  if (size === 0) return ''
  const bytes = Buffer.concat(chunks)
  // A character that the limit cuts in two is left out.
  const text =
    size > limit ? new StringDecoder('utf8').write(bytes.subarray(0, limit)) : bytes.toString('utf8')
  return text.replaceAll('\0', '\uFFFD')
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
