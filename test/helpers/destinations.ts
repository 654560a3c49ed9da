import type { Test } from 'tap'
import type {
  Attempt,
  DestinationServices,
  DestinationSettings,
  OwedEvent,
  Target,
} from '../../src/features/destinations/destination.ts'
import { sentEdges } from '../../src/features/entities/index.ts'
import { parseExactly } from '../../src/platform/json/exact-numbers.ts'
import { createOutboundHttp } from '../../src/platform/outbound/http.ts'
import { compileIsolated } from '../../src/platform/transformation/isolated-jsonata.ts'
import { TransformationError, type Transform } from '../../src/platform/transformation/transformation.ts'

/** Far beyond what an exchange on the loopback takes. */
const AMPLE_MS = 30_000

const transform: Transform = async (expression, input) => {
  try {
    const result: unknown = await compileIsolated(expression, AMPLE_MS).evaluate(parseExactly(input))
    return JSON.stringify(result ?? null)
  } catch (error) {
    throw new TransformationError((error as Error).message)
  }
}

/** What destinations get, with the loopback allowed; closed when the test ends. */
export function destinationServices(t: Test): DestinationServices {
  const http = createOutboundHttp(['127.0.0.0/8'])
  t.teardown(() => http.close())
  const signingKeys = {
    of: () => Promise.reject(new Error('Nothing is signed here.')),
  }
  return { http, transform, signingKeys }
}

/** An event as a destination gets it. */
export const owedEvent = (given: Partial<OwedEvent> = {}): OwedEvent => ({
  app_id: '019380f5-0000-7000-8000-00000000000a',
  subscription_id: '019380f5-0000-7000-8000-00000000000b',
  event_id: '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77',
  type: 'order.placed',
  payload: '{"id":42,"total":12.50}',
  edges: sentEdges([]),
  position: 7,
  event_created_at: new Date('2026-11-21T17:32:56.188Z'),
  orgid: null,
  origin_event_id: null,
  external_id: null,
  context: null,
  ...given,
})

export const targetOf = (settings: DestinationSettings, transformation: string | null = null): Target => ({
  settings,
  secrets: [],
  transformation,
})

export const attempt = (given: Partial<Attempt> = {}): Attempt => ({
  number: 1,
  now: Date.now(),
  timeoutMs: AMPLE_MS,
  ...given,
})
