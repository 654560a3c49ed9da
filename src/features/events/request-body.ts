import type { Static } from '@sinclair/typebox'
import { listMemberSlices, memberSlice, nestedDeeperThan, type Slice } from '../../platform/json/slices.ts'
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
  return toNewEvent(text, memberSlice(text, 'payload'), body, '/payload', limits)
}

/** The events of a batch. */
export function readBatch(
  text: string,
  bodies: readonly Static<typeof NewEventBody>[],
  limits: Limits,
): NewEvent[] {
  return listMemberSlices(text, 'events', 'payload').map((slice, index) =>
    toNewEvent(text, slice, bodies[index] as Static<typeof NewEventBody>, `/events/${index}/payload`, limits),
  )
}

/**
 * The event of a part of a body.
 *
 * @param slice where its payload stands in the text; undefined for an empty one
 * @param pointer to the payload, for errors
 */
export function toNewEvent(
  text: string,
  slice: Slice | undefined,
  body: Static<typeof NewEventBody>,
  pointer: string,
  limits: Limits,
): NewEvent {
  return {
    ...body,
    ...(body.originEventId !== undefined && { originEventId: body.originEventId.toLowerCase() }),
    payload: slice ? readPayload(text, slice, pointer, limits) : '{}',
    payloadValue: body.payload,
  }
}

/** A payload as it stands in a text. @throws Problem when it is too large or nested too deeply */
export function readPayload(
  text: string,
  slice: Slice,
  pointer: string,
  { maxPayloadBytes }: Limits,
): string {
  const payload = text.slice(...slice)
  const bytes = Buffer.byteLength(payload)
  if (bytes > maxPayloadBytes) {
    throw new Problem(
      'payload-too-large',
      `A payload may take ${maxPayloadBytes} bytes. Nothing was stored.`,
      [{ pointer, detail: `takes ${bytes} bytes` }],
    )
  }
  if (nestedDeeperThan(MAX_DEPTH, text, slice)) {
    throw new Problem('validation-failed', 'A payload is nested too deeply. Nothing was stored.', [
      { pointer, detail: `is nested deeper than ${MAX_DEPTH}` },
    ])
  }
  return payload
}
