import { createHmac } from 'node:crypto'
import type { Test } from 'tap'
import { sentFile, type Messenger, type SentFile, type Taken, type Webhook } from './messenger.ts'
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

  const files = new Map<string, SentFile>()

  /** https://docs.slack.dev/reference/objects/file-object#auth: who may not see a file gets a page to sign in on. */
  function giveFile({ path, headers }: PlatformRequest): Reply {
    const isAllowed = headers.authorization === `Bearer ${credentials.botToken}`
    const [, asked] = /^\/api\/files\.info\?file=(\w+)$/.exec(path) ?? []
    if (asked !== undefined) {
      const file = files.get(asked)
      if (!isAllowed) return slackError('invalid_auth')
      return file ? jsonReply(200, { ok: true, file: slackFile(file) }) : slackError('file_not_found')
    }
    const file = files.get(/^\/files-pri\/T061EG9R6-(\w+)\/download\//.exec(path)?.[1] ?? '')
    if (!isAllowed)
      return { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Sign in</html>' }
    return file ? sentFile(file) : { status: 404, body: '' }
  }

  const slackFile = ({ id, name, type, content }: SentFile): object => ({
    id,
    name,
    title: 'something else',
    mimetype: type,
    size: content.length,
    url_private: `${server.url}/files-pri/T061EG9R6-${id}/${encodeURIComponent(name)}`,
    url_private_download: `${server.url}/files-pri/T061EG9R6-${id}/download/${encodeURIComponent(name)}`,
  })

  function judge(request: PlatformRequest): Reply {
    if (request.method === 'GET') return giveFile(request)
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
    inbound({ id, from, text, file }) {
      if (file) files.set(file.id, file)
      return slackEvent({
        type: 'message',
        channel: 'D024BE91L',
        user: from,
        ts: id,
        event_ts: id,
        channel_type: 'im',
        ...(text === undefined
          ? { text: '', subtype: 'file_share', files: [{ id: 'F0RDC39U1', mimetype: 'image/png' }] }
          : { text }),
        ...(file && { subtype: 'file_share', files: [slackFile(file)] }),
      })
    },
    sign: ({ body }, _address, { secret = credentials.signingSecret, at } = {}) => {
      const timestamp = String(at ?? Math.floor(Date.now() / 1000))
      return {
        'x-slack-request-timestamp': timestamp,
        'x-slack-signature': slackSignature(secret, timestamp, body),
      }
    },
  }
}
