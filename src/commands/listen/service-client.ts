import { Agent, request } from 'undici'
import { toOutboundError } from '../../platform/outbound/http.ts'

const CONNECT_MS = 10_000
const HEADERS_MS = 30_000
const MAX_PROBLEM_BYTES = 16_384
/** Answers below 500 that may be other ones later. */
const PASSING = new Set([408, 425, 429])

/** The service cannot be reached, or not for now. */
export class ServiceLost extends Error {
  override name = 'ServiceLost'
}

/** The service refuses, or is none; asking again is no use. */
export class ServiceRefused extends Error {
  override name = 'ServiceRefused'
}

export interface ServiceClient {
  /**
   * The chunks of the body that answers a GET. The body is read only as fast as they are taken, and the
   * connection is given up when they are no longer taken.
   *
   * @param path with its query
   * @param mediaType what the answer must be
   * @throws ServiceLost or ServiceRefused, also between chunks
   */
  read(path: string, mediaType: string): Promise<AsyncGenerator<Uint8Array, void>>
  /** Breaks off what is under way. */
  close(): Promise<void>
}

/**
 * @param service its URL, without a slash at its end
 * @param silentMs a body that gives nothing for this long while it is waited for counts as lost
 */
export function createServiceClient(service: string, key: string, silentMs: number): ServiceClient {
  const agent = new Agent({
    connect: { timeout: CONNECT_MS },
    headersTimeout: HEADERS_MS,
    bodyTimeout: silentMs,
  })

  return {
    async read(path, mediaType) {
      const response = await request(service + path, {
        dispatcher: agent,
        headers: { authorization: `Bearer ${key}`, accept: mediaType },
      }).catch((error: Error) => {
        throw lost(error, silentMs)
      })
      const { statusCode: status, headers, body } = response
      if (status !== 200) {
        const text = await readBeginning(body, MAX_PROBLEM_BYTES).catch(() => '')
        const message = `The service answered ${status}${detailOf(text)}`
        if (status >= 500 || PASSING.has(status)) throw new ServiceLost(message)
        throw new ServiceRefused(`${message}\n${adviceFor(status)}`)
      }
      if (!String(headers['content-type']).startsWith(mediaType)) {
        body.on('error', () => {}).destroy()
        throw new ServiceRefused(`What answers is no Heliograph.\n${adviceFor(status)}`)
      }
      return chunksOf(body, silentMs)
    },
    close: () => agent.destroy(),
  }
}

async function* chunksOf(
  body: AsyncIterable<Uint8Array>,
  silentMs: number,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* body
  } catch (error) {
    throw lost(error as Error, silentMs)
  }
}

function lost(error: Error, silentMs: number): ServiceLost {
  const silent = (error as NodeJS.ErrnoException).code === 'UND_ERR_BODY_TIMEOUT'
  const message = silent ? `Nothing came for ${silentMs / 1000} s.` : toOutboundError(error).message
  return new ServiceLost(message, { cause: error })
}

async function readBeginning(body: AsyncIterable<Buffer>, limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= limit) break // leaving the loop ends the exchange and closes the connection
  }
  return Buffer.concat(chunks).subarray(0, limit).toString()
}

/** What a problem says, as the end of a sentence. */
function detailOf(text: string): string {
  try {
    const { detail, title } = JSON.parse(text) as { detail?: unknown; title?: unknown }
    const said = detail ?? title
    return typeof said === 'string' ? `: ${said.replace(/\p{Cc}/gu, ' ')}` : '.'
  } catch {
    return '.'
  }
}

function adviceFor(status: number): string {
  if (status === 401) return 'Set HELIOGRAPH_API_KEY to a key of the app whose events you want.'
  if (status === 403) return 'Set HELIOGRAPH_API_KEY to a key with the scope events:read.'
  if (status === 400) return 'Check --types and --after.'
  return 'Check --url: it must be the address of a Heliograph.'
}
