import type { Feature } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import { resourceRoutes } from '../../platform/http/resource-routes.ts'
import { createDownloader } from '../../platform/outbound/download.ts'
import type { Destination } from '../destinations/index.ts'
import type { Entities } from '../entities/index.ts'
import type { Events } from '../events/index.ts'
import { createRecognizer, type Identities } from '../identities/index.ts'
import { createAttachmentContents } from './attachment-content.ts'
import { attachmentRoutes } from './attachment-routes.ts'
import { createConnectionService, type ConnectionService } from './connections.ts'
import type { Drivers } from './drivers.ts'
import { createPlatformDestination } from './platform-destination.ts'
import { createMessageReceiver } from './receiving.ts'
import { messageRoutes } from './routes.ts'
import { connectionSchemas, PlatformConnectionChange } from './schemas.ts'
import { createMessageSender, type MessageSender } from './sending.ts'
import { webhookRoutes } from './webhook-routes.ts'

export type { ConnectionService } from './connections.ts'
export { ApiUrl, HeaderToken } from './api-settings.ts'
export {
  asDouble,
  headerOf,
  isHmac,
  isObject,
  jsonOf,
  mediaKind,
  NoContentError,
  nothing,
  readBody,
  readEach,
  timeAt,
  UnreadableError,
} from './driver.ts'
export type {
  Fetching,
  Incoming,
  IncomingAttachment,
  IncomingMessage,
  IncomingReport,
  IncomingRequest,
  MessageContent,
  PlatformDriver,
  SendAnswer,
  WantedAttachment,
} from './driver.ts'
export { createDrivers, type Drivers } from './drivers.ts'
export { MESSAGE_KINDS, type MessageKind, type MessageParts } from './message-content.ts'
export { NewMessage, type ConnectionSchemas } from './schemas.ts'
export type { MessageSender } from './sending.ts'

interface Needs {
  events: Events
  entities: Entities
  identities: Identities
  drivers: Drivers
}

export interface Messages extends Feature {
  connections: ConnectionService
  messageSender: MessageSender
  /** Where subscriptions of platform connections send. */
  platformDestination: Destination
}

/** Messages to and from people on messaging platforms (SPEC section 2). */
export function createMessages(
  platform: Platform,
  { events, entities, identities, drivers }: Needs,
): Messages {
  const { config, clock, db, log, http, secrets, faultOfUrl } = platform
  const { publicUrl } = config
  const { appender, eventReader } = events
  const { files, platformUsers } = entities
  const { linkCodes } = identities
  const downloader = createDownloader(config.outboundAllowCidrs, {
    timeoutMs: config.ATTACHMENT_TIMEOUT_MS,
    maxBytes: config.MAX_ATTACHMENT_BYTES,
  })
  const connections = createConnectionService({ db, secrets, publicUrl, drivers, faultOfUrl })
  const messageSender = createMessageSender({ appender, connections, platformUsers, drivers, clock })
  return {
    connections,
    messageSender,
    platformDestination: createPlatformDestination({ db, http, appender, drivers, clock, publicUrl }),
    async routes(app) {
      const { PlatformConnection, NewPlatformConnection, PlatformConnectionQuery } =
        connectionSchemas(drivers)
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
      await app.register(webhookRoutes(connections, receiver, clock, publicUrl))
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
    close: () => downloader.close(),
  }
}
