import { Type } from '@sinclair/typebox'
import {
  ApiUrl,
  headerOf,
  type Incoming,
  type IncomingAttachment,
  type IncomingReport,
  isNumber,
  isWorthRetrying,
  jsonOf,
  mediaKind,
  type MessageContent,
  NoContentError,
  nothing,
  type PlatformDriver,
  readBody,
  retryAfterMs,
  type SendAnswer,
  Text,
} from 'heliograph/extension'
import { isSigned } from './signature.ts'

const API_URL = 'https://api.twilio.com'

/** Twilio's words for what SPEC calls delivered, read and failed. */
const STATUSES = new Map<string, IncomingReport['status']>([
  ['delivered', 'delivered'],
  ['read', 'read'],
  ['failed', 'failed'],
  ['undelivered', 'failed'],
])

/** Twilio's words for a message that is on its way. */
const ON_THE_WAY = new Set(['accepted', 'scheduled', 'queued', 'sending', 'sent'])

const EMPTY_TWIML = { contentType: 'text/xml', body: '<Response></Response>' }

/** SMS through Twilio. */
export const twilio: PlatformDriver = {
  platform: 'twilio',
  maxTextLength: 1600,
  settings: Type.Object(
    {
      accountSid: Type.String({ pattern: '^AC[0-9a-fA-F]{32}$' }),
      from: Type.String({
        pattern: '^(\\+\\d{5,20}|MG[0-9a-fA-F]{32}|[A-Za-z0-9 ]{1,11})$',
        description: 'A number, the SID of a messaging service, or an alphanumeric sender.',
        examples: ['+15005550006'],
      }),
      apiUrl: Type.Optional(ApiUrl(API_URL)),
    },
    { additionalProperties: false },
  ),
  credentials: Type.Object(
    { authToken: Text(200, { description: 'Also signs what Twilio sends.' }) },
    { additionalProperties: false },
  ),
  ownExternalId: ({ from }) => from as string,

  send({ to, text, eventId, webhookUrl }, { settings, credentials }) {
    const { accountSid = '', from = '', apiUrl = API_URL } = settings
    const form = new URLSearchParams({ To: to, Body: text })
    form.set(from.startsWith('MG') ? 'MessagingServiceSid' : 'From', from)
    if (webhookUrl !== undefined) form.set('StatusCallback', `${webhookUrl}?eventId=${eventId}`)
    return {
      url: `${apiUrl}/2010-04-01/Accounts/${accountSid}/Messages.json`,
      headers: {
        authorization: basicOf(accountSid, credentials['authToken']),
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: form.toString(),
    }
  },

  readAnswer({ status, headers, body }): SendAnswer {
    const { sid, message, code } = jsonOf(body) as { sid?: string; message?: string; code?: number }
    if (status < 300 && sid) return { messageId: sid }
    return {
      error: message === undefined ? `Twilio answered ${status}.` : `${message} (${code ?? status})`,
      code: code === undefined ? undefined : String(code),
      final: status >= 300 && !isWorthRetrying(status),
      retryAfterMs: retryAfterMs(headers, Date.now()),
    }
  },

  isGenuine: (request, { credentials }) => isSigned(request, credentials['authToken'] as string),

  /** Twilio redirects to where the content is, which needs no credentials. */
  async fetchAttachment({ url }, { settings, credentials }, { get }) {
    if (url === null) throw new NoContentError('Twilio gave no URL for it.')
    const { accountSid = '', apiUrl = API_URL } = settings
    return get(url, {
      origins: [new URL(apiUrl).origin, API_URL],
      headers: { authorization: basicOf(accountSid, credentials['authToken']) },
    })
  },

  read(request): Incoming {
    const { url, now } = request
    const raw = headerOf(request, 'content-type').startsWith('application/json')
      ? readBody(request.text).asWritten
      : fieldsOf(new URLSearchParams(request.text))
    const form: Partial<Record<string, string>> = Object.fromEntries(
      Object.entries(raw).flatMap(([name, value]) => {
        const [first] = [value].flat()
        return typeof first === 'string' || isNumber(first) ? [[name, String(first)]] : []
      }),
    )
    const { MessageSid: sid, MessageStatus: status, From: from } = form
    const skip = (reason: string): Incoming => ({
      ...nothing(),
      skipped: [{ item: raw, reason }],
      answer: EMPTY_TWIML,
    })
    if (!sid) return skip('There is no "MessageSid".')
    if (status !== undefined && status !== 'received') {
      if (ON_THE_WAY.has(status)) return { ...nothing(), known: 1 }
      const known = STATUSES.get(status)
      if (!known) return skip(`"${status}" is no status that is known.`)
      const { ErrorCode: code, ErrorMessage: message } = form
      const report = {
        status: known,
        externalMessageId: sid,
        eventId: new URL(url).searchParams.get('eventId') ?? undefined,
        at: new Date(now),
        error:
          known === 'failed' ? { code: code ?? null, message: message ?? `Twilio: ${status}` } : undefined,
        raw,
      }
      return { ...nothing(), reports: [report] }
    }
    if (!from) return skip('There is no "From".')
    return {
      ...nothing(),
      messages: [
        {
          externalMessageId: sid,
          from,
          name: form['ProfileName'],
          ...contentOf(form),
          sentAt: new Date(now),
          attachments: mediaOf(form),
          raw,
        },
      ],
      answer: EMPTY_TWIML,
    }
  },
}

/** The parameters of a form; one that occurs more than once has a list of its values. */
const fieldsOf = (form: URLSearchParams): Record<string, unknown> =>
  Object.fromEntries(
    [...new Set(form.keys())].map((name) => {
      const [value, ...others] = form.getAll(name)
      return [name, others.length === 0 ? value : [value, ...others]]
    }),
  )

/** What a message is: https://www.twilio.com/docs/messaging/guides/webhook-request */
function contentOf(form: Partial<Record<string, string>>): MessageContent {
  const { Body: text = '', NumMedia: media, Latitude: latitude, Longitude: longitude } = form
  if (latitude !== undefined && longitude !== undefined) {
    const { Label: name = null, Address: address = null } = form
    const location = { latitude: Number(latitude), longitude: Number(longitude), name, address }
    return { kind: 'location', text, parts: { location } }
  }
  const { ButtonText: title, ButtonPayload: id = null } = form
  if (title !== undefined) return { kind: 'button', text, parts: { button: { id, title } } }
  if (Number(media) > 0) return { kind: mediaKind(form['MediaContentType0']), text }
  return { kind: 'text', text }
}

const basicOf = (accountSid: string, authToken = ''): string =>
  `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString('base64')}`

/** More than a message may hold. */
const MAX_MEDIA = 100

/** `MediaUrl0` and the like; the id of each is the last part of its URL. */
function mediaOf(form: Partial<Record<string, string>>): IncomingAttachment[] {
  const count = Math.min(Number(form['NumMedia']) || 0, MAX_MEDIA)
  return Array.from({ length: count }, (_, index) => {
    const url = form[`MediaUrl${index}`]
    const sid = /\/Media\/(\w+)$/.exec(url ?? '')?.[1]
    return { externalId: sid ?? url, mimeType: form[`MediaContentType${index}`], url }
  })
}
