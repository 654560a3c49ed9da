/** Bodies that create platform connections. */

export const HTTP_SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`

/** A platform of one's own, which messages are posted to. */
export const httpConnection = (url = 'https://example.com/messages', name = 'support') => ({
  platform: 'http',
  name,
  settings: { url },
  credentials: { secret: HTTP_SECRET },
})

export const WHATSAPP_CONNECTION = {
  platform: 'whatsapp',
  name: 'a number',
  settings: { phoneNumberId: '106540352242922' },
  credentials: { accessToken: 'token', appSecret: 'app secret', verifyToken: 'verify me' },
}

export const TWILIO_CONNECTION = {
  platform: 'twilio',
  name: 'short messages',
  settings: { accountSid: `AC${'0'.repeat(32)}`, from: '+15005550006' },
  credentials: { authToken: 'auth token' },
}
