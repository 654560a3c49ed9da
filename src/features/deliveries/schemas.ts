import { Type } from '@sinclair/typebox'
import { pageQuery } from '../../platform/http/pagination.ts'
import { AnyObject, Nullable, Timestamp, Uuid } from '../../platform/http/schemas.ts'

const Status = Type.Union(
  [Type.Literal('pending'), Type.Literal('succeeded'), Type.Literal('dead'), Type.Literal('cancelled')],
  { description: '`dead`: every attempt failed. `cancelled`: its subscription was deleted first.' },
)

export const Delivery = Type.Object(
  {
    id: Uuid(),
    eventId: Uuid(),
    subscriptionId: Uuid(),
    status: Status,
    attempts: Type.Integer({ minimum: 0, description: 'How many were made.' }),
    nextAttemptAt: Nullable(Timestamp(), { description: 'null once it has ended.' }),
    createdAt: Timestamp(),
    completedAt: Nullable(Timestamp()),
  },
  { $id: 'Delivery', description: 'One event owed to one subscription.' },
)

export const Attempt = Type.Object(
  {
    id: Uuid(),
    number: Type.Integer({ minimum: 1 }),
    trigger: Type.String({ description: 'Why it was made.', examples: ['automatic'] }),
    outcome: Type.Union([Type.Literal('succeeded'), Type.Literal('failed')]),
    startedAt: Timestamp(),
    durationMs: Type.Integer({ description: 'Milliseconds from its start to the end of the response.' }),
    responseStatus: Nullable(Type.Integer(), { description: 'null when there was no response.' }),
    responseHeaders: Nullable(AnyObject()),
    responseBody: Nullable(Type.String(), { description: 'Its beginning, up to 16 KiB.' }),
    error: Nullable(Type.String(), { description: 'Why it failed.' }),
  },
  { $id: 'Attempt', description: 'One try to make a delivery.' },
)

export const DeliveryQuery = Type.Object(
  {
    ...pageQuery,
    status: Type.Optional(Status),
    eventId: Type.Optional(Uuid()),
    subscriptionId: Type.Optional(Uuid()),
  },
  { additionalProperties: false },
)
