import { call, type Answer, type Client, type Service } from '../service.ts'
import type { PlatformServer, Reply } from './server.ts'

/** A message that a platform took. */
export interface Taken {
  /** The platform's id of it. */
  id: string
  to: string
  text: string
  /** What the platform was told to give back with its reports. */
  eventId: string | undefined
}

/** What a platform sends to a webhook. */
export interface Webhook {
  /** Follows the webhook's address. */
  query?: string
  contentType: string
  body: string | Buffer
}

export interface Signing {
  /** Another secret than the connection's. */
  secret?: string
  /** When it was signed, in seconds; now unless told. */
  at?: number
}

export type Status = 'delivered' | 'read' | 'failed'

/** A file that somebody sends, which the platform has from then on. */
export interface SentFile {
  id: string
  name: string
  type: string
  content: Buffer
}

/** A platform's answer with a file. */
export const sentFile = ({ type, content }: SentFile): Reply => ({
  status: 200,
  headers: { 'content-type': type, 'content-length': String(content.length) },
  body: content,
})

export interface PersonsMessage {
  id: string
  from: string
  /** Left out: a message without text, such as a picture. */
  text?: string
  name?: string
  file?: SentFile
}

/** A platform's API as it documents it, on the loopback, and what it would send. */
export interface Messenger {
  platform: string
  settings: Record<string, string>
  credentials: Record<string, string>
  /** A recipient's id as the platform has them, and one that nobody has. */
  somebody: string
  nobody: string
  server: PlatformServer
  taken: Taken[]
  answers: {
    /** Worth another try. */
    passing: Reply[]
    /** Never taken, however often it is sent. */
    final: Reply[]
    /** Asks for a wait, in seconds. */
    rateLimited(seconds: number): Reply
  }
  inbound(message: PersonsMessage): Webhook
  /** Undefined where the platform reports nothing. */
  report?(message: Pick<Taken, 'id' | 'eventId'>, status: Status): Webhook
  /** Headers that prove who sent it. */
  sign(webhook: Webhook, address: string, signing?: Signing): Record<string, string>
}

/** What a test needs of a connection that was created. */
export interface Connection {
  id: string
  webhookUrl: string
  ownPlatformUserId: string
  ownUserId: string
  [more: string]: unknown
}

export async function connect(
  client: Client,
  { platform, settings, credentials }: Pick<Messenger, 'platform' | 'settings' | 'credentials'>,
  more: object = {},
): Promise<Connection> {
  const body = { platform, name: `our ${platform}`, settings, credentials, ...more }
  const answer = await client.post('/platform-connections', body)
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body
}

/** Has the platform call the connection's webhook. */
export function deliver(
  service: Pick<Service, 'url'>,
  connection: Pick<Connection, 'id' | 'webhookUrl'>,
  messenger: Pick<Messenger, 'sign'>,
  webhook: Webhook,
  signing: Signing = {},
): Promise<Answer> {
  const { query = '', contentType, body } = webhook
  const path = `/platform-connections/${connection.id}/webhook${query}`
  const hasLocalWorker = connection.webhookUrl.startsWith('http')
  const address = hasLocalWorker ? connection.webhookUrl + query : service.url + path
  return call(service.url, 'POST', path, {
    body,
    headers: { 'content-type': contentType, ...messenger.sign(webhook, address, signing) },
  })
}
