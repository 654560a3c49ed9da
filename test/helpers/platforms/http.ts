import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Test } from 'tap'
import type { Messenger, Taken, Webhook } from './messenger.ts'
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

  function judge(request: PlatformRequest): Reply {
    if (request.method !== 'POST' || request.path !== '/messages?tenant=7') {
      return jsonReply(404, { error: 'no such path' })
    }
    const header = (name: string): string => String(request.headers[name])
    const [id, timestamp] = [header('webhook-id'), header('webhook-timestamp')]
    const expected = Buffer.from(standardSignature(credentials.secret, id, timestamp, request.text))
    const given = Buffer.from(header('webhook-signature'))
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) {
      return jsonReply(401, { error: 'wrong signature' })
    }
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
    inbound: ({ id, from, text, name }) =>
      httpWebhook({ messages: [{ id, from, text: text ?? '', ...(name !== undefined && { name }) }] }),
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
