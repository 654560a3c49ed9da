import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../../platform/http/auth.ts'
import { Problem } from '../../../platform/http/problems.ts'
import { BODY_PROBLEMS, inMediaTypes, responses } from '../../../platform/http/schemas.ts'
import { memberSlice, type Slice } from '../../../platform/json/slices.ts'
import { isRoom } from '../../../platform/rooms/names.ts'
import type { Emitter, Presence } from '../contracts.ts'
import { memberJson } from '../live/encoding.ts'
import { MAX_PUBLISH_BYTES } from './publish-limits.ts'

const tags = ['Observation']
const MAX_ROOMS = 100
const MAX_MEMBERS = 1_000
/** What a body may take: the data, and a hundred names of rooms. */
const BODY_LIMIT = MAX_PUBLISH_BYTES + 65_536

const NAME_FORM =
  '1 to 8 segments with `/` between them, each of 1 to 128 of the characters `A-Z a-z 0-9 _ . : @ ~ -`'
const Name = (description: string, example: string) =>
  Type.String({
    minLength: 1,
    maxLength: 255,
    description: `${description}: ${NAME_FORM}.`,
    examples: [example],
  })

const Publication = Type.Object(
  {
    rooms: Type.Array(Name('A room', 'chat/42'), { minItems: 1, maxItems: MAX_ROOMS }),
    topic: Name('What the message is about', 'chat/typing'),
    data: Type.Unknown({
      description: `Any JSON of up to ${MAX_PUBLISH_BYTES} bytes; passed on exactly as it was sent.`,
    }),
  },
  {
    additionalProperties: false,
    examples: [{ rooms: ['chat/42'], topic: 'chat/typing', data: { who: 'user-7' } }],
  },
)

const PresentMembers = Type.Object({
  data: Type.Array(
    Type.Object({
      id: Type.String(),
      info: Type.Unknown({
        description: 'What the others may know of the member; null when it says nothing.',
      }),
    }),
    { examples: [[{ id: 'user-7', info: { name: 'Ada' } }]] },
  ),
})

/** Publishing to rooms and presence in them, for servers (SPEC section 4). */
export const publishRoutes =
  (emitter: Emitter, presence: Presence): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/observation/publish',
      {
        config: { access: 'observation:publish' },
        bodyLimit: BODY_LIMIT,
        schema: {
          tags,
          operationId: 'publish',
          summary: 'Give a message to those who observe rooms now',
          description:
            'For what only matters now, such as who is typing. Nothing is stored, and nobody waits for the rooms: an observer gets the message at most once, and not at all when it is away. What must not be lost is an event.',
          body: Publication,
          response: responses({ 202: Type.Object({}, { description: 'Taken; on its way' }) }, [
            ...BODY_PROBLEMS,
          ]),
        },
      },
      async (request, reply) => {
        const { rooms, topic } = request.body
        checkNames([
          ...rooms.map((name, index) => ({ name, pointer: `/rooms/${index}` })),
          { name: topic, pointer: '/topic' },
        ])
        const data = readData(request.bodyText)
        emitter.emit({ appId: appIdOf(request), rooms, topic, data })
        return reply.code(202).send({})
      },
    )

    app.get(
      '/observation/presence',
      {
        config: { access: 'observation:read' },
        schema: {
          tags,
          operationId: 'listPresence',
          summary: 'List who is in a room',
          description: `For servers that ask who is there; observers are told of it as it changes. In the order of their ids, the first ${MAX_MEMBERS}. A member with several connections is listed once.`,
          querystring: Type.Object({ room: Name('The room', 'chat/42') }, { additionalProperties: false }),
          response: responses(
            { 200: inMediaTypes({ 'application/json': PresentMembers }, { description: 'Who is there.' }) },
            ['validation-failed'],
          ),
        },
      },
      async (request, reply) => {
        const { room } = request.query
        checkNames([{ name: room, pointer: '/room' }])
        const members = await presence.list(appIdOf(request), room, MAX_MEMBERS)
        return reply.type('application/json').send(`{"data":[${members.map(memberJson).join(',')}]}`)
      },
    )
  }

/** @throws Problem `validation-failed` */
function checkNames(names: readonly { name: string; pointer: string }[]): void {
  const wrong = names.filter(({ name }) => !isRoom(name))
  if (wrong.length === 0) return
  throw new Problem(
    'validation-failed',
    `Names of rooms and topics are ${NAME_FORM}.`,
    wrong.map(({ pointer }) => ({ pointer, detail: 'is no such name' })),
  )
}

/** The data of a publication as it stands in the body. @throws Problem `payload-too-large` */
function readData(bodyText: string): string {
  const data = bodyText.slice(...(memberSlice(bodyText, 'data') as Slice))
  const bytes = Buffer.byteLength(data)
  if (bytes <= MAX_PUBLISH_BYTES) return data
  throw new Problem('payload-too-large', `The data may take ${MAX_PUBLISH_BYTES} bytes.`, [
    { pointer: '/data', detail: `takes ${bytes} bytes` },
  ])
}
