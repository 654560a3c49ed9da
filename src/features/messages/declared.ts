import { Type } from '@sinclair/typebox'
import type { Declaration } from '../../declaration.ts'
import { milliseconds } from '../../platform/settings.ts'
import { INBOUND, OUTBOUND, REPORT, SKIPPED } from './event-schemas.ts'

export const declared = {
  scopes: ['platform-connections:read', 'platform-connections:write', 'messages:write'],
  settings: {
    MAX_ATTACHMENT_BYTES: Type.Integer({
      default: 104_857_600,
      minimum: 1024,
      description: 'Largest content of an attachment that is fetched from its platform, in bytes.',
    }),
    ATTACHMENT_TIMEOUT_MS: milliseconds(
      30_000,
      'How long a platform may take to begin with the content of an attachment, and then to go on with it, in milliseconds.',
      50,
    ),
  },
  eventTypes: [
    {
      name: 'message.inbound',
      domain: 'message',
      description: 'A platform user sent a message.',
      jsonSchema: INBOUND,
    },
    {
      name: 'message.outbound',
      domain: 'message',
      description: 'A message is to be sent to a platform user.',
      jsonSchema: OUTBOUND,
    },
    {
      name: 'message.delivered',
      domain: 'message',
      description: 'The platform says that a message arrived.',
      jsonSchema: REPORT,
    },
    {
      name: 'message.read',
      domain: 'message',
      description: 'The platform says that a message was read.',
      jsonSchema: REPORT,
    },
    {
      name: 'message.failed',
      domain: 'message',
      description: 'A message could not be sent, or did not arrive.',
      jsonSchema: REPORT,
    },
    {
      name: 'system.platform.skipped',
      domain: 'system',
      description: 'A platform sent what is no message and no report.',
      jsonSchema: SKIPPED,
    },
  ],
  reservedPrefixes: ['message.'],
  tags: [
    {
      name: 'Messages',
      description:
        'Conversations on WhatsApp, SMS, Slack and the like: messages are sent and received as events, through connections to platforms.',
    },
  ],
} as const satisfies Declaration
