import { newId } from '../../src/platform/identifiers/ids.ts'
import type { Pool } from '../../src/platform/postgres/pool.ts'

/** Where a delivery stands. */
export interface DeliveryState {
  status: 'pending' | 'succeeded' | 'dead' | 'cancelled'
  attempts: number
}

/** Puts a delivery of an event into the database, as if it had come so far. No worker may run. */
export async function putDelivery(
  pool: Pool,
  appId: string,
  event: { id: string; position: number },
  { status, attempts }: DeliveryState,
): Promise<string> {
  const id = newId()
  await pool.query(
    `insert into deliveries (app_id, id, event_id, position, subscription_id, status, attempts, created_at,
                             next_attempt_at, due_at, completed_at)
     values ($1, $2, $3, $4, $1, $5, $6, now(), now(), now(), case when $5 <> 'pending' then now() end)`,
    [appId, id, event.id, event.position, status, attempts],
  )
  return id
}

/** The status of an event with some deliveries, said another way than in the service. */
export function statusOf(deliveries: readonly DeliveryState[]): string {
  const has = (status: string): boolean => deliveries.some((delivery) => delivery.status === status)
  if (has('pending')) return deliveries.every(({ attempts }) => attempts === 0) ? 'pending' : 'processing'
  return has('dead') ? 'failed' : 'completed'
}
