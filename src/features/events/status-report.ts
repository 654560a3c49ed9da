import type { Static } from '@sinclair/typebox'
import { parseExactly } from '../../platform/json/exact-numbers.ts'
import { Problem } from '../../platform/http/problems.ts'
import type { NewEvent } from './append/prepare.ts'
import type { StoredEvent } from './event.ts'
import { readPayload, type Limits } from './request-body.ts'
import { MAX_TYPE_LENGTH, type StatusReport } from './schemas.ts'

/** What platforms report of a message. */
const MESSAGE_STATUSES = ['delivered', 'read', 'failed'] as const
export type MessageStatus = (typeof MESSAGE_STATUSES)[number]

/** Whether a platform reports on an event; of any other its own type says what became of it. */
export const isMessage = (event: { type: string }): boolean =>
  event.type === 'message.inbound' || event.type === 'message.outbound'

/**
 * The child event that a report on an event becomes (SPEC section 2).
 *
 * That of a message is a `message.delivered`, `.read` or `.failed` with the message's ids; that of another
 * event has the event's type with the status added, such as `order.placed.shipped`.
 *
 * @param text the report as it was sent; its numbers are kept to the letter
 * @param now milliseconds since the Unix epoch
 * @throws Problem `validation-failed` for a status that messages do not have
 */
export function reportOn(
  origin: StoredEvent,
  text: string,
  report: Static<typeof StatusReport>,
  now: number,
  limits: Limits,
): NewEvent {
  const content = { originEventId: origin.id, report: parseExactly(text) }
  const sent = readPayload(text, [0, text.length], '', limits)
  if (!isMessage(origin)) {
    const type = `${origin.type}.${report.status}`
    if (type.length > MAX_TYPE_LENGTH) throw refuseStatus(`makes a type longer than ${MAX_TYPE_LENGTH}`)
    return {
      type,
      payload: sent,
      payloadValue: report,
      originEventId: origin.id,
      content,
    }
  }
  if (!(MESSAGE_STATUSES as readonly string[]).includes(report.status)) {
    throw refuseStatus(`of a message must be one of ${MESSAGE_STATUSES.join(', ')}`)
  }
  const payload = messageReport(origin, report.status as MessageStatus, report, now)
  return {
    type: `message.${report.status}`,
    payload: withMembers(payload, report, sent),
    payloadValue: { ...payload, ...report },
    originEventId: origin.id,
    content,
  }
}

const refuseStatus = (detail: string): Problem =>
  new Problem('validation-failed', 'The event cannot have this status.', [{ pointer: '/status', detail }])

/** What a report on a message says at least. */
export function messageReport(
  origin: Pick<StoredEvent, 'payload'>,
  status: MessageStatus,
  known: Record<string, unknown>,
  now: number,
): Record<string, unknown> {
  const { platform = null, external_message_id: messageId = null } = JSON.parse(origin.payload) as Record<
    string,
    unknown
  >
  const at = `${status}_at`
  return {
    status,
    platform,
    external_message_id: known['external_message_id'] ?? messageId,
    [at]: known[at] ?? new Date(now).toISOString(),
  }
}

/** JSON of what a report does not say itself, followed by the report to the letter. */
function withMembers(base: Record<string, unknown>, report: object, text: string): string {
  const missing = Object.entries(base).filter(([name]) => !Object.hasOwn(report, name))
  const members = missing.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)},`)
  return `{${members.join('')}${text.trim().slice(1)}`
}
