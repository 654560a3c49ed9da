import { Type, type Static, type TObject, type TSchema } from '@sinclair/typebox'
import { Ajv, type ValidateFunction } from 'ajv'
import { Nullable, Timestamp, Uuid } from '../../platform/http/schemas.ts'
import { toViolations } from '../../platform/http/violations.ts'
import { MAX_LENGTH, NAME_FORM } from '../../platform/rooms/names.ts'

/** The WebSocket's frames (docs/observation.md): what is checked, documented and typed, all from these schemas. */

const Room = Type.String({
  maxLength: MAX_LENGTH,
  pattern: NAME_FORM,
  description: 'One to eight segments with `/` between them.',
  examples: ['orders/17'],
})
const Topic = Type.String({
  maxLength: MAX_LENGTH,
  pattern: NAME_FORM,
  description: 'What the message is about.',
  examples: ['orders/shipped'],
})
export const Position = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'A place in the app’s log; 0 is before all events.',
  examples: [41],
})
const Data = Type.Unknown({ description: 'Any JSON value.', examples: [{ order_id: 'A-1001' }] })

const ref = Type.Optional(
  Type.Union(
    [
      Type.String({ maxLength: 64 }),
      Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
    ],
    { description: 'Of the client’s choosing; the answer repeats it.' },
  ),
)

const closed = { additionalProperties: false }
const asks = <Action extends string, Members extends Record<string, TSchema>>(
  action: Action,
  members: Members,
) => Type.Object({ action: Type.Literal(action), ...members, ref }, closed)

export const CLIENT_FRAMES = {
  join: asks('join', {
    room: Room,
    after: Type.Optional(Position),
    presence: Type.Optional(Type.Boolean({ description: 'Also tell who is there, comes and goes.' })),
  }),
  leave: asks('leave', { room: Room }),
  publish: asks('publish', { room: Room, topic: Topic, data: Data }),
  presence: asks('presence', { room: Room }),
  auth: asks('auth', { token: Type.String({ minLength: 1, maxLength: 8192 }) }),
  ping: asks('ping', {}),
} as const satisfies Record<string, TObject>

export type ClientFrame = Static<(typeof CLIENT_FRAMES)[keyof typeof CLIENT_FRAMES]>

const says = <Kind extends string, Members extends Record<string, TSchema>>(kind: Kind, members: Members) =>
  Type.Object({ type: Type.Literal(kind), ...members }, closed)

const PresentMember = Type.Object(
  { id: Type.String(), info: Nullable(Data) },
  { ...closed, description: 'Who is there, as its token says.' },
)
const Members = Type.Array(PresentMember, { description: 'In the order of their ids, 1,000 at most.' })

/** How often an observer hears of the server at least. */
export const HeartbeatSeconds = Type.Number({
  exclusiveMinimum: 0,
  description: 'How often the server says that the connection is alive.',
  examples: [25],
})

export const LostReason = Type.Union([Type.Literal('expired'), Type.Literal('unknown')], {
  description:
    'Why it was not recovered: the log no longer holds it, or is shorter than that (restored from a backup).',
})

/** Where a room begins for an observer. */
export const RoomStart = {
  room: Room,
  position: Position,
  recovered: Type.Boolean({ description: 'False: what followed `after` is not there any more.' }),
  reason: Type.Optional(LostReason),
}

/** A message of a room that is an event. */
export const EventMessage = {
  room: Room,
  topic: Topic,
  position: Position,
  data: Data,
  event: Type.Object({ id: Uuid(), type: Type.String(), createdAt: Timestamp() }, closed),
}

/** A message of a room that is none: given at most once, not stored. */
export const EphemeralMessage = {
  room: Room,
  topic: Topic,
  position: Type.Null(),
  data: Data,
  ephemeral: Type.Literal(true),
}

export const MemberChange = {
  room: Room,
  change: Type.Union([Type.Literal('join'), Type.Literal('leave')]),
  member: PresentMember,
}

export const Closing = {
  code: Type.Integer({ description: 'The close code that follows.', examples: [1012] }),
  reason: Type.String(),
  retryMs: Type.Integer({ minimum: 0, description: 'Come back after so many milliseconds.' }),
}

const ERROR_CODES = [
  'bad-frame',
  'forbidden',
  'not-joined',
  'too-many-rooms',
  'rate-limited',
  'too-large',
  'unauthorized',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

export const SERVER_FRAMES = {
  welcome: says('welcome', {
    connection: Uuid(),
    heartbeatSeconds: HeartbeatSeconds,
    expiresAt: Nullable(Timestamp(), { description: 'When the token ends; null for a key.' }),
  }),
  joined: says('joined', { ...RoomStart, members: Type.Optional(Members), ref }),
  left: says('left', {
    room: Room,
    reason: Type.Optional(Type.Literal('forbidden', { description: 'A new token does not allow the room.' })),
    ref,
  }),
  published: says('published', { room: Room, ref }),
  members: says('presence', { room: Room, members: Members, ref }),
  authorized: says('authorized', { expiresAt: Nullable(Timestamp()), ref }),
  pong: says('pong', { ref }),
  error: says('error', {
    code: Type.Union(ERROR_CODES.map((code) => Type.Literal(code))),
    detail: Type.String(),
    ref,
  }),
  message: says('message', EventMessage),
  ephemeral: says('message', EphemeralMessage),
  change: says('presence', MemberChange),
  closing: says('closing', Closing),
} as const

/** What is wrong with a client's frame, as an `error` frame tells it. */
export interface BadFrame {
  code: 'bad-frame'
  detail: string
  /** The frame's own, where that could be read. */
  ref?: string | number
}

const ajv = new Ajv({ strict: false, validateSchema: false, verbose: true })

/** Ajv compiles each schema when it is first asked for, and keeps it. */
const checkOf = (action: unknown): ValidateFunction<ClientFrame> | undefined =>
  isAction(action) ? ajv.compile<ClientFrame>(CLIENT_FRAMES[action]) : undefined

const isAction = (action: unknown): action is keyof typeof CLIENT_FRAMES =>
  typeof action === 'string' && Object.hasOwn(CLIENT_FRAMES, action)

const isRef = (given: unknown): given is string | number => ajv.compile(ref)(given)

/**
 * Reads a client's frame. Nothing is converted, and a member that is not known is refused.
 *
 * @param text at most as long as a frame may be
 * @returns the frame, or what is wrong with it
 */
export function readClientFrame(text: string): ClientFrame | BadFrame {
  let frame: unknown
  try {
    frame = JSON.parse(text)
  } catch (error) {
    return { code: 'bad-frame', detail: `The frame is not JSON: ${(error as Error).message}.` }
  }
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame))
    return { code: 'bad-frame', detail: 'The frame is not a JSON object.' }
  const { action, ref: given } = frame as Record<string, unknown>
  const bad = (detail: string): BadFrame => ({
    code: 'bad-frame',
    detail,
    ...(isRef(given) && { ref: given }),
  })
  const check = checkOf(action)
  if (given !== undefined && !isRef(given))
    return bad('"ref" must be a string of at most 64 characters or an integer.')
  if (!check) return bad(`"action" must be one of ${Object.keys(CLIENT_FRAMES).join(', ')}.`)
  if (check(frame)) return frame
  const [violation] = toViolations(check.errors ?? [])
  return bad(`"${violation?.pointer.slice(1)}" ${violation?.detail}.`)
}
