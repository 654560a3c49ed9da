import { eventBody, USER_AGENT, type BodyEvent } from '../../features/destinations/index.ts'
import { createOutboundHttp, OutboundError } from '../../platform/outbound/http.ts'
import { signedHeaders } from '../../platform/secrets/signing.ts'
import type { ListenOptions } from './arguments.ts'

/** The machine is the user's own, and so is what it may reach. */
const EVERY_ADDRESS = ['0.0.0.0/0', '::/0']
/** The answer is read this far, in bytes, before it counts as complete. */
const MAX_RESPONSE_BYTES = 16_384

export interface Outcome {
  /** Whether a subscription would count it as delivered. */
  succeeded: boolean
  /** The status answered, or why there is none. */
  result: string
}

export interface Forwarder {
  /** Posts an event once. Fails by its outcome. */
  forward(event: BodyEvent): Promise<Outcome>
  /** Breaks off what is under way. */
  close(): Promise<void>
}

/** Posts events to a URL exactly as a subscription with this secret would. */
export function createForwarder({ forward: url, secret, timeoutMs }: ListenOptions): Forwarder {
  const http = createOutboundHttp(EVERY_ADDRESS)
  return {
    async forward(event) {
      const body = eventBody(event)
      try {
        const { status } = await http.send(url, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'user-agent': USER_AGENT,
            ...signedHeaders({ secrets: [secret] }, event.event_id, Math.floor(Date.now() / 1000), body),
          },
          body,
          timeoutMs,
          maxResponseBytes: MAX_RESPONSE_BYTES,
        })
        return { succeeded: status >= 200 && status < 300, result: String(status) }
      } catch (error) {
        if (!(error instanceof OutboundError)) throw error
        return { succeeded: false, result: error.message }
      }
    },
    close: () => http.close(),
  }
}
