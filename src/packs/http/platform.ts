import { Type, type Static } from '@sinclair/typebox'
import {
  compileWhenUsed,
  headerOf,
  type Incoming,
  type IncomingAttachment,
  type IncomingMessage,
  isWorthRetrying,
  jsonOf,
  NoContentError,
  nothing,
  type PlatformDriver,
  readBody,
  readUrl,
  retryAfterMs,
  type SendAnswer,
  signedHeaders,
  SigningSecret,
  timeAt,
  Timestamp,
  UnreadableError,
  Url,
  verifySigned,
} from 'heliograph/extension'
import { HTTP_CONTENT, readContent } from './content.ts'

const IncomingMessageBody = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 200 }),
  from: Type.String({ minLength: 1, maxLength: 200 }),
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  ...HTTP_CONTENT,
  sent_at: Type.Optional(Timestamp()),
})

/** What a platform of your own sends to the connection's webhook. */
const IncomingBody = Type.Object({
  messages: Type.Optional(Type.Array(IncomingMessageBody, { maxItems: 100 })),
  statuses: Type.Optional(
    Type.Array(
      Type.Object({
        id: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
        event_id: Type.Optional(Type.String({ maxLength: 36 })),
        status: Type.Union([Type.Literal('delivered'), Type.Literal('read'), Type.Literal('failed')]),
        at: Type.Optional(Timestamp()),
        error: Type.Optional(Type.Object({ code: Type.Optional(Type.String()), message: Type.String() })),
      }),
      { maxItems: 100 },
    ),
  ),
})

const checkBody = compileWhenUsed(IncomingBody)

/**
 * Any service that takes a POST: messages go to its URL and come from it, both signed per the Standard
 * Webhooks specification with one secret.
 */
export const http: PlatformDriver = {
  platform: 'http',
  maxTextLength: 40_000,
  settings: Type.Object(
    {
      url: Url({ description: 'Where messages are posted to.', examples: ['https://example.com/messages'] }),
    },
    { additionalProperties: false },
  ),
  credentials: Type.Object(
    {
      secret: SigningSecret({
        description:
          'Signs in both directions: `whsec_` and a key in base64, or any other text, whose UTF-8 bytes are the key.',
      }),
    },
    { additionalProperties: false },
  ),
  ownExternalId: () => 'self',

  send({ eventId, appId, connectionId, to, text, role, edges }, { settings, credentials }, now) {
    const message = JSON.stringify({
      event_id: eventId,
      app_id: appId,
      platform_connection_id: connectionId,
      to,
      message: { text, role },
    })
    const body = `${message.slice(0, -1)},"edges":${edges.byType},"edge_list":${edges.list}}`
    return {
      url: settings['url'] as string,
      headers: {
        'content-type': 'application/json',
        ...signedHeaders(
          { secrets: [credentials['secret'] as string] },
          eventId,
          Math.floor(now / 1000),
          body,
        ),
      },
      body,
    }
  },

  readAnswer({ status, headers, body }, { eventId }): SendAnswer {
    const { id } = jsonOf(body)
    if (status >= 200 && status < 300)
      return { messageId: typeof id === 'string' && id !== '' ? id : eventId }
    return {
      error: `The platform answered ${status}.`,
      final: status >= 400 && !isWorthRetrying(status),
      retryAfterMs: retryAfterMs(headers, Date.now()),
    }
  },

  isGenuine: (request, { credentials }) =>
    verifySigned(credentials['secret'] as string, {
      id: headerOf(request, 'webhook-id'),
      timestamp: headerOf(request, 'webhook-timestamp'),
      signatures: headerOf(request, 'webhook-signature'),
      body: request.text,
      now: request.now,
    }),

  /** Signed as messages are, over nothing, where the connection's own service has it. */
  async fetchAttachment({ id, url }, { settings, credentials }, { get, now }) {
    if (url === null) throw new NoContentError('The platform gave no URL for it.')
    const secrets = [credentials['secret'] as string]
    const headers = signedHeaders({ secrets }, id, Math.floor(now / 1000), '')
    return get(url, { origins: [new URL(settings['url'] as string).origin], headers })
  },

  refusesUnreadable: true,

  read({ text, now }): Incoming {
    const { plain, asWritten } = readBody(text)
    const [violation] = checkBody(plain)
    if (violation) throw new UnreadableError(`${violation.pointer || 'The body'} ${violation.detail}.`)
    const { messages = [], statuses = [] } = plain as Static<typeof IncomingBody>
    const timeOf = (sent: string | undefined): Date =>
      timeAt(sent === undefined ? now : Date.parse(sent), now)
    return {
      ...nothing(),
      messages: messages.map((message, index) =>
        toMessage(message, timeOf(message.sent_at), (asWritten['messages'] as unknown[])[index]),
      ),
      reports: statuses.map((report, index) => ({
        status: report.status,
        externalMessageId: report.id,
        eventId: report.event_id,
        at: timeOf(report.at),
        error: report.error && { code: report.error.code ?? null, message: report.error.message },
        raw: (asWritten['statuses'] as unknown[])[index],
      })),
    }
  },
}

const toMessage = (
  message: Static<typeof IncomingMessageBody>,
  sentAt: Date,
  raw: unknown,
): IncomingMessage => ({
  ...readContent(message),
  externalMessageId: message.id,
  from: message.from,
  name: message.name,
  sentAt,
  attachments: attachmentsOf(message),
  raw,
})

const attachmentsOf = ({ id, attachments = [] }: Static<typeof IncomingMessageBody>): IncomingAttachment[] =>
  attachments.map((attachment, index) => {
    const url = readUrl(attachment.url)
    if ('fault' in url) throw new UnreadableError(`The url of an attachment ${url.fault}.`)
    return {
      externalId: attachment.id ?? `${id}/${index}`,
      name: attachment.name,
      mimeType: attachment.mime_type,
      sizeBytes: attachment.size_bytes,
      sha256: attachment.sha256,
      url: url.href,
    }
  })
