import { Type } from '@sinclair/typebox'
import {
  type AttemptResult,
  destinationKind,
  destinationUrl,
  fitted,
  LONE_BACKTICK,
  type OutboundResponse,
  type OwedEvent,
  postJson,
  titledBlock,
  transformed,
  Url,
} from 'heliograph/extension'

const MAX_CONTENT_LENGTH = 2_000
/** Whatever an event says, nobody is called by it. */
const NO_MENTIONS = { allowed_mentions: { parse: [] } }

const UNKNOWN_WEBHOOK = 10015
const INVALID_WEBHOOK_TOKEN = 50027

/** A webhook of a Discord channel. */
export const discord = destinationKind({
  settings: Type.Object(
    {
      type: Type.Literal('discord'),
      url: Url({
        description: 'The webhook of the channel; with `?thread_id=` it posts to a thread.',
        examples: ['https://discord.com/api/webhooks/1000/XXXX'],
      }),
    },
    { additionalProperties: false },
  ),
  hidden: ['url'],
  check: (settings) => ({ ...settings, url: destinationUrl(settings.url) }),
  connect: ({ http, transform }) => ({
    async send(event, { settings, transformation }, attempt) {
      const url = confirmed(settings['url'] as string)
      if (transformation === null) {
        return postJson(http, { url, body: bodyOf({ content: defaultText(event) }), attempt }, judge)
      }
      const made = await transformed(transform, transformation, event)
      if ('failed' in made) return made.failed
      const message = 'text' in made ? { content: fitted(made.text, MAX_CONTENT_LENGTH) } : made.object
      return postJson(http, { url, body: bodyOf(message), attempt }, judge)
    },
  }),
})

/** Unless it is told to wait, Discord answers before it knows whether it keeps the message. */
function confirmed(webhook: string): string {
  const url = new URL(webhook)
  url.searchParams.set('wait', 'true')
  return url.href
}

const bodyOf = (message: Record<string, unknown>): string => JSON.stringify({ ...NO_MENTIONS, ...message })

const defaultText = ({ type, payload }: OwedEvent): string =>
  titledBlock(`**${type}**`, payload, MAX_CONTENT_LENGTH, (character) =>
    character === '`' ? LONE_BACKTICK : character,
  )

/**
 * Refused credentials are final: a webhook's token never changes, and Discord blocks addresses that keep
 * making such requests. A rate limit is told in the body, in fractions of seconds.
 */
function judge({ status, body }: OutboundResponse): Partial<AttemptResult> {
  const { code, message, retry_after: seconds } = errorOf(body)
  return {
    error: `The server answered ${status}${typeof message === 'string' ? `: ${fitted(message, 200)}` : '.'}`,
    code: typeof code === 'number' ? String(code) : undefined,
    ...((status === 401 || status === 403) && { final: true }),
    ...((code === UNKNOWN_WEBHOOK || code === INVALID_WEBHOOK_TOKEN) && { final: true, gone: true }),
    ...(status === 429 &&
      typeof seconds === 'number' &&
      seconds >= 0 && { retryAfterMs: Math.ceil(seconds * 1000) }),
  }
}

function errorOf(body: string): { code?: unknown; message?: unknown; retry_after?: unknown } {
  try {
    return (JSON.parse(body) as object | null) ?? {}
  } catch {
    return {}
  }
}
