import type { Static } from '@sinclair/typebox'
import { elementSlices, memberSlice, nestedDeeperThan, type Slice } from '../../platform/json-slices.ts'
import { Problem } from '../../platform/http/problems.ts'
import type { NewEvent } from './append/prepare.ts'
import type { NewEvent as NewEventBody } from './schemas.ts'

/** Deeper payloads are refused: some JSON parsers, Postgres among them, give up on deep nesting. */
const MAX_DEPTH = 100

export interface Limits {
  maxPayloadBytes: number
}

/**
 * The event of a request, its payload cut out of the text of the body.
 *
 * @param text the body as it was sent
 * @param body the same parsed, of the right form
 * @throws Problem `payload-too-large` or `validation-failed`
 */
export function readEvent(text: string, body: Static<typeof NewEventBody>, limits: Limits): NewEvent {
  return toNewEvent(text, 0, body, '', limits)
}

/** The events of a batch. */
export function readBatch(
  text: string,
  bodies: readonly Static<typeof NewEventBody>[],
  limits: Limits,
): NewEvent[] {
  const [events] = memberSlice(text, 'events') as Slice
  return elementSlices(text, events).map(([at], index) =>
    toNewEvent(text, at, bodies[index] as Static<typeof NewEventBody>, `/events/${index}`, limits),
  )
}

function toNewEvent(
  text: string,
  at: number,
  body: Static<typeof NewEventBody>,
  pointer: string,
  { maxPayloadBytes }: Limits,
): NewEvent {
  const slice = memberSlice(text, 'payload', at) as Slice
  const payload = text.slice(...slice)
  const bytes = Buffer.byteLength(payload)
  if (bytes > maxPayloadBytes) {
    throw new Problem(
      'payload-too-large',
      `A payload may take ${maxPayloadBytes} bytes. Nothing was stored.`,
      [{ pointer: `${pointer}/payload`, detail: `takes ${bytes} bytes` }],
    )
  }
  if (nestedDeeperThan(MAX_DEPTH, text, slice)) {
    throw new Problem('validation-failed', 'A payload is nested too deeply. Nothing was stored.', [
      { pointer: `${pointer}/payload`, detail: `is nested deeper than ${MAX_DEPTH}` },
    ])
  }
  return {
    ...body,
    ...(body.originEventId !== undefined && { originEventId: body.originEventId.toLowerCase() }),
    payload,
    payloadValue: body.payload,
  }
}
