import {
  isWorthRetrying,
  OutboundError,
  retryAfterMs,
  type OutboundHttp,
  type OutboundResponse,
} from '../../platform/outbound/http.ts'
import { redacted } from '../../platform/secrets/redacted.ts'
import { failure, type Attempt, type AttemptResult } from './destination.ts'

/** How much of a response body is read and kept with the attempt. */
const MAX_RESPONSE_BYTES = 16_384
const USER_AGENT = 'Heliograph'
/** A shorter end of a path says nothing of its own, such as `hooks`. */
const SHORTEST_TOKEN = 8

/**
 * Posts JSON to an incoming webhook, whose address is a secret: nothing of the result tells it.
 *
 * A 2xx is a success; 401, 403, 404, 408, 425, 429, 5xx and redirects, which are not followed, are worth
 * another try; any other answer is final.
 *
 * @param body JSON text
 * @param judge what the place's own answer, without the secret, to a failed request says beyond that
 */
export async function postJson(
  http: OutboundHttp,
  { url, body, attempt }: { url: string; body: string; attempt: Attempt },
  judge: (response: OutboundResponse) => Partial<AttemptResult>,
): Promise<AttemptResult> {
  const clean = (text: string): string => redacted(text, partsOf(url))
  try {
    const response = await http.send(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8', 'user-agent': USER_AGENT },
      body,
      timeoutMs: attempt.timeoutMs,
      maxResponseBytes: MAX_RESPONSE_BYTES,
    })
    const { status, headers } = response
    const said = {
      responseStatus: status,
      responseHeaders: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, clean(value)]),
      ),
      responseBody: clean(response.body),
    }
    if (status >= 200 && status < 300) return { succeeded: true, error: null, ...said }
    return failure(`The server answered ${status}.`, {
      ...said,
      final: status >= 400 && !isWorthRetrying(status),
      throttled: status === 429,
      retryAfterMs: retryAfterMs(headers, attempt.now),
      ...judge({ status, headers: said.responseHeaders, body: said.responseBody }),
    })
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error
    return failure(clean(error.message))
  }
}

/** The parts of an address that only its owner may know; the last part of the path is the token. */
function partsOf(url: string): string[] {
  const { pathname, search } = new URL(url)
  const token = pathname.split('/').findLast((part) => part !== '') ?? ''
  return [url, pathname + search, pathname, token].filter(({ length }) => length >= SHORTEST_TOKEN)
}
