import { createHmac } from 'node:crypto'
import type { Test } from 'tap'
import { sentFile, type Messenger, type SentFile, type Taken, type Webhook } from './messenger.ts'
import { jsonReply, startPlatformServer, type PlatformRequest, type Reply } from './server.ts'

const ACCOUNT_SID = 'AC00000000000000000000000000000001'
const NUMBER = '+15005550006'
const NOBODY = '+15005550001'

/** An error as Twilio answers it. */
const twilioError = (
  status: number,
  code: number,
  message: string,
  headers: Record<string, string> = {},
): Reply =>
  jsonReply(
    status,
    { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status },
    headers,
  )

/**
 * The signature of https://www.twilio.com/docs/usage/security#validating-requests
 *
 * @param form each parameter with its value, or with all of them in the order in which they are sent
 */
export function twilioSignature(
  authToken: string,
  address: string,
  form: Record<string, string | readonly string[]>,
): string {
  let signed = address
  for (const name of Object.keys(form).toSorted()) {
    const values = [form[name] ?? []].flat()
    for (const value of values.filter((one, index) => values.indexOf(one) === index).toSorted()) {
      signed += `${name}${value}`
    }
  }
  return createHmac('sha1', authToken).update(signed, 'utf8').digest('base64')
}

export const twilioWebhook = (form: Record<string, string>, query = ''): Webhook => ({
  query,
  contentType: 'application/x-www-form-urlencoded',
  body: new URLSearchParams(form).toString(),
})

/** Twilio's Messages resource: https://www.twilio.com/docs/messaging/api/message-resource */
export async function startTwilio(t: Test): Promise<Messenger> {
  const taken: Taken[] = []
  const credentials = { authToken: 'auth-token-of-twilio' }
  const basic = Buffer.from(`${ACCOUNT_SID}:${credentials.authToken}`).toString('base64')

  const media = new Map<string, SentFile>()

  /** https://www.twilio.com/docs/messaging/api/media-resource: it is elsewhere, for whoever knows the address. */
  function giveMedia({ path, headers }: PlatformRequest): Reply {
    if (headers.authorization !== `Basic ${basic}`) return twilioError(401, 20_003, 'Authenticate')
    const sid = /\/Media\/(\w+)$/.exec(path)?.[1] ?? ''
    return media.has(sid)
      ? { status: 307, headers: { location: `${store.url}/${sid}?Signature=x` }, body: '' }
      : twilioError(404, 20_404, 'The requested resource was not found')
  }

  /** Like S3, it takes one proof of who asks only. */
  function giveStored({ path, headers }: PlatformRequest): Reply {
    const file = media.get(/^\/(\w+)\?Signature=x$/.exec(path)?.[1] ?? '')
    if (!file || headers.authorization !== undefined) return { status: 400, body: 'InvalidArgument' }
    return sentFile(file)
  }

  function judge(request: PlatformRequest): Reply {
    if (request.method === 'GET') return giveMedia(request)
    if (request.method !== 'POST' || request.path !== `/2010-04-01/Accounts/${ACCOUNT_SID}/Messages.json`) {
      return twilioError(404, 20_404, `The requested resource ${request.path} was not found`)
    }
    if (request.headers.authorization !== `Basic ${basic}`) return twilioError(401, 20_003, 'Authenticate')
    if (request.headers['content-type'] !== 'application/x-www-form-urlencoded') {
      return twilioError(400, 21_604, "A 'To' phone number is required.")
    }
    const form = new URLSearchParams(request.text)
    const [to, text] = [form.get('To') ?? '', form.get('Body') ?? '']
    if (to === NOBODY) return twilioError(400, 21_211, `The 'To' number ${to} is not a valid phone number.`)
    if (form.get('From') !== NUMBER) return twilioError(400, 21_603, "A 'From' phone number is required.")
    if (text.length > 1600) return twilioError(400, 21_617, 'The concatenated message body exceeds the limit')
    const callback = URL.parse(form.get('StatusCallback') ?? '')
    const sid = `SM${String(taken.length + 1).padStart(32, '0')}`
    taken.push({ id: sid, to, text, eventId: callback?.searchParams.get('eventId') ?? undefined })
    return jsonReply(201, {
      account_sid: ACCOUNT_SID,
      api_version: '2010-04-01',
      body: text,
      direction: 'outbound-api',
      error_code: null,
      error_message: null,
      from: NUMBER,
      num_segments: '1',
      sid,
      status: 'queued',
      to,
    })
  }

  const server = await startPlatformServer(t, judge)
  const store = await startPlatformServer(t, giveStored)
  return {
    platform: 'twilio',
    settings: { accountSid: ACCOUNT_SID, from: NUMBER, apiUrl: server.url },
    credentials,
    somebody: '+14155551234',
    nobody: NOBODY,
    server,
    taken,
    answers: {
      passing: [
        twilioError(401, 20_003, 'Authenticate'),
        twilioError(500, 20_500, 'Internal Server Error'),
        { status: 503, body: 'upstream connect error' },
      ],
      final: [
        twilioError(400, 21_211, "The 'To' number is not a valid phone number."),
        twilioError(400, 21_610, 'Attempt to send to unsubscribed recipient'),
      ],
      rateLimited: (seconds) =>
        twilioError(429, 20_429, 'Too Many Requests', { 'retry-after': String(seconds) }),
    },
    inbound({ id, from, text, name, file }) {
      if (file) media.set(file.id, file)
      return twilioWebhook({
        ToCountry: 'US',
        SmsMessageSid: id,
        NumMedia: text === undefined || file ? '1' : '0',
        SmsSid: id,
        SmsStatus: 'received',
        Body: text ?? '',
        To: NUMBER,
        NumSegments: '1',
        MessageSid: id,
        AccountSid: ACCOUNT_SID,
        From: from,
        ApiVersion: '2010-04-01',
        ...(name !== undefined && { ProfileName: name }),
        ...(text === undefined && {
          MediaContentType0: 'image/jpeg',
          MediaUrl0: `https://api.twilio.com/2010-04-01/Accounts/${ACCOUNT_SID}/Messages/${id}/Media/ME${id}`,
        }),
        ...(file && {
          MediaContentType0: file.type,
          MediaUrl0: `${server.url}/2010-04-01/Accounts/${ACCOUNT_SID}/Messages/${id}/Media/${file.id}`,
        }),
      })
    },
    report: ({ id, eventId }, status) =>
      twilioWebhook(
        {
          SmsSid: id,
          SmsStatus: status,
          MessageStatus: status,
          To: '+14155551234',
          MessageSid: id,
          AccountSid: ACCOUNT_SID,
          From: NUMBER,
          ApiVersion: '2010-04-01',
          ...(status === 'failed' && { ErrorCode: '30008' }),
        },
        eventId === undefined ? '' : `?eventId=${eventId}`,
      ),
    sign: ({ body }, address, { secret = credentials.authToken } = {}) => ({
      'x-twilio-signature': twilioSignature(
        secret,
        address,
        Object.fromEntries(new URLSearchParams(body.toString())),
      ),
    }),
  }
}
