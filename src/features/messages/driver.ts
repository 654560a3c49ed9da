import { createHmac } from 'node:crypto'
import type { TObject } from '@sinclair/typebox'
import type { OutboundResponse } from '../../platform/outbound/http.ts'
import { asWritten, isNumber } from '../../platform/json/exact-numbers.ts'
import { withoutByteOrderMark } from '../../platform/http/raw-json.ts'
import { nestedDeeperThan } from '../../platform/json/slices.ts'
import type { Credentials, Download } from '../../platform/outbound/download.ts'
import { sameDigest } from '../../platform/secrets/secret-box.ts'
import type { SentEdges } from '../entities/index.ts'
import type { MessageStatus } from '../events/index.ts'
import type { MessageKind, MessageParts } from './message-content.ts'

/** What a connection was set up with. */
export interface Account {
  settings: Record<string, string>
  credentials: Record<string, string>
}

/** A message on its way out. */
export interface OutgoingMessage {
  eventId: string
  appId: string
  connectionId: string
  /** The recipient's id on the platform. */
  to: string
  text: string
  role: string
  edges: SentEdges
  /** Where the platform may send its webhooks; undefined while the service's public address is not known. */
  webhookUrl: string | undefined
}

export interface OutgoingRequest {
  url: string
  headers: Record<string, string>
  body: string
}

/** What a platform said of a message that was given to it; `code` is its own for the error. */
export type SendAnswer =
  | { messageId: string }
  | { error: string; code?: string | undefined; final: boolean; retryAfterMs?: number | undefined }

/** A webhook as it came in. */
export interface IncomingRequest {
  /** The whole address that the platform called, as far as it is known. */
  url: string
  headers: Record<string, string | string[] | undefined>
  /** The body to the letter. */
  text: string
  /** Milliseconds since the Unix epoch. */
  now: number
}

/** What a message is, in one form over all platforms. */
export interface MessageContent {
  kind: MessageKind
  /** What its sender wrote, or what a person would read of it; empty for a picture without a caption. */
  text: string
  parts?: MessageParts
}

export interface IncomingMessage extends MessageContent {
  externalMessageId: string
  /** The sender's id on the platform. */
  from: string
  /** Another id that the sender has there. */
  otherFrom?: string | undefined
  name?: string | undefined
  sentAt: Date
  /** What came with it; nothing unless given. */
  attachments?: readonly IncomingAttachment[] | undefined
  /** The message as the platform tells it. */
  raw: unknown
}

/** What came with a message, as the platform tells it: whatever is wrong of it counts as not told. */
export interface IncomingAttachment {
  /** The platform's own id of it: what has the same id on a connection is the same. */
  externalId: unknown
  name?: unknown
  mimeType?: unknown
  sizeBytes?: unknown
  /** In hex or base64. */
  sha256?: unknown
  /** Where its content is, if the platform tells. */
  url?: unknown
}

/** An attachment whose content is wanted. */
export interface WantedAttachment {
  /** Our own id of it. */
  id: string
  externalId: string
  url: string | null
  mimeType: string | null
}

/** How a driver gets what an attachment holds. */
export interface Fetching {
  /** @throws OutboundError */
  get: (url: string, credentials?: Credentials) => Promise<Download>
  /** Milliseconds since the Unix epoch. */
  now: number
}

/** Why a platform gives no content, in a sentence for whoever asked for it. */
export class NoContentError extends Error {
  override name = 'NoContentError'
  readonly isGone: boolean

  constructor(message: string, { isGone = false } = {}) {
    super(message)
    this.isGone = isGone
  }
}

/** What a platform reports of a message that it was given. */
export interface IncomingReport {
  status: MessageStatus
  externalMessageId: string | undefined
  /** The event of the message, where the platform gives back what it was told. */
  eventId: string | undefined
  at: Date
  error?: { code: string | null; message: string } | undefined
  /** The report as the platform tells it. */
  raw: unknown
}

/** What a platform sent and nothing is made of. */
export interface SkippedItem {
  /** As the platform tells it. */
  item: unknown
  /** A sentence for whoever looks for it. */
  reason: string
}

export interface Incoming {
  messages: IncomingMessage[]
  reports: IncomingReport[]
  /** Every item that is neither: it is kept. */
  skipped: SkippedItem[]
  /** How many items tell only what is known already: that a message is on its way, or was sent from here. */
  known: number
  /** What the platform wants to be answered; nothing unless given. */
  answer?: { contentType: string; body: string }
}

/** Which kind a file is that came with a message. @param type its media type, as far as it is told */
export function mediaKind(type: unknown): MessageKind {
  const [, kind] = /^(image|audio|video)\//.exec(typeof type === 'string' ? type : '') ?? []
  return (kind as 'image' | 'audio' | 'video' | undefined) ?? 'document'
}

