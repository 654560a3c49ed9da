import { Type, type TSchema } from '@sinclair/typebox'
import { AnyObject } from '../../../platform/http/schemas.ts'
import { webhooks } from '../../deliveries/index.ts'
import { Edges, Event } from '../../events/index.ts'
import {
  CLIENT_FRAMES,
  Closing,
  EphemeralMessage,
  EventMessage,
  HeartbeatSeconds,
  LostReason,
  MemberChange,
  Position,
  RoomStart,
  SERVER_FRAMES,
} from '../frames.ts'

/** A message as the document describes it. */
export interface DocumentedMessage {
  summary: string
  payload: TSchema
  /** Of a webhook its HTTP headers; of a server-sent event its other fields. */
  headers?: TSchema
  examples: { payload: unknown; headers?: unknown }[]
}

const EVENT_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const USER_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b78'
const TIME = '2026-11-21T17:32:56.188Z'
const ADA = { id: 'user-7', info: { name: 'Ada' } }

const eventMessage = {
  room: 'orders/17',
  topic: 'orders/shipped',
  position: 42,
  data: { order_id: '17' },
  event: { id: EVENT_ID, type: 'order.shipped', createdAt: TIME },
}
const ephemeralMessage = {
  room: 'chat/42',
  topic: 'chat/typing',
  position: null,
  data: { who: 'user-7' },
  ephemeral: true,
}
const change = { room: 'chat/42', change: 'join', member: ADA }
const closing = { code: 1012, reason: 'the server stops', retryMs: 1_850 }

const frame = (summary: string, payload: TSchema, ...examples: unknown[]): DocumentedMessage => ({
  summary,
  payload,
  examples: examples.map((example) => ({ payload: example })),
})

/** What a client sends over the WebSocket, by its `action`. */
export const clientMessages = {
  join: frame(
    'Observe a room, now or from where one was',
    CLIENT_FRAMES.join,
    { action: 'join', room: 'orders/17', ref: 1 },
    { action: 'join', room: 'chat/42', after: 41, presence: true, ref: 'chat' },
  ),
  leave: frame('Observe a room no longer', CLIENT_FRAMES.leave, {
    action: 'leave',
    room: 'orders/17',
    ref: 2,
  }),
  publish: frame('Give an ephemeral message to a room', CLIENT_FRAMES.publish, {
    action: 'publish',
    room: 'chat/42',
    topic: 'chat/typing',
    data: { who: 'user-7' },
    ref: 3,
  }),
  presence: frame('Ask who is in a joined room', CLIENT_FRAMES.presence, {
    action: 'presence',
    room: 'chat/42',
    ref: 4,
  }),
  auth: frame('Go on with a new token', CLIENT_FRAMES.auth, { action: 'auth', token: 'eyJhbGciOi…', ref: 5 }),
  ping: frame('Ask whether the server is there', CLIENT_FRAMES.ping, { action: 'ping', ref: 6 }),
}

/** What the server sends over the WebSocket. */
export const serverMessages = {
  welcome: frame('The first frame of a connection', SERVER_FRAMES.welcome, {
    type: 'welcome',
    connection: EVENT_ID,
    heartbeatSeconds: 25,
    expiresAt: TIME,
  }),
  joined: frame(
    'Where a room begins; its messages follow',
    SERVER_FRAMES.joined,
    { type: 'joined', room: 'orders/17', position: 41, recovered: true, ref: 1 },
    {
      type: 'joined',
      room: 'chat/42',
      position: 90,
      recovered: false,
      reason: 'expired',
      members: [ADA],
      ref: 'chat',
    },
  ),
  left: frame('A room was left', SERVER_FRAMES.left, { type: 'left', room: 'orders/17', ref: 2 }),
  published: frame('The message was given to the room', SERVER_FRAMES.published, {
    type: 'published',
    room: 'chat/42',
    ref: 3,
  }),
  members: frame('Who is in a room', SERVER_FRAMES.members, {
    type: 'presence',
    room: 'chat/42',
    members: [ADA],
    ref: 4,
  }),
  authorized: frame('The new token was taken', SERVER_FRAMES.authorized, {
    type: 'authorized',
    expiresAt: TIME,
    ref: 5,
  }),
  pong: frame('The server is there', SERVER_FRAMES.pong, { type: 'pong', ref: 6 }),
  error: frame('What a frame did wrong; the connection stays', SERVER_FRAMES.error, {
    type: 'error',
    code: 'forbidden',
    detail: 'The token does not allow to join the room.',
    ref: 1,
  }),
  eventMessage: frame('An event, in a room', SERVER_FRAMES.message, { type: 'message', ...eventMessage }),
  ephemeralMessage: frame('Not an event: given at most once', SERVER_FRAMES.ephemeral, {
    type: 'message',
    ...ephemeralMessage,
  }),
  presenceChange: frame('Who came or went', SERVER_FRAMES.change, { type: 'presence', ...change }),
  closing: frame('The connection is about to be closed; come back', SERVER_FRAMES.closing, {
    type: 'closing',
    ...closing,
  }),
}

