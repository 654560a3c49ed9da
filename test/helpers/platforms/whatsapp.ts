import { createHash, createHmac } from 'node:crypto'
import type { Test } from 'tap'
import { sentFile, type Messenger, type SentFile, type Taken, type Webhook } from './messenger.ts'
import { jsonReply, startPlatformServer, type PlatformRequest, type Reply } from './server.ts'

const PHONE_NUMBER_ID = '106540352242922'
const NOBODY = '15550000000'
const MAX_TEXT = 4096

/** An error as the Graph API answers it. */
export const graphError = (
  status: number,
  code: number,
  message: string,
  headers: Record<string, string> = {},
): Reply =>
  jsonReply(
    status,
    {
      error: {
        message: `(#${code}) ${message}`,
        type: 'OAuthException',
        code,
        error_data: { messaging_product: 'whatsapp', details: `${message}, in more words.` },
        fbtrace_id: 'Az8or2yhqkZfEZ-_4Qn_Bam',
      },
    },
    headers,
  )

/** A webhook of one account with one change. */
export const whatsappWebhook = (...values: object[]): Webhook => ({
  contentType: 'application/json',
  body: JSON.stringify({
    object: 'whatsapp_business_account',
    entry: values.map((value) => ({ id: '102290129340398', changes: [{ field: 'messages', value }] })),
  }),
})

export const whatsappValue = (more: object): object => ({
  messaging_product: 'whatsapp',
  metadata: { display_phone_number: '15550783881', phone_number_id: PHONE_NUMBER_ID },
  ...more,
})

export const whatsappContact = (from: string, name = 'Kerry Fisher'): object => ({
  profile: { name },
  wa_id: from,
})

export const whatsappText = (id: string, from: string, body: string): object => ({
  from,
  id,
  timestamp: '1748956200',
  type: 'text',
  text: { body },
})

const whatsappMedia = ({ id, name, type, content }: SentFile, caption?: string): object => ({
  ...(caption !== undefined && { caption }),
  filename: name,
  mime_type: type,
  sha256: createHash('sha256').update(content).digest('base64'),
  id,
})

/** Meta's Cloud API: https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages */
export async function startWhatsApp(t: Test): Promise<Messenger> {
  const taken: Taken[] = []
  const credentials = {
    accessToken: 'EAAJB-access-token',
    appSecret: 'app-secret-of-meta',
    verifyToken: 'verify-token',
  }
  const path = `/v23.0/${PHONE_NUMBER_ID}/messages`

  const media = new Map<string, SentFile>()

  /** https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media */
  function giveMedia(request: PlatformRequest): Reply {
    if (request.headers.authorization !== `Bearer ${credentials.accessToken}`) {
      return graphError(401, 190, 'Error validating access token')
    }
    const [, asked, byAddress] =
      /^(?:\/v23\.0\/(\w+)\?phone_number_id=\d+|\/whatsapp_business\/attachments\/\?mid=(\w+))$/.exec(
        request.path,
      ) ?? []
    const file = media.get(asked ?? byAddress ?? '')
    if (!file) return graphError(400, 100, 'Unsupported get request. The object does not exist')
    const { id, type, content } = file
    if (asked === undefined) return sentFile(file)
    const url = `${server.url}/whatsapp_business/attachments/?mid=${id}`
    const file_size = content.length
    return jsonReply(200, { messaging_product: 'whatsapp', url, mime_type: type, file_size, id })
  }

  function judge(request: PlatformRequest): Reply {
    if (request.method === 'GET') return giveMedia(request)
    if (request.method !== 'POST' || request.path !== path) {
      return graphError(400, 100, 'Unsupported post request')
    }
    if (request.headers.authorization !== `Bearer ${credentials.accessToken}`) {
      return graphError(401, 190, 'Error validating access token')
    }
    const body = JSON.parse(request.text) as {
      messaging_product: string
      to?: string
      recipient?: string
      type: string
      text: { body: string }
      biz_opaque_callback_data?: string
    }
    const isText = body.messaging_product === 'whatsapp' && body.type === 'text' && body.text.body !== ''
    if (!isText || request.headers['content-type'] !== 'application/json' || body.text.body.length > MAX_TEXT)
      return graphError(400, 100, 'Invalid parameter')
    const to = body.to ?? body.recipient ?? ''
    // Numbers go under `to`, ids of users under `recipient`.
    if ((body.to === undefined) !== /^[A-Z]{2}\./.test(to)) return graphError(400, 100, 'Invalid parameter')
    if (to === NOBODY) return graphError(400, 131_030, 'Recipient phone number not in allowed list')
    const id = `wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBI${taken.length + 1}A=`
    taken.push({ id, to, text: body.text.body, eventId: body.biz_opaque_callback_data })
    return jsonReply(200, {
      messaging_product: 'whatsapp',
      contacts: [{ input: to, ...(body.to !== undefined && { wa_id: to.replace('+', '') }) }],
      messages: [{ id }],
    })
  }

  const server = await startPlatformServer(t, judge)
  return {
    platform: 'whatsapp',
    settings: { phoneNumberId: PHONE_NUMBER_ID, apiUrl: server.url },
    credentials,
    somebody: '16505551234',
    nobody: NOBODY,
    server,
    taken,
    answers: {
      passing: [
        graphError(400, 131_056, 'Pair rate limit hit'),
        graphError(401, 190, 'Error validating access token'),
        graphError(500, 131_000, 'Something went wrong'),
        { status: 502, body: '<html>Bad Gateway</html>' },
      ],
      final: [
        graphError(400, 131_030, 'Recipient phone number not in allowed list'),
        graphError(400, 131_047, 'Re-engagement message'),
      ],
      rateLimited: (seconds) =>
        graphError(429, 130_429, 'Rate limit hit', { 'retry-after': String(seconds) }),
    },
    inbound({ id, from, text, name, file }) {
      if (file) media.set(file.id, file)
      return whatsappWebhook(
        whatsappValue({
          contacts: [whatsappContact(from, name)],
          messages: [
            file
              ? { from, id, timestamp: '1748956200', type: 'document', document: whatsappMedia(file, text) }
              : text === undefined
                ? {
                    from,
                    id,
                    timestamp: '1748956200',
                    type: 'image',
                    image: {
                      mime_type: 'image/jpeg',
                      sha256: 'SfInY0gGKTsJlUWbwxC1k+FAD0FZHvzwfpvO0zX0GUI=',
                      id: '1003383421387256',
                    },
                  }
                : whatsappText(id, from, text),
          ],
        }),
      )
    },
    report: ({ id, eventId }, status) =>
      whatsappWebhook(
        whatsappValue({
          statuses: [
            {
              id,
              status,
              timestamp: '1748956300',
              recipient_id: '16505551234',
              ...(eventId !== undefined && { biz_opaque_callback_data: eventId }),
              ...(status === 'failed' && {
                errors: [
                  {
                    code: 131_026,
                    title: 'Message undeliverable',
                    message: 'Message undeliverable',
                    error_data: { details: 'Message Undeliverable.' },
                  },
                ],
              }),
            },
          ],
        }),
      ),
    sign: ({ body }, _address, { secret = credentials.appSecret } = {}) => ({
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    }),
  }
}
