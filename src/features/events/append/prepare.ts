import { createHash } from 'node:crypto'
import { canonicalJson } from '../../../platform/json/canonical-json.ts'
import { exactly, parseExactly } from '../../../platform/json/exact-numbers.ts'
import type { Violation } from '../../../platform/json-schema/json-schema.ts'
import { notFound, Problem } from '../../../platform/http/problems.ts'
import { comparableAttributes } from '../../../platform/json/cloud-event.ts'
import { newId } from '../../../platform/identifiers/ids.ts'
import { sha256 } from '../../../platform/secrets/secret-box.ts'
import type { GlobalTypes } from '../types/global-types.ts'
import type { Routing } from './routing.ts'

export interface Edge {
  type: string
  targetType: string
  targetId: string
}

/** An event as a caller gives it, of the right form. */
export interface NewEvent {
  /** A new one unless given, for those who name it elsewhere before it is stored. */
  id?: string
  type: string
  /** The payload as JSON text, kept to the letter. */
  payload: string
  /** The same parsed. */
  payloadValue: unknown
  edges?: readonly Edge[]
  originEventId?: string
  externalId?: string
  orgid?: string
  /** CloudEvents attributes as JSON text, kept to the letter. */
  context?: string
  /** A subscription that gets the event whatever its patterns are. */
  addressedTo?: string
  /** Where its parts stand in the request, for errors, when it is not the body that `POST /events` takes. */
  pointers?: { payload: string; originEventId: string }
  /** What a repeat under the same key must equal; the event itself unless given. */
  content?: unknown
  /** Another name under which it is stored only once; content that differs matters for a CloudEvent alone. */
  ownKey?: { kind: 'cloudevent' | 'message' | 'report'; value: string }
}

/** Under what an append may be repeated without storing the event twice. */
export interface EventKey {
  kind: 'external' | 'idempotency' | 'batch' | 'cloudevent' | 'message' | 'report'
  value: string
  /** Tells a repeat from another request that uses the same key. */
  contentHash: Buffer
}

/** Names a key among those of all apps. */
export const keyName = (appId: string, key: { kind: string; value: string }): string =>
  `${appId} ${key.kind} ${key.value}`

/** An event that is ready to be stored, once the routing it was prepared with proves current. */
export interface PreparedEvent {
  id: string
  eventTypeId: string
  type: string
  schemaVersion: number | null
  schemaValid: boolean | null
  payload: string
  edges: readonly Edge[]
  edgesJson: string
  originEventId: string | null
  externalId: string | null
  orgid: string | null
  context: string | null
  /** What it is about in its rooms; null for an event that is in none. */
  topic: string | null
  /** Names with a space between them. */
  rooms: string | null
  keys: readonly EventKey[]
  deliveries: readonly PreparedDelivery[]
}

export interface PreparedDelivery {
  id: string
  subscriptionId: string
  /** Deliveries of one subscription with the same key are made one after the other. */
  orderingKey: string | null
}

export interface PreparedAppend {
  appId: string
  routing: Routing
  events: PreparedEvent[]
}

/**
 * Names of the types among some events that the app does not have yet.
 *
 * @throws Problem `reserved-event-type` for one that it could not have
 */
export function unknownTypes(
  events: readonly NewEvent[],
  routing: Routing,
  globalTypes: GlobalTypes,
): string[] {
  const names = new Set<string>()
  for (const { type } of events) {
    if (routing.typeOf(type) !== undefined) continue
    if (globalTypes.isReserved(type)) {
      throw new Problem(
        'reserved-event-type',
        `"${type}" is not a built-in type, and custom types may not begin with ${globalTypes.reservedPrefixes}`,
      )
    }
    names.add(type)
  }
  return [...names]
}

/**
 * Checks events against the schemas of their types and works out who is owed them and which rooms they are in.
 *
 * @param keys of each event, in their order
 * @throws Problem `schema-violation` listing the violations, with pointers into the request body
 */
export function prepareEvents(
  events: readonly NewEvent[],
  keys: readonly (readonly EventKey[])[],
  routing: Routing,
  isBatch: boolean,
): PreparedEvent[] {
  const valid = checkSchemas(events, routing, isBatch)
  return events.map((event, index): PreparedEvent => {
    const type = routing.typeOf(event.type)
    if (!type) throw new Error(`The type ${event.type} was not registered.`)
    const edges = event.edges ?? []
    const payload = once(() => exactly(event.payload, event.payloadValue))
    const observed = type.roomsOf?.(payload())
    return {
      id: event.id ?? newId(),
      eventTypeId: type.id,
      type: event.type,
      schemaVersion: type.schema?.version ?? null,
      schemaValid: valid[index] ?? null,
      payload: event.payload,
      edges,
      edgesJson: edges.length === 0 ? '[]' : JSON.stringify(edges),
      originEventId: event.originEventId ?? null,
      externalId: event.externalId ?? null,
      orgid: event.orgid ?? null,
      context: event.context ?? null,
      topic: observed?.topic ?? null,
      rooms: observed?.rooms ?? null,
      keys: keys[index] ?? [],
      deliveries: deliveriesOf(event, payload, routing),
    }
  })
}

