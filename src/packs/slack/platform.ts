import { Type } from '@sinclair/typebox'
import {
  ApiUrl,
  headerOf,
  HeaderToken,
  type Incoming,
  isHmac,
  jsonOf,
  nothing,
  type PlatformDriver,
  readBody,
  readEach,
  retryAfterMs,
  type SendAnswer,
  Text,
} from 'heliograph/extension'
import { messageId, readCommand, readEvent, readInteraction } from './content.ts'
import { fetchFile } from './files.ts'
import { escapeText } from './text.ts'

const API_URL = 'https://slack.com'
/** Slack says to refuse requests that were signed longer ago. */
const TOLERANCE_SECONDS = 300

/** Errors of a message that will never be taken; every other one may pass or be mended. */
const FINAL_ERRORS = new Set([
  'channel_not_found',
  'is_archived',
  'msg_too_long',
  'no_text',
  'invalid_arguments',
  'invalid_blocks',
  'cannot_dm_bot',
  'user_not_found',
])

/** Slack: channels and people, through a bot. Slack tells nothing of what becomes of a message. */
export const slack: PlatformDriver = {
  platform: 'slack',
  maxTextLength: 40_000,
  settings: Type.Object(
    {
      botUserId: Type.String({ pattern: '^[UW][A-Z0-9]{2,30}$', examples: ['U0123ABCDEF'] }),
      apiUrl: Type.Optional(ApiUrl(API_URL)),
    },
    { additionalProperties: false },
  ),
  credentials: Type.Object(
    {
      botToken: HeaderToken(500, 'It begins with `xoxb-`.'),
      signingSecret: Text(200, { description: 'Signs what Slack sends.' }),
    },
    { additionalProperties: false },
  ),
  ownExternalId: ({ botUserId }) => botUserId as string,

  send({ to, text }, { settings, credentials }) {
    return {
      url: `${settings['apiUrl'] ?? API_URL}/api/chat.postMessage`,
      headers: {
        authorization: `Bearer ${credentials['botToken']}`,
        'content-type': 'application/json; charset=utf-8',
      },
      body: JSON.stringify({ channel: to, text: escapeText(text) }),
    }
  },

  readAnswer({ status, headers, body }): SendAnswer {
    const { ok, error, channel, ts } = jsonOf(body) as {
      ok?: boolean
      error?: string
      channel?: string
      ts?: string
    }
    if (status < 300 && ok && channel && ts) return { messageId: messageId(channel, ts) }
    return {
      error: `Slack answered ${status}${error === undefined ? '' : `: ${error}`}.`,
      code: typeof error === 'string' ? error : undefined,
      final: error !== undefined && FINAL_ERRORS.has(error),
      retryAfterMs: retryAfterMs(headers, Date.now()),
    }
  },

  isGenuine(request, { credentials }) {
    const timestamp = headerOf(request, 'x-slack-request-timestamp')
    if (!(Math.abs(request.now / 1000 - Number(timestamp || NaN)) <= TOLERANCE_SECONDS)) return false
    return isHmac('sha256', 'hex', {
      key: credentials['signingSecret'] as string,
      text: `v0:${timestamp}:${request.text}`,
      given: /^v0=([0-9a-f]{64})$/.exec(headerOf(request, 'x-slack-signature'))?.[1] ?? '',
    })
  },

  fetchAttachment: (wanted, account, { get }) =>
    fetchFile(wanted, account.credentials['botToken'] as string, account.settings['apiUrl'] ?? API_URL, get),

  /** Events come as JSON, commands and interactions as forms. */
  read(request, { settings }): Incoming {
    const { text, now } = request
    const isForm = headerOf(request, 'content-type').startsWith('application/x-www-form-urlencoded')
    const form = isForm ? Object.fromEntries(new URLSearchParams(text)) : undefined
    const payload = form?.['payload']
    // The verification token is a secret of old apps; the signature is in its place.
    const { token: _token, ...body } =
      form && payload === undefined ? form : readBody(payload ?? text).asWritten
    let incoming = nothing()
    readEach([body], incoming, () => {
      if (!form) incoming = readEvent(body, now, settings['botUserId'])
      else if (payload === undefined) incoming = readCommand(body as Record<string, string>, now)
      else incoming = readInteraction(body, now)
    })
    return incoming
  },
}