const exact = { additionalProperties: false }
const id = Type.String({ pattern: '^\\d+(-\\d+)?$', description: 'Resumes the stream when it is sent back.' })

const serverSent = (
  event: string,
  summary: string,
  payload: TSchema,
  example: unknown,
  exampleId?: string,
): DocumentedMessage => ({
  summary,
  payload,
  headers: Type.Object(
    { event: Type.Literal(event), ...(exampleId !== undefined && { id }) },
    { ...exact, description: 'The fields of the server-sent event beside `data`.' },
  ),
  examples: [{ payload: example, headers: { event, ...(exampleId !== undefined && { id: exampleId }) } }],
})

/** What a stream of rooms sends. */
export const streamMessages = {
  streamJoined: serverSent(
    'joined',
    'Where the rooms begin: the first event of a stream',
    Type.Object(
      { rooms: Type.Array(Type.Object(RoomStart, exact)), heartbeatSeconds: HeartbeatSeconds },
      exact,
    ),
    { rooms: [{ room: 'orders/17', position: 41, recovered: true }], heartbeatSeconds: 25 },
  ),
  streamEventMessage: serverSent(
    'message',
    'An event, in a room; with an id such as `41-1` another room’s follows',
    Type.Object(EventMessage, exact),
    eventMessage,
    '42',
  ),
  streamEphemeralMessage: serverSent(
    'message',
    'Not an event: given at most once, without an id',
    Type.Object(EphemeralMessage, exact),
    ephemeralMessage,
  ),
  streamPresenceChange: serverSent('presence', 'Who came or went', Type.Object(MemberChange, exact), change),
  streamHeartbeat: serverSent(
    'heartbeat',
    'Every `heartbeatSeconds`: the stream is alive; with an id when nothing up to it is left to come',
    Type.Object({}, exact),
    {},
    '57',
  ),
  streamClosing: serverSent(
    'closing',
    'The stream is about to end; come back',
    Type.Object(Closing, exact),
    closing,
  ),
}

const { requestBody, parameters } = webhooks.event.post
const contents = requestBody.content

const webhookHeaders = Type.Object(
  Object.fromEntries(parameters.map(({ name, description }) => [name, Type.String({ description })])),
)
const headers = {
  'webhook-id': EVENT_ID,
  'webhook-timestamp': '1795282376',
  'webhook-signature': 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
}
const cloudEvent = {
  specversion: '1.0',
  id: EVENT_ID,
  source: '/shop',
  type: 'order.shipped',
  time: TIME,
  data: { order_id: '17' },
}

/** What is not about rooms: the log, and what webhooks are sent. */
export const otherMessages = {
  loggedEvent: {
    summary: 'An event of the log; `id` is its position, `event` its type',
    payload: Type.Composite([
      Type.Omit(Event, ['status', 'processedAt', 'edges'], { examples: undefined }),
      Type.Object({ edges: Edges, payload: AnyObject() }),
    ]),
    headers: Type.Object({ id: Type.String({ pattern: '^\\d+$' }), event: Type.String() }),
    examples: [
      {
        payload: {
          id: EVENT_ID,
          position: 42,
          appId: '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b00',
          eventTypeId: '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b01',
          type: 'order.shipped',
          payload: { order_id: '17' },
          edges: [],
          originEventId: null,
          externalId: null,
          orgid: null,
          schemaVersion: null,
          schemaValid: null,
          createdAt: TIME,
        },
        headers: { id: '42', event: 'order.shipped' },
      },
    ],
  },
  logLost: serverSent(
    'system.stream.lost',
    'The first of a stream that cannot go on where it was to: what came between may be missing',
    Type.Object({ position: Position, recovered: Type.Literal(false), reason: LostReason }, exact),
    { position: 41, recovered: false, reason: 'unknown' },
    '41',
  ),
  webhookEvent: {
    summary: webhooks.event.post.summary,
    payload: contents['application/json'].schema,
    headers: webhookHeaders,
    examples: [
      {
        payload: {
          event_id: EVENT_ID,
          event_type: 'order.shipped',
          app_id: '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b00',
          payload: { order_id: '17' },
          edges: { sent_by: { user_id: USER_ID } },
          edge_list: [{ edge_type: 'sent_by', target_type: 'user', target_id: USER_ID, user_id: USER_ID }],
          created_at: TIME,
        },
        headers,
      },
    ],
  },
  webhookCloudEvent: {
    summary: 'The same as a CloudEvent',
    payload: contents['application/cloudevents+json'].schema,
    headers: webhookHeaders,
    examples: [{ payload: cloudEvent, headers }],
  },
  webhookCloudEvents: {
    summary: 'Several at once (`batching`), as CloudEvents',
    payload: contents['application/cloudevents-batch+json'].schema,
    headers: webhookHeaders,
    examples: [{ payload: [cloudEvent], headers }],
  },
} satisfies Record<string, DocumentedMessage>
