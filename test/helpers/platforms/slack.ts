import { createHmac } from 'node:crypto'
import type { Test } from 'tap'
import type { Messenger, Taken, Webhook } from './messenger.ts'
import { jsonReply, startPlatformServer, type PlatformRequest, type Reply } from './server.ts'

const NOBODY = 'C00000NOBODY'

/** Slack answers what it refuses with 200. */
const slackError = (error: string): Reply => jsonReply(200, { ok: false, error })

/** The signature of https://docs.slack.dev/authentication/verifying-requests-from-slack */
export const slackSignature = (secret: string, timestamp: string, body: string | Buffer): string =>
  `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:`).update(body).digest('hex')}`

export const slackWebhook = (body: object): Webhook => ({
  contentType: 'application/json',
  body: JSON.stringify(body),
})

export const slackEvent = (event: object): Webhook =>
  slackWebhook({
    token: 'one-long-verification-token',
    team_id: 'T061EG9R6',
    api_app_id: 'A0PNCHHK2',
    type: 'event_callback',
    event_id: 'Ev0PV52K21',
    event_time: 1_355_517_523,
    event,
  })

/** A slash command, or an interaction as `payload`. */
export const slackForm = (form: Record<string, string>): Webhook => ({
  contentType: 'application/x-www-form-urlencoded',
  body: new URLSearchParams({ token: 'one-long-verification-token', ...form }).toString(),
})

export const slackInteraction = (payload: object): Webhook =>
  slackForm({ payload: JSON.stringify({ token: 'one-long-verification-token', ...payload }) })

/** Slack's Web API: https://docs.slack.dev/reference/methods/chat.postMessage */
export async function startSlack(t: Test): Promise<Messenger> {
  const taken: Taken[] = []
  const credentials = { botToken: 'xoxb-bot-token', signingSecret: 'signing-secret-of-slack' }

  function judge(request: PlatformRequest): Reply {
    if (request.method !== 'POST' || request.path !== '/api/chat.postMessage') {
      return slackError('unknown_method')
    }
    if (request.headers.authorization === undefined) return slackError('not_authed')
    if (request.headers.authorization !== `Bearer ${credentials.botToken}`) return slackError('invalid_auth')
    if (!/^application\/json; charset=utf-8$/.test(request.headers['content-type'] ?? '')) {
      return slackError('invalid_post_type')
    }
    const { channel, text } = JSON.parse(request.text) as { channel: string; text: string }
    if (channel === NOBODY) return slackError('channel_not_found')
    if (text === '') return slackError('no_text')
    const ts = `1503435956.${String(taken.length + 1).padStart(6, '0')}`
    // what people see of it
    const shown = text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
    taken.push({ id: `${channel}:${ts}`, to: channel, text: shown, eventId: undefined })
    const message = {
      text,
      username: 'heliograph',
      bot_id: 'B123ABC456',
      type: 'message',
      subtype: 'bot_message',
      ts,
    }
    return jsonReply(200, { ok: true, channel, ts, message })
  }

  const server = await startPlatformServer(t, judge)
  return {
    platform: 'slack',
    settings: { botUserId: 'U0123ABCDEF', apiUrl: server.url },
    credentials,
    somebody: 'C123ABC456',
    nobody: NOBODY,
    server,
    taken,
    answers: {
      passing: [slackError('internal_error'), slackError('invalid_auth'), { status: 503, body: '' }],
      final: [slackError('channel_not_found'), slackError('is_archived')],
      rateLimited: (seconds) =>
        jsonReply(429, { ok: false, error: 'ratelimited' }, { 'retry-after': String(seconds) }),
    },
    inbound: ({ id, from, text }) =>
      slackEvent({
        type: 'message',
        channel: 'D024BE91L',
        user: from,
        ts: id,
        event_ts: id,
        channel_type: 'im',
        ...(text === undefined
          ? { text: '', subtype: 'file_share', files: [{ id: 'F0RDC39U1', mimetype: 'image/png' }] }
          : { text }),
      }),
    sign: ({ body }, _address, { secret = credentials.signingSecret, at } = {}) => {
      const timestamp = String(at ?? Math.floor(Date.now() / 1000))
      return {
        'x-slack-request-timestamp': timestamp,
        'x-slack-signature': slackSignature(secret, timestamp, body),
      }
    },
  }
}
