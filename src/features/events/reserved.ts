import type { AppKey } from '../../platform/http/auth.ts'
import { Problem } from '../../platform/http/problems.ts'
import type { NewEvent } from './append/prepare.ts'
import type { GlobalTypes } from './types/global-types.ts'

/**
 * Refuses events of clients whose types tell what the service itself did, so that subscribers and queries may
 * believe them (SPEC section 2). A key with `events:import` may append them: they were true elsewhere.
 *
 * @param pointerOf where the type of an event stands in the request
 * @throws Problem `reserved-event-type` naming each of them; nothing was stored
 */
export function refuseReserved(
  globalTypes: GlobalTypes,
  key: Pick<AppKey, 'scopes'>,
  events: readonly Pick<NewEvent, 'type'>[],
  pointerOf: (index: number) => string,
): void {
  if (key.scopes.has('events:import')) return
  const errors = events.flatMap(({ type }, index) =>
    globalTypes.isOwn(type)
      ? [{ pointer: pointerOf(index), detail: `"${type}" is appended by the service itself alone` }]
      : [],
  )
  if (errors.length === 0) return
  throw new Problem(
    'reserved-event-type',
    `Events whose type begins with ${globalTypes.reservedPrefixes}, and those of ${globalTypes.ownTypes.join()}, tell what the service itself did. Nothing was stored. To import such events use a key with the scope "events:import".`,
    errors,
  )
}
