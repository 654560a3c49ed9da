import { Type, type Static } from '@sinclair/typebox'

const MAX_PATH_LENGTH = 500

export const RateLimit = Type.Object(
  {
    requests: Type.Integer({ minimum: 1, maximum: 10_000 }),
    perSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400, description: '1 unless given.' })),
  },
  {
    additionalProperties: false,
    description: 'Requests in any such time, over all workers and retries too; they are spread evenly.',
    examples: [{ requests: 10, perSeconds: 1 }],
  },
)

export const Concurrency = Type.Integer({
  minimum: 1,
  maximum: 1_000,
  description: 'Requests under way at once, over all workers.',
})

export const Ordering = Type.Object(
  {
    key: Type.Optional(
      Type.String({
        maxLength: MAX_PATH_LENGTH,
        pattern: '^(type|orgid|payload(\\.[^.\\u0000]+)+)$',
        description:
          'Path of what events have in common that must stay in order; an event without it is in no order. Left out: all of them are in one order.',
        examples: ['payload.order_id'],
      }),
    ),
    onDead: Type.Optional(
      Type.Union([Type.Literal('skip'), Type.Literal('hold')], {
        description:
          'What a dead delivery does to those after it with its key: `skip` (unless given) lets them go on, `hold` keeps them until it is retried or discarded.',
      }),
    ),
  },
  {
    additionalProperties: false,
    description: 'First in, first out: the next event of a key is sent once the one before it has ended.',
    examples: [{ key: 'payload.order_id' }],
  },
)

export const Batching = Type.Object(
  {
    maxEvents: Type.Integer({ minimum: 2, maximum: 1_000 }),
    maxWaitSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 300,
        description: 'How long the first event waits for others; 0, unless given, sends what is there.',
      }),
    ),
  },
  {
    additionalProperties: false,
    description:
      'Several events in one request: `{"events": [...]}`, or the batch form of CloudEvents. After a failure each goes alone.',
    examples: [{ maxEvents: 100, maxWaitSeconds: 5 }],
  },
)

/** How a subscription is sent to, for those that are not sent to as fast as it goes. */
export interface Flow {
  rateLimit?: Static<typeof RateLimit>
  concurrency?: number
  ordering?: Static<typeof Ordering>
  batching?: Static<typeof Batching>
}