export const nothing = (): Incoming => ({ messages: [], reports: [], skipped: [], known: 0 })

/** A body that is not what the platform documents. */
export class UnreadableError extends Error {
  override name = 'UnreadableError'
}

/** One messaging platform: how to send through it and how to read what it sends. It holds no state. */
export interface PlatformDriver {
  platform: string
  /** Schemas of what a connection is set up with; every member is a string. */
  settings: TObject
  credentials: TObject
  /** In characters. */
  maxTextLength: number
  /** Our own side's id on the platform. */
  ownExternalId(settings: Account['settings']): string
  send(message: OutgoingMessage, account: Account, now: number): OutgoingRequest
  readAnswer(response: OutboundResponse, message: OutgoingMessage): SendAnswer
  /** Whether a webhook comes from the platform: its signature over the very bytes. */
  isGenuine(request: IncomingRequest, account: Account): boolean
  /**
   * Whether senders are told what cannot be read (400), to send it again mended. Vendors would repeat the same
   * and then switch the webhook off: what they sign is answered with 200 and kept.
   */
  refusesUnreadable?: true
  /** @throws UnreadableError when nothing of it can be read */
  read(request: IncomingRequest, account: Account): Incoming
  /**
   * Asks for the content of an attachment. What comes is looked at by its status; credentials are for the
   * platform's own origins only.
   *
   * @throws NoContentError, OutboundError
   */
  fetchAttachment(wanted: WantedAttachment, account: Account, fetching: Fetching): Promise<Download>
  /** What to answer when the platform asks, by a GET, whether this is the right address. */
  challenge?(query: Record<string, string | undefined>, account: Account): string | undefined
}

/** Whether a text is the HMAC of another; compared in constant time. */
export function isHmac(
  algorithm: 'sha1' | 'sha256',
  encoding: 'hex' | 'base64',
  { key, text, given }: { key: string; text: string; given: string },
): boolean {
  return sameDigest(createHmac(algorithm, key).update(text).digest(), Buffer.from(given, encoding))
}

/** The first value of a header; empty when there is none. */
export const headerOf = ({ headers }: IncomingRequest, name: string): string =>
  [headers[name]].flat()[0] ?? ''

/**
 * JSON of what a platform answered; an empty object for anything else. Of an object that was cut off it is the
 * members before the cut.
 */
export function jsonOf(text: string): Record<string, unknown> {
  const value = parsed(text) ?? parsed(wholeMembers(text))
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The text of an object up to the last member that is whole. */
function wholeMembers(text: string): string {
  let depth = 0
  let end = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    if (isQuoted && character === '\\') at++
    else if (character === '"') isQuoted = !isQuoted
    else if (isQuoted) continue
    else if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    else if (character === ',' && depth === 1) end = at
  }
  return `${text.slice(0, end)}}`
}

/** How deep the JSON of a webhook may be nested, as payloads may. */
const MAX_DEPTH = 100

/** The JSON object that a webhook's body is. */
export interface BodyObject {
  /** With numbers of JavaScript, to be checked and read. */
  plain: Record<string, unknown>
  /** With numbers as they are written: what is kept of it is kept to the letter. */
  asWritten: Record<string, unknown>
}

/** @throws UnreadableError */
export function readBody(body: string): BodyObject {
  const text = withoutByteOrderMark(body)
  let plain: unknown
  try {
    plain = JSON.parse(text)
  } catch {
    throw new UnreadableError('It is not JSON.')
  }
  if (!isObject(plain)) throw new UnreadableError('It is no JSON object.')
  if (nestedDeeperThan(MAX_DEPTH, text, [0, text.length])) {
    throw new UnreadableError(`It is nested deeper than ${MAX_DEPTH}.`)
  }
  return { plain, asWritten: asWritten(text, plain) as BodyObject['asWritten'] }
}

/**
 * Reads the items of a list one by one. What cannot be read of one does not keep the others back: it is
 * skipped.
 *
 * @throws UnreadableError when it is no list
 */
export function readEach(list: unknown, into: Incoming, read: (item: Record<string, unknown>) => void): void {
  if (!Array.isArray(list)) throw new UnreadableError('Where a list is expected there is none.')
  for (const item of list as unknown[]) {
    try {
      if (!isObject(item)) throw new UnreadableError('It is no JSON object.')
      read(item)
    } catch (error) {
      if (!(error instanceof UnreadableError || error instanceof TypeError)) throw error
      into.skipped.push({ item, reason: `It cannot be read: ${error.message}` })
    }
  }
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isNumber(value)

/** A number of a webhook's body as JavaScript has it; anything else as it is. */
export const asDouble = <T>(value: T): T | number => (isNumber(value) ? Number(String(value)) : value)

/** A time that a platform tells, in milliseconds; now, where it tells none. */
export const timeAt = (ms: number, now: number): Date => {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? new Date(now) : date
}
