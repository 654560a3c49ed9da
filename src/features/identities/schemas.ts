import { Type } from '@sinclair/typebox'
import {
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Nullable,
  ref,
  Text,
  Timestamp,
  Uuid,
} from '../../platform/http/schemas.ts'
import { User } from '../entities/index.ts'

const Code = Type.String({
  description: 'Twelve random digits and, as the last group, their groups’ sum modulo 10,000.',
  examples: ['1234-5678-9012-5924'],
})

export const LinkCode = Type.Object(
  {
    id: Uuid(),
    code: Code,
    platformUserId: Uuid({ description: 'Whom it was made for.' }),
    expiryMinutes: Type.Integer(),
    expiresAt: Timestamp(),
    maxUses: Type.Integer(),
    uses: Type.Integer(),
    eventId: Uuid({ description: 'The `link_code.generated` of it.' }),
    createdAt: Timestamp(),
  },
  {
    $id: 'LinkCode',
    description: 'Proves that two platform users are one person.',
    examples: [
      {
        id: EXAMPLE_ID,
        code: '1234-5678-9012-5924',
        platformUserId: EXAMPLE_ID,
        expiryMinutes: 15,
        expiresAt: '2026-11-21T17:47:56.188Z',
        maxUses: 1,
        uses: 0,
        eventId: EXAMPLE_ID,
        createdAt: EXAMPLE_TIME,
      },
    ],
  },
)

export const NewLinkCode = Type.Object(
  {
    platformUserId: Uuid(),
    expiryMinutes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 525_600, description: '15 unless told.' }),
    ),
    maxUses: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: '1 unless told.' })),
  },
  { additionalProperties: false, examples: [{ platformUserId: EXAMPLE_ID, expiryMinutes: 15 }] },
)

export const LinkCodeQuery = Type.Object({ platformUserId: Type.Optional(Uuid()) })

export const Activation = Type.Object(
  {
    code: Text(50, { examples: ['1234-5678-9012-5924'] }),
    platformUserId: Uuid({ description: 'Who used it.' }),
  },
  {
    additionalProperties: false,
    examples: [{ code: '1234-5678-9012-5924', platformUserId: EXAMPLE_ID }],
  },
)

export const Activated = Type.Object(
  {
    user: ref(User),
    mergedUserId: Nullable(Uuid(), {
      description: 'The user that was merged into it; null when the two were one already.',
    }),
    linkCode: ref(LinkCode),
    eventId: Uuid({ description: 'The `link_code.activation`.' }),
  },
  { $id: 'Activated', description: 'Whose platform users both are now.' },
)
