import type { Database } from '../../platform/postgres/pool.ts'
import type { EventState, StoredEvent } from './event.ts'

/**
 * Where events stand, in one query for all of them.
 *
 * An event nobody is owed is completed; one with a delivery that is still to be made is pending until the
 * first attempt and processing after it; then it failed if any delivery is dead.
 */
export async function readStates(
  db: Database,
  appId: string,
  events: readonly StoredEvent[],
): Promise<Map<string, EventState>> {
  const rows =
    events.length === 0
      ? []
      : await db
          .selectFrom('deliveries')
          .select((eb) => [
            'event_id',
            eb.fn.countAll<number>().filterWhere('status', '=', 'pending').as('open'),
            eb.fn.countAll<number>().filterWhere('status', '=', 'dead').as('dead'),
            eb.fn.countAll<number>().filterWhere('attempts', '>', 0).as('tried'),
            eb.fn.max('completed_at').as('completed_at'),
          ])
          .where('app_id', '=', appId)
          .where(
            'event_id',
            'in',
            events.map((event) => event.id),
          )
          .groupBy('event_id')
          .execute()
  const states = new Map<string, EventState>()
  for (const { event_id: id, open, dead, tried, completed_at: processedAt } of rows) {
    if (open > 0) states.set(id, { status: tried > 0 ? 'processing' : 'pending', processedAt: null })
    else states.set(id, { status: dead > 0 ? 'failed' : 'completed', processedAt })
  }
  for (const event of events) {
    if (!states.has(event.id)) states.set(event.id, { status: 'completed', processedAt: event.createdAt })
  }
  return states
}
