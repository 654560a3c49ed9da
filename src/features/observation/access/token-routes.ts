import { Type, type Static } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../../../platform/time/clock.ts'
import { missingScope } from '../../../platform/http/auth.ts'
import { Problem } from '../../../platform/http/problems.ts'
import {
  BODY_PROBLEMS,
  bodyExamples,
  ref,
  responses,
  Text,
  Timestamp,
} from '../../../platform/http/schemas.ts'
import { memberSlice } from '../../../platform/json/slices.ts'
import type { Violation } from '../../../platform/json-schema/json-schema.ts'
import { EventPattern } from '../../matching/index.ts'
import type { Member } from '../contracts.ts'
import { isRoomPattern } from '../patterns.ts'
import { MAX_TTL_SECONDS, type ObserverTokens } from './tokens.ts'

const MIN_TTL_SECONDS = 10
const DEFAULT_TTL_SECONDS = 300
const MAX_PATTERNS = 32
const MAX_TYPE_PATTERNS = 100
const MAX_INFO_BYTES = 2_048

const RoomPattern = Type.String({ minLength: 1, maxLength: 255, examples: ['outreach/**'] })

const NewObserverToken = Type.Object(
  {
    rooms: Type.Array(RoomPattern, {
      minItems: 1,
      maxItems: MAX_PATTERNS,
      description:
        'Which rooms may be joined. `*` stands for one segment, `**` for any number of them; all else is itself.',
      examples: [['outreach/**', 'orders/17']],
    }),
    types: Type.Optional(
      Type.Array(EventPattern, {
        minItems: 1,
        maxItems: MAX_TYPE_PATTERNS,
        description:
          'Of which event types messages are given, as patterns like those of a subscription; of all unless given.',
        examples: [['inquiry.*']],
      }),
    ),
    publish: Type.Optional(
      Type.Array(RoomPattern, {
        maxItems: MAX_PATTERNS,
        description:
          'Which rooms may be published to; none unless given. The key needs the scope `observation:publish`.',
        examples: [['chat/42']],
      }),
    ),
    ttlSeconds: Type.Optional(
      Type.Integer({
        minimum: MIN_TTL_SECONDS,
        maximum: MAX_TTL_SECONDS,
        description: `How long the token counts; ${DEFAULT_TTL_SECONDS} unless given.`,
        examples: [DEFAULT_TTL_SECONDS],
      }),
    ),
    member: Type.Optional(
      Type.Object(
        {
          id: Text(128, { examples: ['user-7'] }),
          info: Type.Optional(
            Type.Unknown({
              description: `What the others in a room are told of the member: any JSON, up to ${MAX_INFO_BYTES} bytes.`,
              examples: [{ name: 'Ada' }],
            }),
          ),
        },
        {
          additionalProperties: false,
          description: 'As whom the holder is present in rooms; as nobody unless given.',
        },
      ),
    ),
  },
  {
    additionalProperties: false,
    ...bodyExamples({
      'To watch an order': { rooms: ['orders/17'] },
      'To chat as somebody': {
        rooms: ['chat/42'],
        publish: ['chat/42'],
        ttlSeconds: 600,
        member: { id: 'user-7', info: { name: 'Ada' } },
      },
    }),
  },
)

const ObserverToken = Type.Object(
  {
    token: Type.String({
      description: 'For `Authorization: Bearer`, or `?token=`.',
      examples: ['eyJhbGciOiJ…'],
    }),
    expiresAt: Timestamp(),
  },
  { $id: 'ObserverToken' },
)

/** `POST /observation/tokens`: short-lived rights to observe, for those who cannot be given a key. */
export const tokenRoutes =
  (tokens: ObserverTokens, clock: Clock): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addSchema(ObserverToken)

    app.post(
      '/observation/tokens',
      {
        config: { access: 'observation:tokens' },
        schema: {
          tags: ['Observation'],
          operationId: 'createObserverToken',
          summary: 'Make a token to observe rooms with',
          description:
            'Your server calls it for a page that is about to observe, with the rooms that its user may see. For a browser, which is never given a key. The token counts until it is over or its key is revoked.',
          body: NewObserverToken,
          response: responses({ 201: ref(ObserverToken) }, [...BODY_PROBLEMS]),
        },
      },
      async (request, reply) => {
        const { rooms, types = ['*'], publish = [], ttlSeconds = DEFAULT_TTL_SECONDS } = request.body
        checkPatterns({ rooms, publish })
        const { appId, keyId, scopes } = keyOf(request)
        if (publish.length > 0 && !scopes.has('observation:publish'))
          throw missingScope('observation:publish')
        const { token, expiresAt } = tokens.issue({
          appId,
          keyId,
          rooms,
          types,
          publish,
          member: memberOf(request.bodyText, request.body.member),
          expiresAt: clock.now() + ttlSeconds * 1000,
        })
        return reply.code(201).send({ token, expiresAt: new Date(expiresAt).toISOString() })
      },
    )
  }

function keyOf({ appKey }: FastifyRequest) {
  if (!appKey) throw new Error('This route does not require an app key.')
  return appKey
}

/** @throws Problem that names each of them that is no pattern of rooms */
function checkPatterns(lists: Record<string, readonly string[]>): void {
  const errors: Violation[] = Object.entries(lists).flatMap(([name, patterns]) =>
    patterns.flatMap((pattern, index) =>
      isRoomPattern(pattern)
        ? []
        : { pointer: `/${name}/${index}`, detail: 'is no pattern of rooms: see docs/observation.md' },
    ),
  )
  if (errors.length === 0) return
  throw new Problem('validation-failed', 'The body is not as it should be: see "errors".', errors)
}

/** The member as it was sent, what is told of it to the letter. @throws Problem when that is too much */
function memberOf(text: string, member: Static<typeof NewObserverToken>['member']): Member | null {
  if (!member) return null
  const [from] = memberSlice(text, 'member') ?? []
  const slice = memberSlice(text, 'info', from)
  if (!slice || member.info === null) return { id: member.id, info: null }
  const info = text.slice(...slice)
  const bytes = Buffer.byteLength(info)
  if (bytes > MAX_INFO_BYTES) {
    throw new Problem('validation-failed', `The info of a member may take ${MAX_INFO_BYTES} bytes.`, [
      { pointer: '/member/info', detail: `takes ${bytes} bytes` },
    ])
  }
  return { id: member.id, info }
}
