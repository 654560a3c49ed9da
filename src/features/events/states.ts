import { pgArray } from '../../platform/postgres/arrays.ts'
import type { Executor } from '../../platform/postgres/pool.ts'
import type { EventState, StoredEvent } from './event.ts'

const STATES = `
select event_id,
       count(*) filter (where status = 'pending') as open,
       count(*) filter (where status = 'dead') as dead,
       count(*) filter (where attempts > 0) as tried,
       max(completed_at) as completed_at
  from deliveries
 where app_id = $1 and event_id = any($2::uuid[])
 group by event_id`

interface StateRow {
  event_id: string
  open: number
  dead: number
  tried: number
  completed_at: Date | null
}

/**
 * Where events stand, in one query for all of them. It is a prepared one: to plan it, over the partitions of the
 * deliveries, takes several times what it takes to run.
 *
 * An event nobody is owed is completed; one with a delivery that is still to be made is pending until the
 * first attempt and processing after it; then it failed if any delivery is dead.
 */
export async function readStates(
  executor: Executor,
  appId: string,
  events: readonly StoredEvent[],
): Promise<Map<string, EventState>> {
  const states = new Map<string, EventState>()
  if (events.length === 0) return states
  const { rows } = await executor.query({
    name: 'event-states',
    text: STATES,
    values: [appId, pgArray.uuid(events.map(({ id }) => id))],
  })
  for (const { event_id: id, open, dead, tried, completed_at: processedAt } of rows as StateRow[]) {
    if (open > 0) states.set(id, { status: tried > 0 ? 'processing' : 'pending', processedAt: null })
    else states.set(id, { status: dead > 0 ? 'failed' : 'completed', processedAt })
  }
  for (const event of events) {
    if (!states.has(event.id)) states.set(event.id, { status: 'completed', processedAt: event.createdAt })
  }
  return states
}
