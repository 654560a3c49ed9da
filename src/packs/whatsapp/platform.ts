import { Type } from '@sinclair/typebox'
import {
  ApiUrl,
  asDouble,
  headerOf,
  HeaderToken,
  type Incoming,
  type IncomingMessage,
  type IncomingReport,
  isHmac,
  isObject,
  isWorthRetrying,
  jsonOf,
  nothing,
  type PlatformDriver,
  readBody,
  readEach,
  retryAfterMs,
  sameDigest,
  type SendAnswer,
  sha256,
  Text,
  timeAt,
} from 'heliograph/extension'
import { readContent, type WhatsAppContent } from './content.ts'
import { fetchMedia, mediaOf } from './media.ts'

const API_URL = 'https://graph.facebook.com'
const API_VERSION = 'v23.0'

/** Codes of errors that pass: rates of the app, the account, the number and the pair, and the platform's own trouble. */
const PASSING_CODES = new Set([1, 2, 4, 80007, 130429, 131000, 131016, 131048, 131056, 131057, 133016])

/** A country, perhaps `ENT`, and letters or digits: ids of people whose number is not known. */
const USER_ID = /^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$/

interface Message extends WhatsAppContent {
  id: string
  /** The number; absent for people who hide it. */
  from?: string
  /** What WhatsApp calls a business-scoped user id. */
  from_user_id?: string
  timestamp: string
}

interface Status {
  id: string
  status: IncomingReport['status']
  timestamp: string
  biz_opaque_callback_data?: string
  errors?: { code?: number; title?: string; message?: string }[]
}

interface Contact {
  profile?: { name?: string }
  wa_id?: string
  user_id?: string
}

interface Value {
  metadata?: { phone_number_id?: string }
  contacts?: Contact[]
  messages?: unknown
  statuses?: unknown
  errors?: unknown
}

