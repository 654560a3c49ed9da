import type { Running } from '../../../feature.ts'
import type { Log } from '../../../platform/log/log.ts'
import type { Pool } from '../../../platform/postgres/pool.ts'
import { repeat } from '../../../platform/time/repeat.ts'
import type { DeliveryQueue, QueuedDelivery } from './delivery-queue.ts'

const BATCH = 1_000
/** With this many jobs waiting the queue is alive and busy, and what is due is most likely in it. */
const BUSY_QUEUE = 5_000
/** Even then a few are swept, since a queue full of one subscription's jobs must not keep back the others. */
const BUSY_BATCH = 100
/** A swept delivery is left alone for this long; by then the queue has carried it, or lost it again. */
const SWEEP_AGAIN_MS = 60_000

/** Deliveries that are due and that no worker holds, oldest due first. Several sweepers never take the same. */
const SWEEP = `
update deliveries d set due_at = now() + $2::int4 * interval '1 millisecond'
  from (select app_id, id from deliveries
         where status = 'pending' and due_at <= now() and (lease_until is null or lease_until < now())
         order by due_at limit $1 for update skip locked) due
 where d.app_id = due.app_id and d.id = due.id
returning d.app_id as "appId", d.id, d.subscription_id as "subscriptionId"`

/**
 * Queues what the queue lost, what a dead worker held, and the retries that waited in Postgres. It makes the
 * queue a mere accelerator: emptied at any moment, everything that is owed still arrives.
 */
export function startSweeper(options: {
  pool: Pool
  queue: DeliveryQueue
  log: Log
  intervalMs: number
  graceMs: number
}): Running {
  const { pool, queue, log } = options
  const againMs = Math.min(SWEEP_AGAIN_MS, options.graceMs * 6)

  /** @returns whether there may be more */
  async function sweep(): Promise<boolean> {
    const limit = (await queue.queue.waiting()) > BUSY_QUEUE ? BUSY_BATCH : BATCH
    const { rows } = await pool.query<QueuedDelivery>({
      name: 'sweep',
      text: SWEEP,
      values: [limit, againMs],
    })
    if (rows.length === 0) return false
    queue.enqueue(rows)
    log.info({ deliveries: rows.length }, 'swept')
    return rows.length === BATCH
  }

  return repeat(sweep, {
    intervalMs: options.intervalMs,
    onError: ({ message }) => log.warn({ error: message }, 'sweep failed; the next one tries again'),
  })
}
