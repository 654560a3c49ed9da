import type { Clock } from '../../platform/time/clock.ts'
import { Problem } from '../../platform/http/problems.ts'
import type { PlatformUserService } from '../entities/index.ts'
import type { Appended, Appender } from '../events/index.ts'
import type { ConnectionService } from './connections.ts'
import type { Drivers } from './drivers.ts'
import type { NewMessageBody } from './schemas.ts'

/**
 * Sends messages: appends `message.outbound`, which owes the connection a delivery. A worker makes it, with
 * the retries of every delivery (SPEC section 2).
 */
export function createMessageSender(options: {
  appender: Appender
  connections: ConnectionService
  platformUsers: PlatformUserService
  drivers: Drivers
  clock: Clock
}) {
  const { appender, connections, platformUsers, drivers, clock } = options

  async function recipientOf(appId: string, input: NewMessageBody): Promise<string> {
    const { platformConnectionId, toExternalId, toPlatformUserId } = input
    if ((toExternalId === undefined) === (toPlatformUserId === undefined)) {
      throw new Problem('validation-failed', 'Give either toExternalId or toPlatformUserId.')
    }
    if (toExternalId !== undefined) {
      return platformUsers.ensure(appId, { platformConnectionId, externalId: toExternalId })
    }
    const recipient = await platformUsers.get(appId, toPlatformUserId as string)
    if (recipient.platformConnectionId !== platformConnectionId.toLowerCase()) {
      throw new Problem('validation-failed', 'The recipient is on another platform connection.', [
        { pointer: '/toPlatformUserId', detail: 'is a platform user of another connection' },
      ])
    }
    return recipient.id
  }

  return {
    /** @throws Problem when the message cannot be taken; nothing was stored */
    async send(appId: string, input: NewMessageBody, idempotencyKey?: string): Promise<Appended> {
      const connectionId = input.platformConnectionId.toLowerCase()
      const connection = await connections.get(appId, connectionId)
      const { text, role = 'assistant' } =
        typeof input.message === 'string' ? { text: input.message } : input.message
      const { maxTextLength } = drivers.of(connection.platform)
      if (Array.from(text).length > maxTextLength) {
        throw new Problem('validation-failed', `${connection.platform} takes ${maxTextLength} characters.`, [
          { pointer: '/message', detail: `must not be longer than ${maxTextLength} characters` },
        ])
      }
      const recipient = await recipientOf(appId, { ...input, platformConnectionId: connectionId })
      const payload = {
        type: 'message',
        message: { text, role },
        platform: connection.platform,
        external_message_id: null,
        created_at: new Date(clock.now()).toISOString(),
        sent_at: null,
        delivered_at: null,
        read_at: null,
        failed_at: null,
        platform_connection_id: connectionId,
        ...(input.sandbox && { sandbox: true }),
      }
      const { originEventId } = input
      const event = {
        type: 'message.outbound',
        payload: JSON.stringify(payload),
        payloadValue: payload,
        edges: [
          { type: 'sent_by', targetType: 'user', targetId: connection.ownUserId },
          { type: 'sent_to', targetType: 'platform_user', targetId: recipient },
        ],
        ...(originEventId !== undefined && { originEventId: originEventId.toLowerCase() }),
        ...(!input.sandbox && { addressedTo: connectionId }),
        content: input,
      }
      return appender.append(appId, [event], { ...(idempotencyKey !== undefined && { idempotencyKey }) })
    },
  }
}

export type MessageSender = ReturnType<typeof createMessageSender>
