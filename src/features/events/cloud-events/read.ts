import { isUtf8 } from 'node:buffer'
import { Problem } from '../../../platform/http/problems.ts'
import { compileWhenUsed, escapePointer } from '../../../platform/json-schema/json-schema.ts'
import { memberSlice, type Slice } from '../../../platform/json/slices.ts'
import { sha256 } from '../../../platform/secrets/secret-box.ts'
import type { Edge, NewEvent } from '../append/prepare.ts'
import { toNewEvent, type Limits } from '../request-body.ts'
import { Edges } from '../schemas.ts'
import { OWN_NAMES, OWN_PREFIX, type CloudEventBody } from './schema.ts'

const NAME = /^[a-z0-9]{1,100}$/
const IS_DATA = new Set(['data', 'data_base64'])

/**
 * One CloudEvent of a body as it is checked and read on: without the attributes that are null, which count as not there
 * (JSON format, 2.2). Data that is null is another thing: it is a value.
 *
 * @param pointer to it in the body
 * @throws Problem `validation-failed` when attributes have names that none may have
 */
export function normalise(body: unknown, pointer = ''): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
  const wrong = Object.keys(body).flatMap((name) => {
    const detail = IS_DATA.has(name) ? undefined : faultOf(name)
    return detail === undefined ? [] : [{ pointer: `${pointer}/${escapePointer(name)}`, detail }]
  })
  if (wrong.length > 0)
    throw new Problem('validation-failed', 'Attributes of a CloudEvent cannot have these names.', wrong)
  return Object.fromEntries(Object.entries(body).filter(([name, value]) => value !== null || name === 'data'))
}

/** What is wrong with the name of an attribute. */
export function faultOf(name: string): string | undefined {
  if (!NAME.test(name))
    return 'is a name that no attribute may have: write 1 to 100 lower-case letters and digits'
  if (name.startsWith(OWN_PREFIX) && !OWN_NAMES.has(name))
    return `is a name that cannot be used: of those that begin with "${OWN_PREFIX}" there are ${[...OWN_NAMES].join(', ')}`
  return undefined
}

/** The event of a body in the JSON format. Appending the same `source` and `id` again returns the first event. */
export const readCloudEvent = (text: string, body: CloudEventBody, limits: Limits): NewEvent =>
  fromCloudEvent(text, 0, body, '', limits)

/** The events of a body in the batch form. */
export const readCloudEvents = (
  text: string,
  bodies: readonly CloudEventBody[],
  slices: readonly Slice[],
  limits: Limits,
): NewEvent[] =>
  slices.map(([at], index) => fromCloudEvent(text, at, bodies[index] as CloudEventBody, `/${index}`, limits))

function fromCloudEvent(
  text: string,
  at: number,
  body: CloudEventBody,
  pointer: string,
  limits: Limits,
): NewEvent {
  const { type, source, id, heliographexternalid, heliographoriginid, heliographorgid } = body
  const attributes = Object.entries(body).filter(([name]) => isKept(name))
  const edges = edgesOf(body, pointer)
  const data = dataOf(text, at, body, pointer)
  const event = {
    type,
    payload: data.value,
    ...(edges && { edges }),
    ...(heliographoriginid !== undefined && { originEventId: heliographoriginid }),
    ...(heliographexternalid !== undefined && { externalId: heliographexternalid }),
    ...(heliographorgid !== undefined && { orgid: heliographorgid }),
  }
  return {
    ...toNewEvent(data.text, data.slice, event, data.pointer, limits),
    pointers: { payload: data.pointer, originEventId: `${pointer}/heliographoriginid` },
    context: JSON.stringify(Object.fromEntries(attributes)),
    ownKey: { kind: 'cloudevent', value: sha256(JSON.stringify([source, id])).toString('hex') },
  }
}

/** Whether an attribute is kept as it came: what has a place of its own in an event is not. */
const isKept = (name: string): boolean => name !== 'type' && !IS_DATA.has(name) && !OWN_NAMES.has(name)

interface Data {
  value: Record<string, unknown>
  /** In which it stands. */
  text: string
  slice: Slice | undefined
  pointer: string
}

/** @throws Problem `validation-failed` when it is given twice, or as bytes that are no JSON object */
function dataOf(text: string, at: number, body: CloudEventBody, pointer: string): Data {
  const { data, data_base64: base64 } = body
  if (base64 === undefined) {
    const slice = data === undefined ? undefined : memberSlice(text, 'data', at)
    return { value: data ?? {}, text, slice, pointer: `${pointer}/data` }
  }
  const own = `${pointer}/data_base64`
  const refuse = (detail: string): Problem =>
    new Problem('validation-failed', 'The data of a CloudEvent must be a JSON object.', [
      { pointer: own, detail },
    ])
  if (data !== undefined) throw refuse('stands beside data: only one of them may be there')
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.toString('base64') !== base64) throw refuse('is not Base64 (RFC 4648, with padding)')
  const decoded = isUtf8(bytes) ? bytes.toString().trim() : ''
  const value = parsed(decoded)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse('has bytes that are no JSON object: Heliograph keeps nothing else')
  return { value: value as Data['value'], text: decoded, slice: [0, decoded.length], pointer: own }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const checkEdges = compileWhenUsed(Edges)

function edgesOf(
  { heliographedges: edges, heliographedgelist: list }: CloudEventBody,
  pointer: string,
): Edge[] | undefined {
  if (list !== undefined) return readEdges(list, `${pointer}/heliographedgelist`, fromSnakeCase)
  return edges === undefined ? undefined : readEdges(edges, `${pointer}/heliographedges`)
}

/** An item of the list that is sent, without what it tells of the entity. */
const fromSnakeCase = (item: unknown): unknown => {
  const {
    edge_type: type,
    target_type: targetType,
    target_id: targetId,
  } = Object(item) as Record<string, unknown>
  return { type, targetType, targetId }
}

function readEdges(text: string, pointer: string, toEdge = (item: unknown): unknown => item): Edge[] {
  const refuse = (detail: string): Problem =>
    new Problem('validation-failed', 'The edges cannot be read. Nothing was stored.', [{ pointer, detail }])
  let edges: unknown
  try {
    edges = JSON.parse(text)
  } catch {
    throw refuse('must be JSON text')
  }
  const read = Array.isArray(edges) ? edges.map(toEdge) : edges
  if (checkEdges(read).length > 0)
    throw refuse('must be a list of at most 50 edges: type, targetType, targetId')
  return read as Edge[]
}
