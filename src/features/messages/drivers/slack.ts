import { Type } from '@sinclair/typebox'
import { Text } from '../../../platform/http/schemas.ts'
import { retryAfterMs } from '../../../platform/outbound/http.ts'
import { headerOf, isHmac, isObject, jsonOf, mediaKind, nothing, readObject, timeAt } from './driver.ts'
import type { Incoming, MessageContent, PlatformDriver, SendAnswer } from './driver.ts'
import { ApiUrl, HeaderToken } from './settings.ts'

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

/** Subtypes of messages that people write; the others tell of joins, topics and the like. */
const WRITTEN = new Set([undefined, '', 'file_share', 'thread_broadcast', 'me_message'])

/** Subtypes that tell of another message. */
const ABOUT_ANOTHER = new Set<string | undefined>(['message_changed', 'message_deleted', 'message_replied'])

interface Event {
  type?: string
  subtype?: string
  bot_id?: string
  channel?: string
  user?: string
  text?: string
  ts?: string
  event_ts?: string
  files?: { mimetype?: string }[]
  reaction?: string
  item?: { type?: string; channel?: string; ts?: string }
}

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
      body: JSON.stringify({ channel: to, text }),
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

  read({ text, now }, { settings }): Incoming {
    const body = readObject(text)
    if (body['type'] === 'url_verification') {
      const { challenge } = body
      const answer = { contentType: 'text/plain', body: typeof challenge === 'string' ? challenge : '' }
      return { ...nothing(), known: 1, answer }
    }
    if (body['type'] !== 'event_callback' || !isObject(body['event'])) {
      return { ...nothing(), skipped: [{ item: body, reason: 'It is no event of Slack’s Events API.' }] }
    }
    const event: Event = body['event']
    const { type, bot_id: botId, user } = event
    const isOwn = user === settings['botUserId']
    if (isOwn && type === 'message' && botId !== undefined) return { ...nothing(), known: 1 }
    const isPersons = user !== undefined && !isOwn && botId === undefined
    const content = isPersons ? contentOf(event) : undefined
    if (!content)
      return { ...nothing(), skipped: [{ item: body, reason: 'It is nothing that a person said.' }] }
    const { channel, ts, event_ts: eventTs } = event
    return {
      ...nothing(),
      messages: [
        {
          ...content,
          // Only messages have an id of their own: a time stamp, which names them in their channel.
          externalMessageId: type === 'message' ? messageId(channel, ts) : (body['event_id'] as string),
          from: user as string,
          sentAt: timeAt(Number(ts ?? eventTs) * 1000, now),
          raw: event,
        },
      ],
    }
  },
}

function contentOf(event: Event): MessageContent | undefined {
  const { type, subtype, channel, ts, text = '', files, reaction, item } = event
  if (type === 'reaction_added' || type === 'reaction_removed') {
    if (item?.type !== 'message' || reaction === undefined) return undefined
    const about = {
      emoji: `:${reaction}:`,
      message_id: messageId(item.channel, item.ts),
      removed: type === 'reaction_removed',
    }
    return { kind: 'reaction', text: '', parts: { reaction: about } }
  }
  if (type !== 'message' || ABOUT_ANOTHER.has(subtype) || !channel || !ts) return undefined
  if (files?.length) return { kind: mediaKind(files[0]?.mimetype), text }
  if (WRITTEN.has(subtype)) return { kind: 'text', text }
  const happened = { type: String(subtype), external_id: null, other_external_id: null }
  return { kind: 'system', text, parts: { system: happened } }
}

/** A time stamp names a message in its channel only. */
const messageId = (channel: string | undefined, ts: string | undefined): string => `${channel}:${ts}`
