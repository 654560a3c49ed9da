import type { Clock } from '../../platform/time/clock.ts'
import { OutboundError, type OutboundHttp, type OutboundResponse } from '../../platform/outbound/http.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import { failure, type AttemptResult, type Destination, type OwedEvent } from '../destinations/index.ts'
import { messageReport, type Appender } from '../events/index.ts'
import { webhookUrl, type PlatformDestination } from './connections.ts'
import type { Account, OutgoingMessage, SendAnswer } from './driver.ts'
import { platformIsOff, type Drivers } from './drivers.ts'
import { isId } from './reading.ts'

/** How much of an answer is read and kept with the attempt. */
const MAX_RESPONSE_BYTES = 16_384

/**
 * Sends messages to platforms. Which message a platform made of an event is kept before the attempt is
 * recorded, so that a worker that dies in between does not send it again.
 */
export function createPlatformDestination(options: {
  db: Database
  http: OutboundHttp
  appender: Appender
  drivers: Drivers
  clock: Clock
  publicUrl: string | undefined
}): Destination {
  const { db, http, appender, drivers, clock, publicUrl } = options

  /** The recipient's id on the platform, and whether the message went out before. */
  async function lookUp({ app_id: appId, event_id: eventId, edges }: OwedEvent) {
    const recipient = (JSON.parse(edges.list) as { edge_type: string; target_id: string }[]).find(
      ({ edge_type: type }) => type === 'sent_to',
    )
    const [to, sent] = await Promise.all([
      db
        .selectFrom('platform_users')
        .select('external_id')
        .where('app_id', '=', appId)
        .where('id', '=', recipient?.target_id ?? null)
        .executeTakeFirst(),
      db
        .selectFrom('sent_messages')
        .select('external_message_id')
        .where('app_id', '=', appId)
        .where('event_id', '=', eventId)
        .executeTakeFirst(),
    ])
    return { to: to?.external_id, sentAs: sent?.external_message_id }
  }

  const keep = (delivery: OwedEvent, externalMessageId: string) =>
    db
      .insertInto('sent_messages')
      .values({
        app_id: delivery.app_id,
        event_id: delivery.event_id,
        platform_connection_id: delivery.subscription_id,
        external_message_id: externalMessageId,
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute()

  return {
    async send(delivery, target, { now, timeoutMs }) {
      const { platform, settings } = target.settings as PlatformDestination
      const [secret = ''] = target.secrets
      const account: Account = { settings, credentials: JSON.parse(secret) as Account['credentials'] }
      const driver = drivers.find(platform)
      if (!driver) return failure(platformIsOff(platform), { ownFault: true })
      const { to, sentAs } = await lookUp(delivery)
      if (sentAs !== undefined) return SENT_BEFORE
      if (to === undefined) return failure('The recipient was deleted.', { final: true })
      const { message } = JSON.parse(delivery.payload) as { message: { text: string; role: string } }
      const outgoing: OutgoingMessage = {
        eventId: delivery.event_id,
        appId: delivery.app_id,
        connectionId: delivery.subscription_id,
        to,
        text: message.text,
        role: message.role,
        edges: delivery.edges,
        webhookUrl: publicUrl === undefined ? undefined : webhookUrl(publicUrl, delivery.subscription_id),
      }
      let response: OutboundResponse
      try {
        const { url, headers, body } = driver.send(outgoing, account, now)
        response = await http.send(url, {
          method: 'POST',
          headers,
          body,
          timeoutMs,
          maxResponseBytes: MAX_RESPONSE_BYTES,
        })
      } catch (error) {
        if (!(error instanceof OutboundError)) throw error
        return failure(error.message)
      }
      const answer = driver.readAnswer(response, outgoing)
      if ('messageId' in answer) {
        await keep(delivery, isId(answer.messageId) ? answer.messageId : delivery.event_id)
      }
      return toResult(response, answer)
    },

    /** The message gets a `message.failed`. */
    async gaveUp(delivery, result) {
      const payload = {
        ...messageReport({ payload: delivery.payload }, 'failed', {}, clock.now()),
        error: {
          code: result.code ?? (result.responseStatus === null ? null : String(result.responseStatus)),
          message: result.error,
        },
      }
      await appender.append(delivery.app_id, [
        {
          type: 'message.failed',
          payload: JSON.stringify(payload),
          payloadValue: payload,
          originEventId: delivery.event_id,
          ownKey: { kind: 'report', value: `${delivery.event_id}/failed` },
        },
      ])
    },
  }
}

const SENT_BEFORE: AttemptResult = {
  succeeded: true,
  responseStatus: null,
  responseHeaders: null,
  responseBody: null,
  error: null,
}

function toResult({ status, headers, body }: OutboundResponse, answer: SendAnswer): AttemptResult {
  const said = { responseStatus: status, responseHeaders: headers, responseBody: body }
  if ('messageId' in answer) return { succeeded: true, error: null, ...said }
  const { error, code, final, retryAfterMs } = answer
  return { succeeded: false, error, code, final, retryAfterMs, ...said }
}
