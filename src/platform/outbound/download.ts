import { lookup as dnsLookup } from 'node:dns'
import { pipeline, type Duplex, type Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { createAddressCheck } from './addresses.ts'
import { createAgent, type Lookup } from './agent.ts'
import { MAX_RECEIVED_BYTES } from './connection.ts'
import { DECODERS, encodingsOf } from './decoders.ts'
import { OutboundError, toOutboundError } from './error.ts'

/** More than any platform needs. */
const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** However steadily it comes. */
const MAX_WHOLE_MS = 1_800_000

export interface Download {
  status: number
  /** The type of the body as the server tells it. */
  contentType: string | undefined
  /** Bytes of the body; undefined where the server does not tell them, or encoded the body all the same. */
  contentLength: number | undefined
  /** Decoded. Whoever does not read it to its end destroys it, which ends the connection. */
  body: Readable
}

/** Headers that prove who asks, and the origins that may see them, wherever redirects lead. */
export interface Credentials {
  origins: readonly string[]
  headers: Record<string, string>
}

export interface Downloader {
  /**
   * Gets what is at a URL, as it comes. Redirects are followed, and each is checked as the first address is.
   *
   * @throws OutboundError saying what went wrong in words fit for who asked; what goes wrong later destroys the body
   */
  get(url: string, credentials?: Credentials): Promise<Download>
  close(): Promise<void>
}

/**
 * Downloads from URLs that tenants or platforms chose, with the guard of `createOutboundHttp`.
 *
 * @param allowedCidrs ranges that may be reached although they are not public
 * @param options.timeoutMs until the head of the answer is there, redirects included, and then between its pieces
 * @param options.maxBytes of a body as it comes; of a longer one the connection is cut
 * @param lookup resolves names; as the system does unless given
 */
export function createDownloader(
  allowedCidrs: readonly string[],
  { timeoutMs, maxBytes }: { timeoutMs: number; maxBytes: number },
  lookup: Lookup = dnsLookup,
): Downloader {
  const agent = createAgent(createAddressCheck(allowedCidrs), lookup, {
    keepAlive: false,
    // One that is too long is for its reader to refuse; twice the limit tells of a server that means harm.
    maxReceivedBytes: 2 * maxBytes + MAX_RECEIVED_BYTES,
  })

  function request(url: URL, credentials: Credentials | undefined, signal: AbortSignal) {
    const { origin, pathname, search } = url
    return agent.request({
      origin,
      path: pathname + search,
      method: 'GET',
      headers: {
        'accept-encoding': 'identity',
        ...(credentials?.origins.includes(origin) && credentials.headers),
      },
      signal,
      headersTimeout: 0,
      bodyTimeout: timeoutMs,
    })
  }

  async function follow(
    first: string,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    let url = webUrl(first)
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const answer = await request(url, credentials, signal)
      const { location } = answer.headers
      if (!REDIRECTS.has(answer.statusCode) || location === undefined) return answer
      drop(answer.body)
      url = webUrl(String(location), url)
    }
    throw new OutboundError('connection-failed', `There were more than ${MAX_REDIRECTS} redirects.`)
  }

  return {
    async get(url, credentials) {
      const late = new AbortController()
      const after = (ms: number, message: string): NodeJS.Timeout =>
        setTimeout(() => late.abort(new OutboundError('timeout', message)), ms)
      const timer = after(timeoutMs, `No response within ${timeoutMs} ms.`)
      try {
        const answer = await follow(url, credentials, late.signal)
        const whole = after(MAX_WHOLE_MS, `No complete response within ${MAX_WHOLE_MS} ms.`)
        answer.body.once('close', () => clearTimeout(whole))
        return toDownload(answer)
      } catch (error) {
        throw toOutboundError(error)
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => agent.destroy(),
  }
}

/** @throws OutboundError for what is no http or https URL */
function webUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href)
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url
  throw new OutboundError('connection-failed', 'It leads to what is no http or https URL.')
}

function toDownload({ statusCode, headers, body }: Dispatcher.ResponseData): Download {
  const encodings = encodingsOf(headers['content-encoding'])
  const decoders = encodings.map((name) => (Object.hasOwn(DECODERS, name) ? DECODERS[name]?.() : undefined))
  if (decoders.includes(undefined)) {
    drop(body)
    throw new OutboundError('connection-failed', 'The response is in an encoding that is not known.')
  }
  const length = headers['content-length']
  const isPlain = encodings.length === 0
  return {
    status: statusCode,
    contentType: headers['content-type']?.toString(),
    contentLength: isPlain && length !== undefined ? Number(length) : undefined,
    body: isPlain ? body : (pipeline([body, ...(decoders as Duplex[])], () => {}) as unknown as Readable),
  }
}

/** Gives up a body that nobody reads. */
export function drop(body: Readable): void {
  body.on('error', () => {})
  body.destroy()
}

/** The beginning of a body as text. @param limit in bytes */
export async function textOf({ body }: Download, limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= limit) break
    }
  } catch (error) {
    throw toOutboundError(error)
  }
  return Buffer.concat(chunks).toString('utf8', 0, Math.min(size, limit))
}
