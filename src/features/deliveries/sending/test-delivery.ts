import type { Static } from '@sinclair/typebox'
import type { Clock } from '../../../platform/time/clock.ts'
import { newId } from '../../../platform/identifiers/ids.ts'
import { destinationOf, type Destinations, type OwedEvent } from '../../destinations/index.ts'
import { sentEdges } from '../../entities/index.ts'
import type { TestDelivery, TestResult } from '../schemas.ts'
import type { Targets } from './targets.ts'

const TEST_TYPE = 'system.subscription.test'

/**
 * Sends a made-up event to a subscription at once and tells what came of it: shaped and signed as the real ones,
 * in neither the log nor the attempts, whatever its patterns, its filter and its health are.
 *
 * @param timeoutMs over the whole exchange
 */
export async function sendTest(
  {
    targets,
    destinations,
    clock,
    timeoutMs,
  }: {
    targets: Targets
    destinations: Destinations
    clock: Clock
    timeoutMs: number
  },
  appId: string,
  subscriptionId: string,
  { eventType = TEST_TYPE, payload = { subscriptionId, test: true } }: Static<typeof TestDelivery>,
): Promise<Static<typeof TestResult>> {
  const target = await targets.get(appId, subscriptionId)
  const destination = destinationOf(destinations, target.type)
  const now = clock.now()
  const event: OwedEvent = {
    app_id: appId,
    subscription_id: subscriptionId,
    event_id: newId(),
    type: eventType,
    payload: JSON.stringify(payload),
    edges: sentEdges([]),
    position: 0,
    event_created_at: new Date(now),
    orgid: null,
    origin_event_id: null,
    external_id: null,
    context: null,
  }
  const attempt = { number: 1, now, timeoutMs }
  const started = performance.now()
  const result =
    target.flow?.batching && destination.sendBatch
      ? await destination.sendBatch([event], target.at(now), attempt)
      : await destination.send(event, target.at(now), attempt)
  const { succeeded, responseStatus, responseHeaders, responseBody, error } = result
  return {
    succeeded,
    eventId: event.event_id,
    durationMs: Math.round(performance.now() - started),
    responseStatus,
    responseHeaders,
    responseBody,
    error,
  }
}
