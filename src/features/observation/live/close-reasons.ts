/** Why a server ends a connection that the client may come back from (docs/observation.md). */
export const CLOSE_REASONS = {
  silent: { code: 1001, reason: 'nothing was heard of you' },
  binary: { code: 1003, reason: 'text frames only' },
  stopping: { code: 1012, reason: 'the server stops' },
  expired: { code: 4401, reason: 'the token ended' },
  revoked: { code: 4401, reason: 'the key was revoked' },
  slow: { code: 4408, reason: 'too slow' },
  lost: { code: 1012, reason: 'the log cannot be read' },
} as const

export type CloseReason = keyof typeof CLOSE_REASONS

/** How long a client has to take the last bytes of a connection that the server ends. */
export const CLOSE_TIMEOUT_MS = 2_000

/** Clients wait a random time in this range before they reconnect, so that they do not come all at once. */
const RETRY_MS = { from: 500, to: 3_000 }
/** With many connections the range is longer: so many come back in a second. */
const RETURNS_PER_SECOND = 500

/**
 * How long a client is to wait before it comes back, in milliseconds.
 *
 * @param connections that are sent away together
 */
export function retryMs(connections = 1): number {
  const to = Math.max(RETRY_MS.to, (connections / RETURNS_PER_SECOND) * 1000)
  return Math.round(RETRY_MS.from + Math.random() * (to - RETRY_MS.from))
}
