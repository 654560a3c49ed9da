import { OutboundError, type OutboundHttp } from '../../../platform/outbound-http.ts'
import { signedHeaders } from '../../../platform/signing.ts'
import type { ClaimedDelivery, DestinationSettings } from '../claim.ts'
import type { Attempt, AttemptResult, Destination } from './destination.ts'

/** How much of a response body is read and kept with the attempt. */
const MAX_RESPONSE_BYTES = 16_384
const USER_AGENT = 'Heliograph (+https://www.standardwebhooks.com)'

/**
 * Posts events to a URL, signed per the Standard Webhooks specification. Only a 2xx counts as success; a
 * redirect is not followed. The secret is the one that signs.
 */
export const createWebhookDestination = (http: OutboundHttp): Destination => ({
  limitKey: (settings) => new URL(urlOf(settings)).origin,
  send: (delivery, secret, attempt) => postWebhook(http, delivery, secret, attempt),
})

const urlOf = (settings: DestinationSettings): string => settings['url'] as string

async function postWebhook(
  http: OutboundHttp,
  delivery: ClaimedDelivery,
  secret: string,
  { now, timeoutMs }: Attempt,
): Promise<AttemptResult> {
  const body = webhookBody(delivery)
  try {
    const response = await http.send(urlOf(delivery.destination), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': USER_AGENT,
        ...signedHeaders(secret, delivery.event_id, Math.floor(now / 1000), body),
      },
      body,
      timeoutMs,
      maxResponseBytes: MAX_RESPONSE_BYTES,
    })
    const succeeded = response.status >= 200 && response.status < 300
    return {
      succeeded,
      responseStatus: response.status,
      responseHeaders: response.headers,
      responseBody: response.body,
      error: succeeded ? null : `The endpoint answered ${response.status}.`,
    }
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error
    return {
      succeeded: false,
      responseStatus: null,
      responseHeaders: null,
      responseBody: null,
      error: error.message,
    }
  }
}

/** The body of SPEC section 3. The payload stands in it exactly as it was appended. */
export function webhookBody(delivery: ClaimedDelivery): string {
  return (
    `{"event_id":"${delivery.event_id}","event_type":"${delivery.type}","app_id":"${delivery.app_id}",` +
    `"payload":${delivery.payload},"edges":${snakeCaseEdges(delivery.edges)},` +
    `"created_at":"${delivery.event_created_at.toISOString()}"}`
  )
}

function snakeCaseEdges(edges: string): string {
  if (edges === '[]') return edges
  const parsed = JSON.parse(edges) as { type: string; targetType: string; targetId: string }[]
  return JSON.stringify(
    parsed.map(({ type, targetType, targetId }) => ({ type, target_type: targetType, target_id: targetId })),
  )
}
