import type { Feature } from '../../feature.ts'
import { resourceRoutes } from '../../platform/http/resource-routes.ts'
import { createRecognizer } from '../identities/index.ts'
import { createAttachmentContents } from './attachment-content.ts'
import { attachmentRoutes } from './attachment-routes.ts'
import { createMessageReceiver } from './receiving.ts'
import { messageRoutes } from './routes.ts'
import {
  NewPlatformConnection,
  PlatformConnection,
  PlatformConnectionChange,
  PlatformConnectionQuery,
} from './schemas.ts'
import { webhookRoutes } from './webhook-routes.ts'

export { createConnectionService, type ConnectionService } from './connections.ts'
export { createPlatformDestination } from './platform-destination.ts'
export { NewMessage, PlatformConnection } from './schemas.ts'
export { createMessageSender, type MessageSender } from './sending.ts'

/** Messages to and from people on messaging platforms (SPEC section 2). */
export const messages: Feature = {
  name: 'messages',
  routes:
    ({
      config,
      clock,
      db,
      log,
      appender,
      eventReader,
      downloader,
      files,
      platformUsers,
      linkCodes,
      connections,
      messageSender,
    }) =>
    async (app) => {
      const receiver = createMessageReceiver({
        db,
        appender,
        events: eventReader,
        recognize: createRecognizer({ db, appender, platformUsers }),
        files,
        linkCodes,
        log,
        maxPayloadBytes: config.MAX_PAYLOAD_BYTES,
      })
      const contents = createAttachmentContents({
        files,
        connections,
        downloader,
        clock,
        maxBytes: config.MAX_ATTACHMENT_BYTES,
      })
      await app.register(attachmentRoutes(contents))
      await app.register(messageRoutes(messageSender, eventReader))
      await app.register(webhookRoutes(connections, receiver, clock, config.publicUrl))
      await app.register(
        resourceRoutes({
          path: '/platform-connections',
          tag: 'Messages',
          words: { one: 'platform connection', many: 'platform connections' },
          name: { one: 'PlatformConnection', many: 'PlatformConnections' },
          access: { read: 'platform-connections:read', write: 'platform-connections:write' },
          schemas: {
            item: PlatformConnection,
            create: NewPlatformConnection,
            change: PlatformConnectionChange,
            query: PlatformConnectionQuery,
          },
          problems: ['conflict', 'invalid-destination'],
          about: {
            create:
              'Connect a number, a bot or a server of yours, with the secrets that the platform gave you; then enter `webhookUrl` at the platform. It makes a system user and a platform user for your own side.',
            list: 'See which platforms are connected, and find the `webhookUrl` of each.',
            get: 'Look up the settings of a connection and the address for its webhooks. Its secrets are never given back.',
            change:
              'Do this when a secret was replaced at the platform, or a setting is another. What is not given stays.',
            remove:
              'Do this when the account at the platform is given up. Messages that were not sent yet are cancelled. Its platform users stay.',
          },
          service: connections,
        }),
      )
    },
}
