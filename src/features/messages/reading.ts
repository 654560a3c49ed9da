import { Type } from '@sinclair/typebox'
import { Problem } from '../../platform/http/problems.ts'
import { compileWhenUsed } from '../../platform/json-schema/json-schema.ts'
import { sha256 } from '../../platform/secrets/secret-box.ts'
import type { NewEvent } from '../events/index.ts'
import { MESSAGE_PARTS } from './message-content.ts'
import {
  nothing,
  UnreadableError,
  type Account,
  type Incoming,
  type IncomingMessage,
  type IncomingRequest,
  type PlatformDriver,
  type SkippedItem,
} from './driver.ts'

/** As drivers give them: events that they are about are looked up later. */
const PARTS = { ...MESSAGE_PARTS, reaction: Type.Omit(MESSAGE_PARTS.reaction, ['event_id']) }

/** Ids that platforms give; longer ones are none of theirs. */
const MAX_ID_LENGTH = 500

/** How much is kept of an item that is larger than payloads may be, in characters of its JSON. */
const MAX_CUT_LENGTH = 10_000

/**
 * What a genuine webhook says. Its parts that cannot be stored as what they are end among the skipped ones.
 *
 * @throws Problem `validation-failed` when nothing of it can be read and the platform's senders are told so
 */
export function readWebhook(driver: PlatformDriver, request: IncomingRequest, account: Account): Incoming {
  const refuse = (detail: string): Problem =>
    new Problem('validation-failed', `The webhook cannot be read: ${detail}`)
  let incoming: Incoming
  try {
    incoming = driver.read(request, account)
  } catch (error) {
    if (!(error instanceof UnreadableError || error instanceof TypeError)) throw error
    if (driver.refusesUnreadable) throw refuse(error.message)
    return {
      ...nothing(),
      skipped: [{ item: request.text, reason: `It cannot be read: ${error.message}` }],
    }
  }
  const messages = Map.groupBy(incoming.messages.map(asFits), faultOfMessage)
  const reports = Map.groupBy(incoming.reports, ({ externalMessageId: id }) =>
    id === undefined || isId(id) ? undefined : 'It has no proper id.',
  )
  const skipped = [...messages, ...reports].flatMap(([reason, items]) =>
    reason === undefined ? [] : items.map(({ raw }) => ({ item: raw, reason })),
  )
  const read = { messages: messages.get(undefined) ?? [], reports: reports.get(undefined) ?? [] }
  if (driver.refusesUnreadable && skipped.length > 0 && read.messages.length + read.reports.length === 0) {
    throw refuse('no message has an id and a sender, and no status a proper id.')
  }
  return { ...incoming, ...read, skipped: [...incoming.skipped, ...skipped] }
}

function faultOfMessage(message: Incoming['messages'][0]): string | undefined {
  if (!isId(message.externalMessageId)) return 'It has no proper id.'
  return isId(message.from) ? undefined : 'It has no sender.'
}

const checkContent = compileWhenUsed(
  Type.Object({ text: Type.String(), parts: Type.Optional(Type.Partial(Type.Object(PARTS))) }),
)

/** A message whose parts are not what its platform documents is still one that somebody sent. */
function asFits(message: IncomingMessage): IncomingMessage {
  const { text, kind, parts } = message
  const [violation] = checkContent({ text, ...(parts && { parts }) })
  if (!violation) return message
  const error = { code: null, message: `${violation.pointer} ${violation.detail}` }
  return {
    ...message,
    kind: 'unsupported',
    text: typeof text === 'string' ? text : '',
    parts: { unsupported: { type: kind, error } },
  }
}

/** Whether it may be an id of a platform: one that an index takes and that Postgres text holds. */
export const isId = (id: unknown): id is string =>
  typeof id === 'string' && id !== '' && id.length <= MAX_ID_LENGTH && !id.includes('\0') && id.isWellFormed()

/**
 * The event that keeps what a platform sent and nothing else was made of. A repeat of the same is the same.
 *
 * @param maxBytes of a payload: of a larger item the beginning is kept, as a text
 */
export function skippedEvent(
  { id, platform }: { id: string; platform: string },
  { item, reason }: SkippedItem,
  maxBytes: number,
): NewEvent {
  const text = JSON.stringify(item)
  const about = { platform, platform_connection_id: id, reason }
  const isWhole = Buffer.byteLength(JSON.stringify({ ...about, item })) <= maxBytes
  const payload = { ...about, item: isWhole ? item : text.slice(0, MAX_CUT_LENGTH).toWellFormed() }
  return {
    type: 'system.platform.skipped',
    payload: JSON.stringify(payload),
    payloadValue: payload,
    ownKey: { kind: 'message', value: `skipped/${id}/${sha256(text).toString('hex')}` },
  }
}
