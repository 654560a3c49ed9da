import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Test } from 'tap'
import { sentFile, type Messenger, type SentFile, type Taken, type Webhook } from './messenger.ts'
import { jsonReply, startPlatformServer, type PlatformRequest, type Reply } from './server.ts'

const NOBODY = 'nobody'

/** The signature of https://www.standardwebhooks.com */
export const standardSignature = (
  secret: string,
  id: string,
  timestamp: string,
  body: string | Buffer,
): string =>
  `v1,${createHmac('sha256', Buffer.from(secret.replace('whsec_', ''), 'base64'))
    .update(`${id}.${timestamp}.`)
    .update(body)
    .digest('base64')}`

export const httpWebhook = (body: object): Webhook => ({
  contentType: 'application/json',
  body: JSON.stringify(body),
})

/** A platform of one's own, as the generic HTTP driver has it. */
export async function startHttpPlatform(t: Test): Promise<Messenger> {
  const taken: Taken[] = []
  const credentials = { secret: `whsec_${Buffer.alloc(32, 0xcd).toString('base64')}` }

  const files = new Map<string, SentFile>()

  function giveFile(request: PlatformRequest): Reply {
    if (!isSigned(request)) return jsonReply(401, { error: 'wrong signature' })
    const file = files.get(/^\/files\/(\w+)$/.exec(request.path)?.[1] ?? '')
    return file ? sentFile(file) : jsonReply(404, { error: 'no such file' })
  }

  function isSigned({ headers, text }: PlatformRequest): boolean {
    const header = (name: string): string => String(headers[name])
    const [id, timestamp] = [header('webhook-id'), header('webhook-timestamp')]
    const expected = Buffer.from(standardSignature(credentials.secret, id, timestamp, text))
    const given = Buffer.from(header('webhook-signature'))
    return expected.length === given.length && timingSafeEqual(expected, given)
  }

  function judge(request: PlatformRequest): Reply {
    if (request.method === 'GET') return giveFile(request)
    if (request.method !== 'POST' || request.path !== '/messages?tenant=7') {
      return jsonReply(404, { error: 'no such path' })
    }
    if (!isSigned(request)) return jsonReply(401, { error: 'wrong signature' })
    const body = JSON.parse(request.text) as { event_id: string; to: string; message: { text: string } }
    if (body.to === NOBODY) return jsonReply(422, { error: 'unknown recipient' })
    taken.push({ id: `m-${taken.length + 1}`, to: body.to, text: body.message.text, eventId: body.event_id })
    return jsonReply(201, { id: `m-${taken.length}` })
  }

  const server = await startPlatformServer(t, judge)
  return {
    platform: 'http',
    settings: { url: `${server.url}/messages?tenant=7` },
    credentials,
    somebody: 'ada',
    nobody: NOBODY,
    server,
    taken,
    answers: {
      passing: [jsonReply(500, { error: 'oops' }), jsonReply(401, {}), { status: 404, body: 'not yet' }],
      final: [jsonReply(422, { error: 'unknown recipient' }), { status: 400, body: '' }],
      rateLimited: (seconds) => jsonReply(429, {}, { 'retry-after': String(seconds) }),
    },
    inbound({ id, from, text = '', name, file }) {
      if (file) files.set(file.id, file)
      const attachments = file && [
        {
          id: file.id,
          url: `${server.url}/files/${file.id}`,
          name: file.name,
          mime_type: file.type,
          size_bytes: file.content.length,
          sha256: createHash('sha256').update(file.content).digest('hex'),
        },
      ]
      return httpWebhook({ messages: [{ id, from, text, name, attachments }] })
    },
    report: ({ id, eventId }, status) =>
      httpWebhook({
        statuses: [
          {
            id,
            status,
            ...(eventId !== undefined && { event_id: eventId }),
            ...(status === 'failed' && { error: { code: 'E7', message: 'switched off' } }),
          },
        ],
      }),
    sign: ({ body }, _address, { secret = credentials.secret, at } = {}) => {
      const timestamp = String(at ?? Math.floor(Date.now() / 1000))
      return {
        'webhook-id': 'msg_1',
        'webhook-timestamp': timestamp,
        'webhook-signature': standardSignature(secret, 'msg_1', timestamp, body),
      }
    },
  }
}
