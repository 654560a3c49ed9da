import type { Log } from '../../platform/log.ts'
import { Problem } from '../../platform/http/problems.ts'
import { isUuid } from '../../platform/ids.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { PlatformUserService } from '../entities/index.ts'
import { messageReport, type Appender, type EventReader, type NewEvent } from '../events/index.ts'
import { findLinkCode, type LinkCodeService } from '../identities/index.ts'
import type { OpenConnection } from './connections.ts'
import {
  UnreadableError,
  type Account,
  type Incoming,
  type IncomingMessage,
  type IncomingReport,
  type IncomingRequest,
  type PlatformDriver,
} from './drivers/driver.ts'
import { driverOf } from './drivers/index.ts'

/** Ids that platforms give; longer ones are none of theirs. */
const MAX_ID_LENGTH = 500

/**
 * Takes what platforms send: messages become `message.inbound`, reports become children of the message they
 * are about. A platform may repeat itself; each message and each status is appended once.
 */
export function createMessageReceiver(options: {
  db: Database
  appender: Appender
  events: EventReader
  platformUsers: PlatformUserService
  linkCodes: LinkCodeService
  log: Log
  maxPayloadBytes: number
}) {
  const { db, appender, events, platformUsers, linkCodes, log, maxPayloadBytes } = options

  async function toInbound(
    { appId, id, platform, ownUserId }: OpenConnection,
    message: IncomingMessage,
  ): Promise<{ event: NewEvent; sender: string }> {
    const { externalMessageId, from, text, sentAt, raw } = message
    const sender = await platformUsers.ensure(appId, {
      platformConnectionId: id,
      externalId: from,
      name: storable(message.name),
    })
    const whole = {
      type: 'message',
      message: { text, role: 'user' },
      platform,
      external_message_id: externalMessageId,
      created_at: sentAt.toISOString(),
      sent_at: sentAt.toISOString(),
      delivered_at: null,
      read_at: null,
      failed_at: null,
      platform_connection_id: id,
      raw,
    }
    const fits = (value: object): boolean => Buffer.byteLength(JSON.stringify(value)) <= maxPayloadBytes
    const payload = fits(whole) ? whole : { ...whole, raw: null }
    if (!fits(payload)) {
      throw new Problem('payload-too-large', `A message may take ${maxPayloadBytes} bytes.`)
    }
    const event: NewEvent = {
      type: 'message.inbound',
      payload: JSON.stringify(payload),
      payloadValue: payload,
      edges: [
        { type: 'sent_by', targetType: 'platform_user', targetId: sender },
        { type: 'sent_to', targetType: 'user', targetId: ownUserId },
      ],
      ownKey: { kind: 'message', value: `${id}/${externalMessageId}` },
    }
    return { event, sender }
  }

  /** The event of the message that a report is about; undefined for one that was not sent from here. */
  async function originOf(
    { appId, id }: OpenConnection,
    report: IncomingReport,
  ): Promise<string | undefined> {
    const { eventId, externalMessageId } = report
    if (eventId !== undefined && isUuid(eventId)) {
      const owed = await db
        .selectFrom('deliveries')
        .select('event_id')
        .where('app_id', '=', appId)
        .where('event_id', '=', eventId)
        .where('subscription_id', '=', id)
        .executeTakeFirst()
      if (owed) return owed.event_id
    }
    if (externalMessageId === undefined) return undefined
    const sent = await db
      .selectFrom('sent_messages')
      .select('event_id')
      .where('app_id', '=', appId)
      .where('platform_connection_id', '=', id)
      .where('external_message_id', '=', externalMessageId)
      .orderBy('event_id')
      .executeTakeFirst()
    return sent?.event_id
  }

  async function toReport(connection: OpenConnection, report: IncomingReport): Promise<NewEvent | undefined> {
    const eventId = await originOf(connection, report)
    if (eventId === undefined) return undefined
    const { status, externalMessageId, at, error } = report
    const origin = await events.get(connection.appId, eventId)
    const known = { external_message_id: externalMessageId, [`${status}_at`]: at.toISOString() }
    const payload = { ...messageReport(origin, status, known, at.getTime()), ...(error && { error }) }
    return {
      type: `message.${status}`,
      payload: JSON.stringify(payload),
      payloadValue: payload,
      originEventId: eventId,
      ownKey: { kind: 'report', value: `${eventId}/${status}` },
    }
  }

  /** Whoever wrote a link code from here is whoever it was made for. */
  async function activateCodes(
    connection: OpenConnection,
    messages: readonly { text: string; sender: string }[],
  ): Promise<void> {
    for (const { text, sender } of messages) {
      const code = findLinkCode(text)
      if (code === undefined) continue
      await linkCodes
        .activate(connection.appId, { code, platformUserId: sender }, { onlyMerging: true })
        .catch((error: unknown) => {
          if (!(error instanceof Problem) || error.status >= 500) throw error
          log.info(
            { appId: connection.appId, problem: error.problem },
            'a link code in a message was refused',
          )
        })
    }
  }

  return {
    /**
     * @returns what to answer the platform
     * @throws Problem when the request is not the platform's, or cannot be read; nothing was stored
     */
    async receive(connection: OpenConnection, request: IncomingRequest): Promise<Incoming['answer']> {
      const driver = driverOf(connection.platform)
      if (!driver.isGenuine(request, connection.account)) {
        throw new Problem(
          'invalid-signature',
          'The signature does not fit the credentials of the connection.',
        )
      }
      const { messages, reports, answer } = readAs(driver, request, connection.account)
      const inbound = await Promise.all(messages.map((message) => toInbound(connection, message)))
      const children = await Promise.all(reports.map((report) => toReport(connection, report)))
      const known = children.filter((child) => child !== undefined)
      const fresh = [...distinct([...inbound.map(({ event }) => event), ...known])]
      if (fresh.length > 0) await appender.append(connection.appId, fresh, { isBatch: true })
      if (connection.detectLinkCodes) {
        await activateCodes(
          connection,
          inbound.map(({ sender }, index) => ({ sender, text: (messages[index] as IncomingMessage).text })),
        )
      }
      const { appId, id, platform } = connection
      const unknown = reports.length - known.length
      log.info(
        { appId, connectionId: id, platform, messages: messages.length, reports: reports.length, unknown },
        'platform webhook',
      )
      return answer
    },
  }
}

