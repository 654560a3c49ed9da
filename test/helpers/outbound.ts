import type { Test } from 'tap'
import {
  createOutboundHttp,
  type Lookup,
  type OutboundHttp,
  type OutboundRequest,
  type OutboundResponse,
} from '../../src/platform/outbound/http.ts'

export const LOOPBACK = ['127.0.0.0/8', '::1/128']

/** Outbound HTTP that is closed when the test ends. */
export function outbound(t: Test, allowed: readonly string[] = LOOPBACK, lookup?: Lookup): OutboundHttp {
  const http = createOutboundHttp(allowed, lookup)
  t.teardown(() => http.close())
  return http
}

/** Sends a small request, with a deadline that only a test that fails ever reaches. */
export const post = (
  http: OutboundHttp,
  url: string,
  options: Partial<OutboundRequest> = {},
): Promise<OutboundResponse> =>
  http.send(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
    timeoutMs: 60_000,
    maxResponseBytes: 1_000,
    ...options,
  })

/** What came of a request: its response, or the error. */
export const outcome = (sent: Promise<OutboundResponse>): Promise<unknown> =>
  sent.catch((error: unknown) => error)
