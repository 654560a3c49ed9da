import type { Executor } from '../../../platform/postgres/pool.ts'

const MAX_SLOTS = 2 ** 31 - 1

interface Of {
  appId: string
  subscriptionId: string
}

/** Of a subscription's concurrency, what workers hold. */
export async function slotsHeld(executor: Executor, { appId, subscriptionId }: Of): Promise<number> {
  const { rows } = await executor.query({
    name: 'feed-slots',
    text: `select coalesce(sum(slots), 0)::int4 as held from subscription_slots
            where app_id = $1 and subscription_id = $2 and held_until > now()`,
    values: [appId, subscriptionId],
  })
  return (rows[0] as { held: number }).held
}

/** Slots are held as long as the deliveries they are for; whoever dies with them loses them then. */
export async function holdSlots(
  executor: Executor,
  { appId, subscriptionId, holder, leaseMs }: Of & { holder: string; leaseMs: number },
  slots: number,
): Promise<void> {
  await executor.query({
    name: 'feed-hold-slots',
    text: `insert into subscription_slots (app_id, subscription_id, holder, slots, held_until)
           values ($1, $2, $3, $4, now() + $5::int4 * interval '1 millisecond')`,
    values: [appId, subscriptionId, holder, slots, leaseMs],
  })
}

/**
 * Gives back what a holder has of a subscription's concurrency, and what those who died had.
 *
 * @param count of them; all unless given
 */
export async function freeSlots(
  executor: Executor,
  { appId, subscriptionId }: Of,
  holder: string,
  count?: number,
): Promise<void> {
  await executor.query({
    name: 'feed-free-slots',
    text: `with fewer as (
             update subscription_slots set slots = slots - $4::int4
              where app_id = $1 and subscription_id = $2 and holder = $3 and slots > $4::int4
             returning holder)
           delete from subscription_slots s
            where app_id = $1 and subscription_id = $2 and (holder = $3 or held_until < now())
              and not exists (select from fewer f where f.holder = s.holder)`,
    values: [appId, subscriptionId, holder, count ?? MAX_SLOTS],
  })
}