export type MessageReceiver = ReturnType<typeof createMessageReceiver>

function readAs(driver: PlatformDriver, request: IncomingRequest, account: Account): Incoming {
  const refuse = (detail: string): Problem =>
    new Problem('validation-failed', `The webhook cannot be read: ${detail}`)
  let incoming: Incoming
  try {
    incoming = driver.read(request, account)
  } catch (error) {
    if (error instanceof UnreadableError || error instanceof TypeError) throw refuse(error.message)
    throw error
  }
  const isId = (id: unknown): boolean =>
    typeof id === 'string' &&
    id !== '' &&
    id.length <= MAX_ID_LENGTH &&
    !id.includes('\0') &&
    id.isWellFormed()
  // A platform repeats what is refused: one bad part must not keep the others of its request back for ever.
  const messages = incoming.messages.filter(
    ({ externalMessageId, from, text }) => isId(externalMessageId) && isId(from) && typeof text === 'string',
  )
  const reports = incoming.reports.filter(({ externalMessageId: id }) => id === undefined || isId(id))
  const isAnything = incoming.messages.length + incoming.reports.length > 0
  if (isAnything && messages.length + reports.length === 0) {
    throw refuse('no message has an id, a sender and a text, and no status a proper id.')
  }
  return { ...incoming, messages, reports }
}

/** One request may tell the same thing twice; a batch takes each key once. */
function* distinct(events: readonly NewEvent[]): Generator<NewEvent> {
  const seen = new Set<string>()
  for (const event of events) {
    const key = JSON.stringify(event.ownKey)
    if (!seen.has(key)) yield event
    seen.add(key)
  }
}

const storable = (name: unknown): string | undefined =>
  typeof name === 'string' ? name.replaceAll('\0', '').slice(0, 200).toWellFormed() || undefined : undefined
