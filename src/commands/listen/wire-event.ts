import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { BodyEvent } from '../../features/destinations/index.ts'
import { sentEdges } from '../../features/entities/index.ts'
import { isUuid } from '../../platform/identifiers/ids.ts'
import { memberSlice } from '../../platform/json/slices.ts'

const WireEvent = Type.Object({
  id: Type.String(),
  appId: Type.String(),
  type: Type.String({ pattern: '^[a-z0-9_.]+$' }),
  payload: Type.Object({}),
  edges: Type.Array(Type.Object({ type: Type.String(), targetType: Type.String(), targetId: Type.String() })),
  createdAt: Type.String(),
})

/**
 * Reads the JSON of an event, as the API and its streams give it, with its payload to the letter.
 *
 * @returns undefined when it is none
 */
export function readWireEvent(text: string): BodyEvent | undefined {
  const event = parse(text)
  if (!Value.Check(WireEvent, event) || !isUuid(event.id) || !isUuid(event.appId)) return undefined
  const createdAt = new Date(event.createdAt)
  if (Number.isNaN(createdAt.getTime())) return undefined
  return {
    event_id: event.id,
    app_id: event.appId,
    type: event.type,
    payload: memberText(text, 'payload'),
    edges: sentEdges(event.edges),
    event_created_at: createdAt,
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const memberText = (text: string, name: string): string => text.slice(...(memberSlice(text, name) ?? [0, 0]))
