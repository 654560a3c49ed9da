/**
 * Which parked deliveries of a subscription may be taken: the oldest first. `$1` app, `$2` subscription, `$3` how
 * many. They have no keys, unless there was an order once; those are the first, then.
 */
export const READY = `
select id, attempts, (extract(epoch from clock_timestamp() - next_attempt_at) * 1000)::float8 as waited_ms
  from deliveries
 where app_id = $1 and subscription_id = $2 and completed_at is null and due_at = 'infinity'
 order by ordering_key, position, id limit $3`

/** A worker takes so many deliveries of one key at once; it sends them one after the other. */
const RUN = 50

/** Keys of which some are taken at once. */
const KEYS = 64

/** Whether a dead delivery holds its key (`$4`) before some place in the log. */
const isHeld = (key: string, place: string) => `$4::boolean and exists (
       select from deliveries b
        where b.app_id = $1 and b.subscription_id = $2 and b.status = 'dead' and b.ordering_key = ${key}
          and (b.position, b.id) < (${place}.position, ${place}.id))`

/**
 * The same for a subscription with an order. Of each key it is the deliveries from the first pending one on, for
 * as long as they are parked: one that waits for its next attempt, or that a worker holds, keeps those after it.
 * Where a dead delivery holds its key (`$4`), it keeps those after it too.
 *
 * Keys are found by skipping along the index, from the one after `$5` on, until enough of them may go on: a key
 * that may not costs the look at its first delivery, however many wait behind it. Each key has its turn:
 * `last_key` is where the next look begins, null for the beginning, and of those found the first of each are
 * taken before the second of any.
 */
export const READY_IN_ORDER = `
with recursive keys as (
  (select ordering_key from deliveries
    where app_id = $1 and subscription_id = $2 and completed_at is null and ordering_key is not null
      and ($5::text is null or ordering_key > $5::text)
    order by ordering_key limit 1)
  union all
  select n.ordering_key from keys k
   cross join lateral (
     select ordering_key from deliveries
      where app_id = $1 and subscription_id = $2 and completed_at is null and ordering_key > k.ordering_key
      order by ordering_key limit 1) n
), heads as materialized (
  select k.ordering_key, h.id, h.position from keys k
   cross join lateral (
     select id, position, due_at from deliveries
      where app_id = $1 and subscription_id = $2 and completed_at is null and ordering_key = k.ordering_key
      order by position, id limit 1) h
   where h.due_at = 'infinity' and not (${isHeld('k.ordering_key', 'h')})
   limit ${KEYS}
), runs as (
  select r.id, r.position, r.place from heads h
   cross join lateral (
     select f.id, f.position, row_number() over log as place, bool_and(f.due_at = 'infinity') over log as free
       from (select id, position, due_at from deliveries
              where app_id = $1 and subscription_id = $2 and completed_at is null and ordering_key = h.ordering_key
              order by position, id limit ${RUN}) f
     window log as (order by f.position, f.id)) r
   where r.free and not (${isHeld('h.ordering_key', 'r')})
), unordered as (
  select id, position, (row_number() over (order by position, id) + ${KEYS - 1}) / ${KEYS} as place
    from (select id, position from deliveries
           where app_id = $1 and subscription_id = $2 and completed_at is null and due_at = 'infinity'
             and ordering_key is null
           order by ordering_key, position, id limit $3) u
)
select id, (select case when count(*) = ${KEYS} then max(ordering_key) end from heads) as last_key
  from (select * from runs union all select * from unordered) ready
 order by place, position, id limit $3`
