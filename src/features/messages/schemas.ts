import { Type, type Static } from '@sinclair/typebox'
import { bodyExamples, EXAMPLE_ID, EXAMPLE_TIME, Text, Timestamp, Uuid } from '../../platform/http/schemas.ts'
import type { Drivers } from './drivers.ts'

const Settings = Type.Record(Type.String(), Type.String(), {
  description: 'What the platform needs to know, secrets apart.',
  examples: [{ phoneNumberId: '106540352242922' }],
})

const Credentials = Type.Record(Type.String(), Type.String(), {
  description: 'The platform’s secrets. They are kept encrypted and never given back.',
})

const DetectLinkCodes = Type.Boolean({
  description: 'Whether a message that holds a link code activates it for its sender.',
})

const fields = {
  name: Text(200, { examples: ['support line'] }),
  settings: Settings,
  credentials: Credentials,
  detectLinkCodes: Type.Optional(DetectLinkCodes),
}

interface NewConnection {
  platform: string
  name: string
  settings: Record<string, string>
  credentials: Record<string, string>
  detectLinkCodes?: boolean
}

export const PlatformConnectionChange = Type.Partial(Type.Object(fields), {
  additionalProperties: false,
  minProperties: 1,
  description: 'Settings and credentials are replaced as a whole.',
  examples: [{ name: 'support line, Berlin', detectLinkCodes: true }],
})

/** What of connections depends on the platforms that there are. */
export function connectionSchemas({ all }: Drivers) {
  const platforms = all.map(({ platform }) => platform)
  const Platform = Type.String(
    all.length === 0
      ? { not: {}, description: 'No platform is on (PACKS).' }
      : { enum: platforms, examples: ['whatsapp'] },
  )

  const PlatformConnection = Type.Object(
    {
      id: Uuid(),
      platform: Platform,
      name: Type.String({ examples: ['support line'] }),
      settings: Settings,
      detectLinkCodes: DetectLinkCodes,
      ownPlatformUserId: Uuid({ description: 'Your own side as the platform knows it.' }),
      ownUserId: Uuid({ description: 'The system user behind it: who sends and gets messages here.' }),
      webhookUrl: Type.String({
        description: 'Where the platform is to send its webhooks; without PUBLIC_URL only the path of it.',
        examples: [
          'https://events.example.com/platform-connections/019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77/webhook',
        ],
      }),
      createdAt: Timestamp(),
      updatedAt: Timestamp(),
    },
    {
      $id: 'PlatformConnection',
      description: 'An account on a messaging platform.',
      examples: [
        {
          id: EXAMPLE_ID,
          platform: 'whatsapp',
          name: 'support line',
          settings: { phoneNumberId: '106540352242922' },
          detectLinkCodes: false,
          ownPlatformUserId: EXAMPLE_ID,
          ownUserId: EXAMPLE_ID,
          webhookUrl: `https://events.example.com/platform-connections/${EXAMPLE_ID}/webhook`,
          createdAt: EXAMPLE_TIME,
          updatedAt: EXAMPLE_TIME,
        },
      ],
    },
  )

  /** Settings and credentials are those of the platform. */
  const NewPlatformConnection = Type.Unsafe<NewConnection>({
    ...Type.Object({ platform: Platform, ...fields }, { additionalProperties: false }),
    ...bodyExamples({
      WhatsApp: {
        platform: 'whatsapp',
        name: 'support line',
        settings: { phoneNumberId: '106540352242922' },
        credentials: { accessToken: 'EAAG3f1c', appSecret: '3f1c9b7e', verifyToken: 'a text of yours' },
      },
      'SMS by Twilio': {
        platform: 'twilio',
        name: 'short messages',
        settings: { accountSid: 'AC00000000000000000000000000000000', from: '+15005550006' },
        credentials: { authToken: '5b2e9b7e' },
      },
      Slack: {
        platform: 'slack',
        name: 'help desk',
        settings: { botUserId: 'U0123ABCDEF' },
        credentials: { botToken: 'xoxb-1234-5678', signingSecret: '8f742231' },
      },
      'A server of yours': {
        platform: 'http',
        name: 'chat on our site',
        settings: { url: 'https://example.com/messages' },
        credentials: { secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' },
      },
    }),
    ...(all.length > 0 && {
      allOf: all.map(({ platform, settings, credentials }) => ({
        if: { properties: { platform: { const: platform } }, required: ['platform'] },
        // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's word, in an object that nobody awaits
        then: { properties: { settings, credentials } },
      })),
    }),
  })

  const PlatformConnectionQuery = Type.Object({
    platform: Type.Optional(Platform),
  })

  return { PlatformConnection, NewPlatformConnection, PlatformConnectionQuery }
}

export type ConnectionSchemas = ReturnType<typeof connectionSchemas>

export const NewMessage = Type.Object(
  {
    platformConnectionId: Uuid(),
    toExternalId: Type.Optional(
      Text(200, { description: 'The recipient’s id on the platform.', examples: ['+14155551234'] }),
    ),
    toPlatformUserId: Type.Optional(Uuid({ description: 'The recipient, instead of `toExternalId`.' })),
    message: Type.Union([
      Text(40_000, { examples: ['Your parcel is on its way.'] }),
      Type.Object(
        {
          text: Text(40_000, { examples: ['Your parcel is on its way.'] }),
          role: Type.Optional(Text(50, { description: '`assistant` unless told.', examples: ['assistant'] })),
        },
        { additionalProperties: false },
      ),
    ]),
    originEventId: Type.Optional(Uuid({ description: 'The event that the message answers.' })),
    sandbox: Type.Optional(
      Type.Boolean({ description: 'Append the event, marked as such, but send nothing.' }),
    ),
  },
  {
    additionalProperties: false,
    examples: [
      {
        platformConnectionId: EXAMPLE_ID,
        toExternalId: '+14155551234',
        message: 'Your parcel is on its way.',
      },
    ],
  },
)

export type NewMessageBody = Static<typeof NewMessage>
