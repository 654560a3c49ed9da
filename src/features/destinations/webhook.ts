import { Type, type Static } from '@sinclair/typebox'
import { Problem } from '../../platform/http/problems.ts'
import { Url } from '../../platform/http/urls.ts'
import { idForName } from '../../platform/identifiers/ids.ts'
import { escapePointer } from '../../platform/json-schema/json-schema.ts'
import {
  mergeHeaders,
  OutboundError,
  retryAfterMs,
  type OutboundResponse,
} from '../../platform/outbound/http.ts'
import { signedHeaders } from '../../platform/secrets/signing.ts'
import { cloudEventBody, eventBody, USER_AGENT } from './body.ts'
import {
  destinationKind,
  failure,
  type Attempt,
  type AttemptResult,
  type DestinationServices,
  type OwedEvent,
  type Target,
} from './destination.ts'
import { HIDDEN } from './hidden.ts'
import { transformationFailed } from './transformation-failed.ts'
import { destinationUrl } from './url.ts'

/** How much of a response body is read and kept with the attempt. */
const MAX_RESPONSE_BYTES = 16_384

/** Asked for fewer requests, or near to breaking down: the Standard Webhooks specification has these three throttle. */
const THROTTLING = new Set([429, 502, 504])
const GONE = 410

const MAX_HEADERS = 20
/** A name that HTTP takes (RFC 9110, section 5.6.2), and a value without line breaks or other controls. */
const HEADER_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$"
const HEADER_VALUE = '^[\\x20-\\x7e]*$'
/** What HTTP itself and the signature stand in. */
const OWN_HEADERS =
  /^(host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|accept-encoding|content-length|content-type|content-encoding|webhook-.*)$/i

const Settings = Type.Object(
  {
    type: Type.Literal('webhook'),
    url: Url({
      description: 'Where events are posted to. Addresses that are not public need OUTBOUND_ALLOW_CIDRS.',
      examples: ['https://example.com/hooks'],
    }),
    headers: Type.Optional(
      Type.Unsafe<Record<string, string>>({
        type: 'object',
        maxProperties: MAX_HEADERS,
        propertyNames: { pattern: HEADER_NAME },
        additionalProperties: { type: 'string', maxLength: 2000, pattern: HEADER_VALUE },
        description: `Sent with every request. Values are stored encrypted and shown as \`${HIDDEN}\`; one that is given as \`${HIDDEN}\` in a change keeps its value.`,
        examples: [{ authorization: 'Bearer 3f1c' }],
      }),
    ),
    format: Type.Optional(
      Type.Union([Type.Literal('json'), Type.Literal('cloudevents')], {
        description:
          'Of the body: `json` (unless given), or `cloudevents` for the JSON format of CloudEvents 1.0.',
      }),
    ),
    signatures: Type.Optional(
      Type.Array(Type.Union([Type.Literal('v1'), Type.Literal('v1a')]), {
        minItems: 1,
        uniqueItems: true,
        description:
          'How requests are signed; both ways unless given. `v1`: with the subscription’s secret (HMAC-SHA256). `v1a`: with the app’s key (ed25519), whose public part is at `/apps/{id}/.well-known/jwks.json`.',
      }),
    ),
  },
  { additionalProperties: false, title: 'Webhook' },
)

type WebhookSettings = Static<typeof Settings>

/** A request to be made, before it is signed. */
interface Content {
  /** Of the message: the same for every attempt. */
  id: string
  mediaType: string
  body: string
}

/**
 * Posts events to a URL, signed per the Standard Webhooks specification. Only a 2xx counts as success; a
 * redirect is not followed.
 */
