import { isNumber, parseAsWritten } from '../../platform/json/exact-numbers.ts'
import type { Transform } from '../../platform/transformation/transformation.ts'
import { eventBody } from './body.ts'
import { failure, type AttemptResult, type OwedEvent } from './destination.ts'
import { transformationFailed } from './transformation-failed.ts'

/** What a transformation made of an event; `failed` for nothing that a message can be. */
export type Transformed =
  | { text: string }
  /** With the JSON text it came as. */
  | { object: Record<string, unknown>; json: string }
  | { failed: AttemptResult }

/** Runs a subscription's transformation on an event, for places whose messages are a text or an object. */
export async function transformed(
  transform: Transform,
  expression: string,
  event: OwedEvent,
): Promise<Transformed> {
  try {
    const json = await transform(expression, eventBody(event))
    const value = parseAsWritten(json)
    if (typeof value === 'string' && value.trim() !== '') return { text: value }
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && !isNumber(value)) {
      return { object: value as Record<string, unknown>, json }
    }
    return { failed: badResult(`${kindOf(value)}; it must make a text or an object.`) }
  } catch (error) {
    return { failed: transformationFailed(error) }
  }
}

/** @param made what the transformation made instead of a message */
export const badResult = (made: string): AttemptResult =>
  failure(`The transformation made ${made}`, { code: 'transformation-failed', ownFault: true })

function kindOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (typeof value === 'string') return 'an empty text'
  if (isNumber(value)) return 'a number'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}
