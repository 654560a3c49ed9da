import type { Running } from '../../../feature.ts'
import type { Log } from '../../../platform/log/log.ts'
import type { Pool } from '../../../platform/postgres/pool.ts'
import { repeat } from '../../../platform/time/repeat.ts'
import type { Dispatcher } from '../dispatch/dispatcher.ts'

const BATCH = 200
/** A subscription that somebody was woken for is left alone for this long; by then it was fed, or they died. */
const LOOK_AGAIN_MS = 5_000

/** Subscriptions whose parked deliveries are to be looked at. Several feeders never take the same. */
const DUE = `
update subscription_states t set feed_at = now() + $2::int4 * interval '1 millisecond'
  from (select app_id, subscription_id from subscription_states
         where feed_at <= now() order by feed_at limit $1 for update skip locked) due
 where t.app_id = due.app_id and t.subscription_id = due.subscription_id
returning t.app_id as "appId", t.subscription_id as "subscriptionId"`

/** Wakes the lanes of subscriptions that have parked deliveries, when their state allows more. */
export function startFeeder(options: {
  pool: Pool
  dispatcher: Dispatcher
  log: Log
  intervalMs: number
}): Running {
  const { pool, dispatcher, log } = options

  /** @returns whether there may be more */
  async function look(): Promise<boolean> {
    const { rows } = await pool.query<{ appId: string; subscriptionId: string }>({
      name: 'feeder',
      text: DUE,
      values: [BATCH, LOOK_AGAIN_MS],
    })
    for (const subscription of rows) dispatcher.wake(subscription)
    return rows.length === BATCH
  }

  return repeat(look, {
    intervalMs: options.intervalMs,
    onError: ({ message }) => log.warn({ error: message }, 'nothing was fed; the next look tries again'),
  })
}