/** Looking for numbers that need care takes time, and most events are asked nothing that depends on it. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => (made ??= { value: make() }).value
}

function deliveriesOf(event: NewEvent, payload: () => unknown, routing: Routing): PreparedDelivery[] {
  const { type, orgid, addressedTo } = event
  const routed = { type, orgid, payload }
  const owed: PreparedDelivery[] = []
  for (const route of routing.routesOf(type)) {
    if (!route.accepts(routed)) continue
    owed.push({ id: newId(), subscriptionId: route.subscriptionId, orderingKey: route.orderingKey(routed) })
  }
  if (addressedTo !== undefined) {
    if (!routing.isAddressable(addressedTo)) throw notFound('platform connection')
    owed.push({ id: newId(), subscriptionId: addressedTo, orderingKey: null })
  }
  return owed
}

/**
 * Checks the payloads of those events whose types are known and have a schema.
 *
 * @returns for each event whether it matches; undefined where there is nothing to match
 * @throws Problem `schema-violation` listing the violations, with pointers into the request body
 */
export function checkSchemas(
  events: readonly NewEvent[],
  routing: Routing,
  isBatch: boolean,
): (boolean | undefined)[] {
  const refused: Violation[] = []
  const valid = events.map((event, index) => {
    const type = routing.typeOf(event.type)
    if (!type?.schema) return undefined
    const violations = type.schema.validate(event.payloadValue)
    if (type.enforce) {
      const payload = event.pointers?.payload ?? (isBatch ? `/events/${index}/payload` : '/payload')
      refused.push(...violations.map(({ pointer, detail }) => ({ pointer: payload + pointer, detail })))
    }
    return violations.length === 0
  })
  if (refused.length > 0) {
    throw new Problem(
      'schema-violation',
      'The payload does not match the schema of its event type. Nothing was stored.',
      refused,
    )
  }
  return valid
}

/**
 * The keys of the events of one request.
 *
 * An event's own content decides whether its `externalId` is repeated; the whole request decides for an
 * idempotency key.
 *
 * @throws Problem `validation-failed` when an `externalId` stands twice in one batch
 */
export function keysOf(
  events: readonly NewEvent[],
  idempotencyKey: string | undefined,
  isBatch: boolean,
): EventKey[][] {
  const seen = new Set<string>()
  const seenOwn = new Set<string>()
  const repeated: Violation[] = []
  const hashes = events.map((event) =>
    event.externalId === undefined && idempotencyKey === undefined ? undefined : contentHash(event),
  )
  const keys = events.map((event, index) => {
    const own: EventKey[] = []
    if (event.externalId !== undefined) {
      if (seen.has(event.externalId)) {
        repeated.push({ pointer: `/events/${index}/externalId`, detail: 'stands twice in this batch' })
      }
      seen.add(event.externalId)
      own.push({ kind: 'external', value: event.externalId, contentHash: hashes[index] as Buffer })
    }
    if (event.ownKey) {
      const { kind, value } = event.ownKey
      if (seenOwn.has(`${kind} ${value}`)) {
        repeated.push({ pointer: `/${index}/id`, detail: 'stands twice in this batch, with this source' })
      }
      seenOwn.add(`${kind} ${value}`)
      own.push({ kind, value, contentHash: kind === 'cloudevent' ? contentHash(event) : sha256(value) })
    }
    return own
  })
  if (repeated.length > 0)
    throw new Problem('validation-failed', 'An event stands twice in the batch.', repeated)
  if (idempotencyKey !== undefined) {
    const whole = createHash('sha256')
      .update(Buffer.concat(hashes as Buffer[]))
      .digest()
    for (const [index, own] of keys.entries()) {
      own.push(
        isBatch
          ? { kind: 'batch', value: `${idempotencyKey}/${index}`, contentHash: whole }
          : { kind: 'idempotency', value: idempotencyKey, contentHash: whole },
      )
    }
  }
  return keys
}

/** Equal for events that mean the same, whatever the order of their keys or their white space. */
function contentHash(event: NewEvent): Buffer {
  if (event.content !== undefined) return sha256(canonicalJson(event.content))
  const { payload, payloadValue: _parsed, ownKey: _key, pointers: _places, context, ...rest } = event
  const attributes = context !== undefined && { context: comparableAttributes(context) }
  return createHash('sha256')
    .update(canonicalJson({ ...rest, ...attributes, payload: parseExactly(payload) }))
    .digest()
}
