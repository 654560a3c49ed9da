import { Type } from '@sinclair/typebox'
import {
  AnyObject,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Nullable,
  Text,
  Timestamp,
  Uuid,
} from '../../platform/http/schemas.ts'
import { Url } from '../../platform/http/urls.ts'

const exampleTimes = { createdAt: EXAMPLE_TIME, updatedAt: EXAMPLE_TIME }
const times = { createdAt: Timestamp(), updatedAt: Timestamp() }

const Attributes = AnyObject({ description: 'Whatever you keep with it.', examples: [{ plan: 'pro' }] })

export const User = Type.Object(
  {
    id: Uuid(),
    name: Nullable(Type.String(), { examples: ['Ada Lovelace'] }),
    isSystem: Type.Boolean({ description: 'Whether it stands for your own side of conversations.' }),
    attributes: Attributes,
    mergedInto: Nullable(Uuid(), { description: 'The user that this one turned out to be.' }),
    ...times,
  },
  {
    $id: 'User',
    description: 'A person or a system, whatever platforms it uses.',
    examples: [
      {
        id: EXAMPLE_ID,
        name: 'Ada Lovelace',
        isSystem: false,
        attributes: { plan: 'pro' },
        mergedInto: null,
        ...exampleTimes,
      },
    ],
  },
)

export const NewUser = Type.Object(
  { name: Type.Optional(Nullable(Text(200))), attributes: Type.Optional(Attributes) },
  { additionalProperties: false, examples: [{ name: 'Ada Lovelace', attributes: { plan: 'pro' } }] },
)

export const UserChange = Type.Partial(NewUser, {
  additionalProperties: false,
  minProperties: 1,
  examples: [{ attributes: { plan: 'team' } }],
})

export const UserQuery = Type.Object({})

export const PlatformUser = Type.Object(
  {
    id: Uuid(),
    platformConnectionId: Uuid(),
    externalId: Type.String({ description: 'Its id on the platform.', examples: ['+14155551234'] }),
    otherExternalId: Nullable(Type.String(), {
      description:
        'Another id of it on the platform, under which it is found too: WhatsApp’s user id beside the number.',
      examples: ['US.13491208655302741918'],
    }),
    userId: Uuid({ description: 'Who it is.' }),
    name: Nullable(Type.String()),
    profilePictureUrl: Nullable(Url()),
    ...times,
  },
  {
    $id: 'PlatformUser',
    description: 'Somebody as one platform connection knows them.',
    examples: [
      {
        id: EXAMPLE_ID,
        platformConnectionId: EXAMPLE_ID,
        externalId: '+14155551234',
        otherExternalId: null,
        userId: EXAMPLE_ID,
        name: 'Ada Lovelace',
        profilePictureUrl: null,
        ...exampleTimes,
      },
    ],
  },
)

export const NewPlatformUser = Type.Object(
  {
    platformConnectionId: Uuid(),
    externalId: Text(200, { examples: ['+14155551234'] }),
    userId: Type.Optional(Uuid({ description: 'A new user is made unless it is given.' })),
    name: Type.Optional(Nullable(Text(200, { examples: ['Ada Lovelace'] }))),
    profilePictureUrl: Type.Optional(Nullable(Url())),
  },
  {
    additionalProperties: false,
    examples: [{ platformConnectionId: EXAMPLE_ID, externalId: '+14155551234', name: 'Ada Lovelace' }],
  },
)

export const PlatformUserChange = Type.Partial(
  Type.Omit(NewPlatformUser, ['platformConnectionId', 'externalId', 'userId']),
  { additionalProperties: false, minProperties: 1, examples: [{ name: 'Ada King' }] },
)

export const PlatformUserQuery = Type.Object({
  platformConnectionId: Type.Optional(Uuid()),
  userId: Type.Optional(Uuid()),
  externalId: Type.Optional(Text(200, { description: 'Its `externalId` or its `otherExternalId`.' })),
})

export const File = Type.Object(
  {
    id: Uuid(),
    filename: Type.String({ examples: ['invoice.pdf'] }),
    mimeType: Nullable(Type.String(), { examples: ['application/pdf'] }),
    sizeBytes: Nullable(Type.Integer({ minimum: 0 })),
    url: Nullable(Type.String({ examples: ['https://files.example.com/invoice.pdf'] }), {
      description:
        'Where its content is; Heliograph keeps what is known about a file only. Of what came with a message it is the address of `GET /files/{id}/content`, which needs a key; without PUBLIC_URL only the path of it.',
    }),
    sha256: Nullable(Type.String({ pattern: '^[0-9a-f]{64}$' })),
    platformConnectionId: Nullable(Uuid(), { description: 'What it came through with a message.' }),
    externalId: Nullable(Type.String(), {
      description: 'The platform’s own id of what came with a message.',
    }),
    metadata: Attributes,
    ...times,
  },
  {
    $id: 'File',
    description: 'What is known about a file that events refer to.',
    examples: [
      {
        id: EXAMPLE_ID,
        filename: 'invoice.pdf',
        mimeType: 'application/pdf',
        sizeBytes: 48_213,
        url: 'https://files.example.com/invoice.pdf',
        sha256: null,
        platformConnectionId: null,
        externalId: null,
        metadata: { order_id: 'A-1001' },
        ...exampleTimes,
      },
    ],
  },
)

export const NewFile = Type.Object(
  {
    filename: Text(255, { examples: ['invoice.pdf'] }),
    mimeType: Type.Optional(Nullable(Text(200))),
    sizeBytes: Type.Optional(Nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))),
    url: Type.Optional(Nullable(Url({ examples: ['https://files.example.com/invoice.pdf'] }))),
    sha256: Type.Optional(Nullable(Type.String({ pattern: '^[0-9a-f]{64}$' }))),
    metadata: Type.Optional(Attributes),
  },
  {
    additionalProperties: false,
    examples: [
      {
        filename: 'invoice.pdf',
        mimeType: 'application/pdf',
        sizeBytes: 48_213,
        url: 'https://files.example.com/invoice.pdf',
        metadata: { order_id: 'A-1001' },
      },
    ],
  },
)

export const FileChange = Type.Partial(NewFile, {
  additionalProperties: false,
  minProperties: 1,
  examples: [{ url: 'https://files.example.com/2026/invoice.pdf' }],
})

export const FileQuery = Type.Object({})
