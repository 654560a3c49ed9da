import { Type, type TSchema } from '@sinclair/typebox'
import packageJson from '../../../../package.json' with { type: 'json' }
import { CloudEvent } from '../../events/index.ts'
import {
  clientMessages,
  otherMessages,
  serverMessages,
  streamMessages,
  type DocumentedMessage,
} from './messages.ts'

/** What answers each of a client's frames when nothing is wrong. */
const ANSWERS: Record<keyof typeof clientMessages, keyof typeof serverMessages> = {
  join: 'joined',
  leave: 'left',
  publish: 'published',
  presence: 'members',
  auth: 'authorized',
  ping: 'pong',
}
/** What the server sends without being asked. */
const UNASKED = ['welcome', 'eventMessage', 'ephemeralMessage', 'presenceChange', 'closing'] as const

const LOG_MESSAGES = ['loggedEvent', 'logLost']

const WEBHOOK_MEDIA_TYPES: Record<string, string> = {
  webhookCloudEvent: 'application/cloudevents+json',
  webhookCloudEvents: 'application/cloudevents-batch+json',
}

const messages: Record<string, DocumentedMessage> = {
  ...clientMessages,
  ...serverMessages,
  ...streamMessages,
  ...otherMessages,
}

const refer = (...path: string[]) => ({
  $ref: `#/${path.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`,
})
const server = (name: string) => refer('servers', name)
const scheme = (name: string) => refer('components', 'securitySchemes', name)

const messagesOf = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, refer('components', 'messages', name)]))

const oneOf = (channel: string, ...names: string[]) => ({
  channel: refer('channels', channel),
  messages: names.map((name) => refer('channels', channel, 'messages', name)),
})

const httpGet = (query: Record<string, TSchema>) => ({
  http: { method: 'GET', query: Type.Object(query), bindingVersion: '0.3.0' },
})

const ObserverToken = Type.Optional(
  Type.String({ description: 'An observer token, where the header cannot be set. Never an API key.' }),
)
const After = Type.Optional(
  Type.String({ description: 'Begin after this id. `Last-Event-ID` goes first.', examples: ['41'] }),
)

const streamOperation = (
  channel: string,
  names: string[],
  summary: string,
  query: Record<string, TSchema>,
) => ({
  action: 'send',
  ...oneOf(channel, ...names),
  summary,
  bindings: httpGet(query),
})

const capitalized = (name: string): string => `${name.charAt(0).toUpperCase()}${name.slice(1)}`

const operations = {
  ...Object.fromEntries(
    Object.entries(ANSWERS).map(([action, answer]) => [
      `receive${capitalized(action)}`,
      {
        action: 'receive',
        ...oneOf('observation', action),
        summary: messages[action]?.summary,
        reply: oneOf('observation', answer, 'error'),
      },
    ]),
  ),
  ...Object.fromEntries(
    UNASKED.map((name) => [
      `send${capitalized(name)}`,
      { action: 'send', ...oneOf('observation', name), summary: messages[name]?.summary },
    ]),
  ),
  streamRooms: streamOperation(
    'observationStream',
    Object.keys(streamMessages),
    'Observe rooms as server-sent events',
    {
      rooms: Type.String({ description: '1 to 32 rooms with commas between them.', examples: ['orders/17'] }),
      after: After,
      presence: Type.Optional(Type.Boolean()),
      token: ObserverToken,
    },
  ),
  streamLog: streamOperation('eventStream', LOG_MESSAGES, 'Observe the log as server-sent events', {
    after: After,
    types: Type.Optional(Type.String({ description: 'Patterns of types with commas between them.' })),
  }),
  sendWebhook: {
    action: 'send',
    ...oneOf('webhook', 'webhookEvent', 'webhookCloudEvent', 'webhookCloudEvents'),
    summary: 'Tell a webhook of an event',
    bindings: { http: { method: 'POST', bindingVersion: '0.3.0' } },
  },
}

const security = [scheme('appKey'), scheme('observerToken'), scheme('observerTokenInUrl')]
const host = {
  host: '{host}',
  variables: { host: { default: 'localhost:3000', description: 'Where the service is reached.' } },
}

const description = {
  asyncapi: '3.0.0',
  info: {
    title: 'Heliograph',
    version: packageJson.version,
    description:
      'What Heliograph tells as it happens: rooms over WebSocket and server-sent events, the log as server-sent events, webhooks. Operations are from its point of view: it receives what a client sends. The HTTP API is described by OpenAPI (`/openapi.json`).',
    license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
  },
  defaultContentType: 'application/json',
  servers: {
    webSocket: { ...host, protocol: 'ws', description: '`wss` behind TLS.', security },
    http: { ...host, protocol: 'http', description: '`https` behind TLS.', security },
  },
  channels: {
    observation: {
      address: '/observation/ws',
      title: 'Rooms over a WebSocket',
      description:
        'JSON text frames of 64 KiB at most. Close codes: 1001 silent for too long, resume; 1002, 1003, 1007, 1009 the client did wrong; 1012 the server stops, resume; 1013 too many connections, later; 4401 come with a new token; 4408 too slow, resume.',
      servers: [server('webSocket')],
      messages: messagesOf(Object.keys({ ...clientMessages, ...serverMessages })),
      bindings: {
        ws: { method: 'GET', query: Type.Object({ token: ObserverToken }), bindingVersion: '0.1.0' },
      },
    },
    observationStream: {
      address: '/observation/sse',
      title: 'Rooms as server-sent events',
      description: 'A comment comes every 15 s. `Last-Event-ID` or `after` resumes.',
      servers: [server('http')],
      messages: messagesOf(Object.keys(streamMessages)),
    },
    eventStream: {
      address: '/events/stream',
      title: 'The log as server-sent events',
      servers: [server('http')],
      messages: messagesOf(LOG_MESSAGES),
    },
    webhook: {
      title: 'A webhook’s URL, as its subscription says',
      description:
        'Signed per the Standard Webhooks specification. An event may come more than once, always with the same `webhook-id`. A subscription’s transformation or batching gives other bodies.',
      messages: messagesOf(['webhookEvent', 'webhookCloudEvent', 'webhookCloudEvents']),
    },
  },
  operations,
  components: {
    messages: Object.fromEntries(
      Object.entries(messages).map(([name, message]) => [
        name,
        {
          name,
          ...message,
          ...(WEBHOOK_MEDIA_TYPES[name] !== undefined && { contentType: WEBHOOK_MEDIA_TYPES[name] }),
        },
      ]),
    ),
    // References name it by its place here.
    schemas: { CloudEvent: { ...CloudEvent, $id: undefined } },
    securitySchemes: {
      appKey: { type: 'http', scheme: 'bearer', description: 'An API key with the scope that is needed.' },
      observerToken: {
        type: 'http',
        scheme: 'bearer',
        description: 'A token of `POST /observation/tokens`.',
      },
      observerTokenInUrl: {
        type: 'httpApiKey',
        name: 'token',
        in: 'query',
        description: 'The same, where a browser cannot set headers.',
      },
    },
  },
}

/** The AsyncAPI 3 document, as JSON. */
export const asyncApi: unknown = JSON.parse(JSON.stringify(description))