export const webhook = destinationKind({
  settings: Settings,
  hidden: ['headers'],

  check(settings) {
    const url = destinationUrl(settings.url, '; use the header authorization')
    const names = Object.keys(settings.headers ?? {})
    const own = names.filter((name) => OWN_HEADERS.test(name))
    if (own.length > 0) {
      throw refused(
        `These headers are set by Heliograph itself: ${own.join(', ')}.`,
        ...own.map((name) => [`/headers/${escapePointer(name)}`, 'is set by Heliograph itself'] as const),
      )
    }
    const seen = new Set<string>()
    const repeated = names.filter((name) => seen.size === seen.add(name.toLowerCase()).size)
    if (repeated.length > 0) {
      throw refused(
        'A header stands twice in the destination.',
        ...repeated.map((name) => [`/headers/${escapePointer(name)}`, 'stands there already'] as const),
      )
    }
    return { ...settings, url }
  },

  connect: (services) => ({
    async send(event, target, attempt) {
      const content = await contentOf(services, event, target).catch(transformationFailed)
      return 'error' in content ? content : post(services, event.app_id, content, target, attempt)
    },
    async sendBatch(events, target, attempt) {
      const content = await batchOf(services, events, target).catch(transformationFailed)
      const appId = events[0]?.app_id ?? ''
      if (!('error' in content)) return post(services, appId, content, target, attempt)
      // It may be one event's alone: tried again, each goes for itself.
      return events.length === 1 ? content : { ...content, final: false }
    },
  }),
})

const refused = (detail: string, ...errors: (readonly [path: string, detail: string])[]): Problem =>
  new Problem(
    'invalid-destination',
    detail,
    errors.map(([path, what]) => ({ pointer: `/destination${path}`, detail: what })),
  )

const isCloudEvents = ({ settings }: Target): boolean => settings['format'] === 'cloudevents'

async function bodyOf({ transform }: DestinationServices, event: OwedEvent, target: Target): Promise<string> {
  const { transformation } = target
  if (transformation === null) return isCloudEvents(target) ? cloudEventBody(event) : eventBody(event)
  const result = await transform(transformation, eventBody(event))
  return isCloudEvents(target) ? cloudEventBody(event, result) : result
}

async function contentOf(services: DestinationServices, event: OwedEvent, target: Target): Promise<Content> {
  return {
    id: event.event_id,
    mediaType: isCloudEvents(target) ? 'application/cloudevents+json' : 'application/json',
    body: await bodyOf(services, event, target),
  }
}

/** The id follows from the events, so that the same events have the same id in every attempt. */
async function batchOf(
  services: DestinationServices,
  events: readonly OwedEvent[],
  target: Target,
): Promise<Content> {
  const list = (await Promise.all(events.map((event) => bodyOf(services, event, target)))).join(',')
  const [first] = events
  const id =
    events.length === 1 && first ? first.event_id : idForName(events.map((event) => event.event_id).join())
  return isCloudEvents(target)
    ? { id, mediaType: 'application/cloudevents-batch+json', body: `[${list}]` }
    : { id, mediaType: 'application/json', body: `{"events":[${list}]}` }
}

async function post(
  { http, signingKeys }: DestinationServices,
  appId: string,
  { id, mediaType, body }: Content,
  target: Target,
  { now, timeoutMs }: Attempt,
): Promise<AttemptResult> {
  const { url, headers = {}, signatures = ['v1', 'v1a'] } = target.settings as WebhookSettings
  const signers = {
    secrets: signatures.includes('v1') ? target.secrets : [],
    keys: signatures.includes('v1a') ? await signingKeys.of(appId) : [],
  }
  try {
    const response = await http.send(url, {
      method: 'POST',
      headers: mergeHeaders({ 'user-agent': USER_AGENT }, headers, {
        'content-type': mediaType,
        ...signedHeaders(signers, id, Math.floor(now / 1000), body),
      }),
      body,
      timeoutMs,
      maxResponseBytes: MAX_RESPONSE_BYTES,
    })
    return toResult(response, now)
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error
    return failure(error.message)
  }
}

function toResult({ status, headers, body }: OutboundResponse, now: number): AttemptResult {
  const said = { responseStatus: status, responseHeaders: headers, responseBody: body }
  if (status >= 200 && status < 300) return { succeeded: true, error: null, ...said }
  const waitMs = retryAfterMs(headers, now)
  return {
    succeeded: false,
    error:
      status >= 300 && status < 400
        ? `The endpoint answered ${status}; redirects are not followed. Change the URL to where it moved.`
        : `The endpoint answered ${status}.`,
    ...said,
    retryAfterMs: waitMs,
    throttled: THROTTLING.has(status) || (status === 503 && waitMs !== undefined),
    gone: status === GONE,
  }
}