/** WhatsApp through Meta's Cloud API. */
export const whatsapp: PlatformDriver = {
  platform: 'whatsapp',
  maxTextLength: 4096,
  settings: Type.Object(
    {
      phoneNumberId: Type.String({ pattern: '^\\d{1,32}$', examples: ['106540352242922'] }),
      apiUrl: Type.Optional(ApiUrl(API_URL)),
      apiVersion: Type.Optional(
        Type.String({ pattern: '^v\\d{1,3}\\.\\d$', description: `${API_VERSION} unless told.` }),
      ),
    },
    { additionalProperties: false },
  ),
  credentials: Type.Object(
    {
      accessToken: HeaderToken(1000),
      appSecret: Text(200, { description: 'Signs what Meta sends.' }),
      verifyToken: Text(200, { description: 'What you enter in Meta’s webhook form.' }),
    },
    { additionalProperties: false },
  ),
  ownExternalId: ({ phoneNumberId }) => phoneNumberId as string,

  send({ to, text, eventId }, { settings, credentials }) {
    const { apiUrl = API_URL, apiVersion = API_VERSION, phoneNumberId } = settings
    return {
      url: `${apiUrl}/${apiVersion}/${phoneNumberId}/messages`,
      headers: {
        authorization: `Bearer ${credentials['accessToken']}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        messaging_product: 'whatsapp',
        recipient_type: 'individual',
        [USER_ID.test(to) ? 'recipient' : 'to']: to,
        type: 'text',
        text: { preview_url: false, body: text },
        // given back with every status, also one that comes before this request is answered
        biz_opaque_callback_data: eventId,
      }),
    }
  },

  readAnswer({ status, headers, body }): SendAnswer {
    const { messages, error } = jsonOf(body) as {
      messages?: { id?: string }[]
      error?: { code?: number; message?: unknown }
    }
    const messageId = messages?.[0]?.id
    if (status < 300 && messageId) return { messageId }
    const passes = isWorthRetrying(status) || PASSING_CODES.has(error?.code ?? 0)
    return {
      error: typeof error?.message === 'string' ? error.message : `WhatsApp answered ${status}.`,
      code: error?.code === undefined ? undefined : String(error.code),
      // an answer without an id tells nothing of the message: it may be there
      final: status >= 300 && !passes,
      retryAfterMs: retryAfterMs(headers, Date.now()),
    }
  },

  isGenuine: (request, { credentials }) =>
    isHmac('sha256', 'hex', {
      key: credentials['appSecret'] as string,
      text: request.text,
      given: /^sha256=([0-9a-f]{64})$/.exec(headerOf(request, 'x-hub-signature-256'))?.[1] ?? '',
    }),

  read({ text, now }, { settings }): Incoming {
    const incoming = nothing()
    readEach(readBody(text).asWritten['entry'], incoming, (entry) =>
      readEach(entry['changes'], incoming, (change) => readChange(change, settings, incoming, now)),
    )
    return incoming
  },

  fetchAttachment({ externalId }, { settings, credentials }, { get }) {
    const { apiUrl = API_URL, apiVersion = API_VERSION, phoneNumberId } = settings
    const address = `${apiUrl}/${apiVersion}/${encodeURIComponent(externalId)}?phone_number_id=${phoneNumberId}`
    return fetchMedia(address, credentials['accessToken'] as string, get)
  },

  challenge(query, { credentials }) {
    const { 'hub.mode': mode, 'hub.verify_token': token = '', 'hub.challenge': challenge } = query
    const isRight = sameDigest(sha256(token), sha256(credentials['verifyToken'] as string))
    return mode === 'subscribe' && isRight ? challenge : undefined
  },
}

function readChange(
  change: Record<string, unknown>,
  { phoneNumberId }: Record<string, string>,
  incoming: Incoming,
  now: number,
): void {
  const skip = (item: unknown, reason: string): void => void incoming.skipped.push({ item, reason })
  const { field, value } = change
  if (field !== 'messages' || !isObject(value))
    return skip(change, 'It is about something else than messages.')
  const { metadata, messages, statuses, contacts = [], errors } = value as Value
  const number = metadata?.phone_number_id ?? phoneNumberId
  // One address may be told of all numbers of an account.
  if (number !== phoneNumberId) return skip(change, `It is for another number (phone_number_id ${number}).`)
  if (!messages && !statuses && !errors) return skip(change, 'There is no message and no status in it.')
  if (errors) skip({ ...value, messages: undefined, statuses: undefined }, 'WhatsApp tells of errors.')
  readEach(messages ?? [], incoming, (message) => {
    incoming.messages.push(toMessage(message as unknown as Message, contacts, now))
  })
  readEach(statuses ?? [], incoming, (status) => {
    if (status['status'] === 'sent') incoming.known += 1
    else if (!isReported(status['status'])) skip(status, 'It is no status that is known.')
    else incoming.reports.push(toReport(status as unknown as Status, now))
  })
}

function toMessage(message: Message, contacts: Contact[], now: number): IncomingMessage {
  const { from, from_user_id: fromUserId } = message
  const isSender = (contact: Contact): boolean =>
    (from !== undefined && contact.wa_id === from) ||
    (fromUserId !== undefined && contact.user_id === fromUserId)
  const isNamed = from !== undefined || fromUserId !== undefined
  const contact = isNamed ? contacts.find(isSender) : contacts.length === 1 ? contacts[0] : undefined
  const number = from ?? contact?.wa_id
  const userId = fromUserId ?? contact?.user_id
  return {
    externalMessageId: message.id,
    from: (number ?? userId) as string,
    otherFrom: number === undefined ? undefined : userId,
    name: contact?.profile?.name,
    ...readContent(message),
    sentAt: timeAt(Number(asDouble(message.timestamp)) * 1000, now),
    attachments: mediaOf(message),
    raw: message,
  }
}

const isReported = (status: unknown): status is IncomingReport['status'] =>
  status === 'delivered' || status === 'read' || status === 'failed'

function toReport(raw: Status, now: number): IncomingReport {
  const { id, status, timestamp, errors, biz_opaque_callback_data: eventId } = raw
  const [error] = errors ?? []
  return {
    status,
    externalMessageId: id,
    eventId,
    at: timeAt(Number(asDouble(timestamp)) * 1000, now),
    error: error && {
      code: error.code === undefined ? null : String(error.code),
      message: error.message ?? error.title ?? 'not said',
    },
    raw,
  }
}
