import type { Log } from '../../platform/log/log.ts'
import { Problem } from '../../platform/http/problems.ts'
import { isUuid } from '../../platform/identifiers/ids.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { FileService } from '../entities/index.ts'
import { messageReport, type Appender, type EventReader, type NewEvent } from '../events/index.ts'
import { findLinkCode, type LinkCodeService, type Recognize } from '../identities/index.ts'
import { keptFiles } from './attachments.ts'
import type { OpenConnection } from './connections.ts'
import type { Incoming, IncomingMessage, IncomingReport, IncomingRequest, SkippedItem } from './driver.ts'
import { isId, readWebhook, skippedEvent } from './reading.ts'

interface Inbound {
  event: NewEvent
  text: string
  /** A platform user. */
  sender: string
}

/**
 * Takes what platforms send: messages become `message.inbound`, reports become children of the message they
 * are about, and whatever else it is is kept as `system.platform.skipped`. A platform may repeat itself; each
 * message, status and skipped item is appended once.
 */
export function createMessageReceiver(options: {
  db: Database
  appender: Appender
  events: EventReader
  recognize: Recognize
  files: FileService
  linkCodes: LinkCodeService
  log: Log
  maxPayloadBytes: number
}) {
  const { db, appender, events, recognize, files, linkCodes, log, maxPayloadBytes } = options

  async function toInbound(
    { appId, id, platform, driver, ownUserId }: OpenConnection,
    message: IncomingMessage,
  ): Promise<Inbound | SkippedItem> {
    const { externalMessageId, from, otherFrom, kind, text, parts, sentAt, attachments = [], raw } = message
    const reaction = parts?.reaction && {
      ...parts.reaction,
      event_id: (await eventOf(appId, id, parts.reaction.message_id)) ?? null,
    }
    const attached = await files.ensure(appId, id, keptFiles(attachments))
    const whole = {
      type: 'message',
      message: { text, role: 'user', kind, ...parts, ...(reaction && { reaction }) },
      platform,
      external_message_id: externalMessageId,
      created_at: sentAt.toISOString(),
      sent_at: sentAt.toISOString(),
      delivered_at: null,
      read_at: null,
      failed_at: null,
      platform_connection_id: id,
      attachments: attached.map((file) => ({
        file_id: file.id,
        name: file.filename,
        mime_type: file.mimeType,
        size_bytes: file.sizeBytes,
      })),
      raw,
    }
    const fits = (value: object): boolean => Buffer.byteLength(JSON.stringify(value)) <= maxPayloadBytes
    const payload = fits(whole) ? whole : { ...whole, raw: null }
    if (!fits(payload)) {
      const reason = `A message may take ${maxPayloadBytes} bytes.`
      if (driver.refusesUnreadable) throw new Problem('payload-too-large', reason)
      return { item: raw, reason }
    }
    const sender = await recognize(appId, {
      platformConnectionId: id,
      externalId: from,
      otherExternalId: isId(otherFrom) ? otherFrom : undefined,
      name: storable(message.name),
    })
    const event: NewEvent = {
      type: 'message.inbound',
      payload: JSON.stringify(payload),
      payloadValue: payload,
      edges: [
        { type: 'sent_by', targetType: 'platform_user', targetId: sender },
        { type: 'sent_to', targetType: 'user', targetId: ownUserId },
        ...attached.map((file) => ({ type: 'attachment', targetType: 'file', targetId: file.id })),
      ],
      ownKey: messageKey(id, externalMessageId),
    }
    return { event, text, sender }
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
    return sentAs(appId, id, externalMessageId)
  }

  /** The event of a message that was sent from here. */
  async function sentAs(
    appId: string,
    connectionId: string,
    externalMessageId: string,
  ): Promise<string | undefined> {
    const sent = await db
      .selectFrom('sent_messages')
      .select('event_id')
      .where('app_id', '=', appId)
      .where('platform_connection_id', '=', connectionId)
      .where('external_message_id', '=', externalMessageId)
      .orderBy('event_id')
      .executeTakeFirst()
    return sent?.event_id
  }

  /** The event of a message that was sent from here, or that came here. */
  async function eventOf(
    appId: string,
    connectionId: string,
    externalMessageId: string,
  ): Promise<string | undefined> {
    if (!isId(externalMessageId)) return undefined
    const key = messageKey(connectionId, externalMessageId)
    const came = await db
      .selectFrom('event_keys')
      .select('event_id')
      .where('app_id', '=', appId)
      .where('kind', '=', key.kind)
      .where('value', '=', key.value)
      .executeTakeFirst()
    return came?.event_id ?? sentAs(appId, connectionId, externalMessageId)
  }

  async function toReport(
    connection: OpenConnection,
    report: IncomingReport,
  ): Promise<NewEvent | SkippedItem> {
    const eventId = await originOf(connection, report)
    if (eventId === undefined) {
      return { item: report.raw, reason: 'It is about a message that is not known to be sent from here.' }
    }
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
  async function activateCodes(connection: OpenConnection, messages: readonly Inbound[]): Promise<void> {
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
      const { driver } = connection
      if (!driver.isGenuine(request, connection.account)) {
        throw new Problem(
          'invalid-signature',
          'The signature does not fit the credentials of the connection.',
        )
      }
      const read = readWebhook(driver, request, connection.account)
      const inbound = await Promise.all(read.messages.map((message) => toInbound(connection, message)))
      const children = await Promise.all(read.reports.map((report) => toReport(connection, report)))
      const skipped = [...read.skipped, ...[...inbound, ...children].filter(isSkipped)]
      const messages = inbound.filter((message): message is Inbound => !isSkipped(message))
      const reports = children.filter((report): report is NewEvent => !isSkipped(report))
      const fresh = distinct([
        ...messages.map(({ event }) => event),
        ...reports,
        ...skipped.map((item) => skippedEvent(connection, item, maxPayloadBytes)),
      ])
      if (fresh.length > 0) await appender.append(connection.appId, fresh, { isBatch: true })
      if (connection.detectLinkCodes) await activateCodes(connection, messages)
      log.info(
        {
          appId: connection.appId,
          connectionId: connection.id,
          platform: connection.platform,
          messages: messages.length,
          reports: reports.length,
          known: read.known,
          skipped: skipped.length,
        },
        'platform webhook',
      )
      return read.answer
    },
  }
}

export type MessageReceiver = ReturnType<typeof createMessageReceiver>

const messageKey = (connectionId: string, externalMessageId: string) => ({
  kind: 'message' as const,
  value: `${connectionId}/${externalMessageId}`,
})

const isSkipped = (made: Inbound | NewEvent | SkippedItem): made is SkippedItem => 'reason' in made

/** One request may tell the same thing twice; a batch takes each key once. */
const distinct = (events: readonly NewEvent[]): NewEvent[] =>
  [...Map.groupBy(events, ({ ownKey }) => JSON.stringify(ownKey)).values()].flatMap(([first]) => first ?? [])

const storable = (name: unknown): string | undefined =>
  typeof name === 'string' ? name.replaceAll('\0', '').slice(0, 200).toWellFormed() || undefined : undefined
