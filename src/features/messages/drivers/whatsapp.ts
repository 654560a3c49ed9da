import { Type } from '@sinclair/typebox'
import { Text } from '../../../platform/http/schemas.ts'
import { sameDigest, sha256 } from '../../../platform/secrets.ts'
import { isWorthRetrying, retryAfterMs } from '../../../platform/outbound/http.ts'
import { headerOf, isHmac, jsonOf, readObject, timeAt, UnreadableError } from './driver.ts'
import type { Incoming, IncomingReport, PlatformDriver, SendAnswer } from './driver.ts'
import { ApiUrl, HeaderToken } from './settings.ts'

const API_URL = 'https://graph.facebook.com'
const API_VERSION = 'v23.0'

/** Codes of errors that pass: rates of the app, the account, the number and the pair, and the platform's own trouble. */
const PASSING_CODES = new Set([1, 2, 4, 80007, 130429, 131000, 131016, 131048, 131056, 131057, 133016])

interface Message {
  id: string
  from: string
  timestamp: string
  type: string
  text?: { body: string }
  button?: { text: string }
  interactive?: { button_reply?: { title: string }; list_reply?: { title: string } }
  [media: string]: unknown
}

interface Status {
  id: string
  status: string
  timestamp: string
  biz_opaque_callback_data?: string
  errors?: { code?: number; title?: string; message?: string }[]
}

interface Value {
  metadata?: { phone_number_id?: string }
  contacts?: { profile?: { name?: string }; wa_id?: string }[]
  messages?: Message[]
  statuses?: Status[]
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
        to,
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

  /** One address may be told of all numbers of an account; the other ones are other connections'. */
  read({ text, now }, { settings }): Incoming {
    const { phoneNumberId } = settings
    const { entry } = readObject(text) as { entry?: { changes?: { field?: string; value?: Value }[] }[] }
    if (!Array.isArray(entry)) throw new UnreadableError('There is no "entry".')
    const values = entry
      .flatMap(({ changes }) => changes ?? [])
      .flatMap(({ field, value }) => (field === 'messages' && value ? [value] : []))
      .filter(({ metadata }) => (metadata?.phone_number_id ?? phoneNumberId) === phoneNumberId)
    return {
      messages: values.flatMap(({ messages = [], contacts = [] }) =>
        messages.map((message) => ({
          externalMessageId: message.id,
          from: message.from,
          name: contacts.find(({ wa_id: id }) => id === message.from)?.profile?.name,
          text: textOf(message),
          sentAt: timeAt(Number(message.timestamp) * 1000, now),
          raw: message,
        })),
      ),
      reports: values.flatMap(({ statuses = [] }) => statuses.flatMap((status) => toReport(status, now))),
    }
  },

  challenge(query, { credentials }) {
    const { 'hub.mode': mode, 'hub.verify_token': token = '', 'hub.challenge': challenge } = query
    const isRight = sameDigest(sha256(token), sha256(credentials['verifyToken'] as string))
    return mode === 'subscribe' && isRight ? challenge : undefined
  },
}

function textOf({ text, button, interactive, type, ...message }: Message): string {
  const reply = interactive?.button_reply?.title ?? interactive?.list_reply?.title
  const caption = (message[type] as { caption?: string } | undefined)?.caption
  return text?.body ?? button?.text ?? reply ?? caption ?? ''
}

function toReport({ id, status, timestamp, errors, ...more }: Status, now: number): IncomingReport[] {
  if (status !== 'delivered' && status !== 'read' && status !== 'failed') return []
  const [error] = errors ?? []
  return [
    {
      status,
      externalMessageId: id,
      eventId: more.biz_opaque_callback_data,
      at: timeAt(Number(timestamp) * 1000, now),
      error: error && {
        code: error.code === undefined ? null : String(error.code),
        message: error.message ?? error.title ?? 'not said',
      },
    },
  ]
}
