import { sql } from 'kysely'
import type { Log } from '../../../platform/log/log.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import { lockLog } from '../../apps/index.ts'
import type { Appender } from '../../events/index.ts'
import { subscriptionEvent, type SubscriptionSwitch } from '../../subscriptions/index.ts'
import type { ClaimedDelivery } from '../dispatch/claim.ts'

/** So many failures in a row, over all workers, and sending is held. */
export const FAILURES_TO_HOLD = 10
/** The longest hold after failures: how late an endpoint that works again is found out. */
const MAX_HOLD_MS = 300_000
/** The longest that an endpoint may ask for. */
const MAX_ASKED_HOLD_MS = 3_600_000
/** Of holds, as a share up: probes of many subscriptions do not come together. */
const JITTER = 0.1

/** One attempt that failed. */
export interface Failure {
  /** When it began, in milliseconds since the Unix epoch. */
  at: number
  delivery: Pick<ClaimedDelivery, 'id' | 'event_id' | 'type'>
  responseStatus: number | null
  error: string | null
}

/** Failures of one endpoint that are told together. */
export interface Failures {
  /** When each of their attempts began, in milliseconds since the Unix epoch. */
  begun: readonly number[]
  /** None if there are none. */
  last: Failure | undefined
  /** Whether the endpoint asked for fewer requests, and for how long if it said so. */
  throttled: boolean
  retryAfterMs: number | undefined
  gone: boolean
  /** Whether it was the one delivery that was to find out whether the endpoint works again. */
  isProbe: boolean
}

/**
 * Follows how the endpoints of subscriptions fare. A run of failures holds its subscription for a while, longer
 * each time, with one delivery as a probe after each; one that lasts too long disables it.
 */
export interface HealthKeeper {
  /**
   * Attempts that began before the last success was known say nothing of how the endpoint fares since.
   *
   * @returns how long nothing is to be sent, in milliseconds; 0 where sending goes on
   */
  failed(appId: string, subscriptionId: string, failures: Failures): Promise<number>
  /**
   * To be told of a success only where it is news.
   *
   * @param at when it was known, in milliseconds since the Unix epoch
   * @param endsHold whether the attempt was made although sending was held: one from before the hold says nothing
   *   of whether it may end
   */
  succeeded(appId: string, subscriptionId: string, success: { at: number; endsHold: boolean }): Promise<void>
  /** A probe found out nothing: another one may be made at once. */
  endProbe(appId: string, subscriptionId: string): Promise<void>
}

export function createHealthKeeper(options: {
  db: Database
  appender: Appender
  subscriptionSwitch: SubscriptionSwitch
  /** Where the API is reached, without a slash at its end; links are paths where it is not known. */
  publicUrl: string | undefined
  log: Log
  /** The first hold, in milliseconds; each further one in a row is twice as long. */
  holdMs: number
  /** From the first failure of an unbroken run, in milliseconds. */
  disableAfterMs: number
}): HealthKeeper {
  const { db, appender, subscriptionSwitch, log } = options

  /** Sets or takes back that an app was told of failures, and tells it, both or none. */
  async function announce(
    appId: string,
    id: string,
    what: 'failing' | 'recovered',
    last?: Failure,
  ): Promise<void> {
    const { result: isNews } = await appender.appendWith(appId, async (transaction) => {
      await lockLog(transaction, appId)
      const row = await transaction
        .updateTable('subscription_states as t')
        .set({ failing_announced: what === 'failing' })
        .from('subscriptions as s')
        .whereRef('s.app_id', '=', 't.app_id')
        .whereRef('s.id', '=', 't.subscription_id')
        .where('t.app_id', '=', appId)
        .where('t.subscription_id', '=', id)
        .where('t.failing_announced', '=', what === 'recovered')
        // What changed meanwhile is no news any more.
        .where('t.consecutive_failures', what === 'failing' ? '>=' : '<', FAILURES_TO_HOLD)
        .where('s.deleted_at', 'is', null)
        .returning(['s.name', 't.failing_since', 't.consecutive_failures'])
        .executeTakeFirst()
      if (!row) return { events: [], result: false }
      const more =
        what === 'failing'
          ? {
              consecutiveFailures: row.consecutive_failures,
              failingSince: row.failing_since?.toISOString() ?? null,
              lastFailure: last === undefined ? null : told(last),
              attemptsUrl: `${options.publicUrl ?? ''}/attempts?subscriptionId=${id}&outcome=failed`,
            }
          : {}
      return { events: [subscriptionEvent(what, id, { name: row.name, ...more })], result: true }
    })
    if (isNews) log.info({ appId, subscriptionId: id, what }, 'subscription health')
  }

  const keeper: HealthKeeper = {
    async failed(appId, id, { begun, last, throttled, retryAfterMs, gone, isProbe }) {
      const askedMs = throttled ? Math.min(retryAfterMs ?? 0, MAX_ASKED_HOLD_MS) : 0
      const { rows } = await sql<{
        held_ms: number
        is_long: boolean
        is_new: boolean
        addressed: boolean
        count: number
      }>`
        with state as (
          select app_id, subscription_id, new.count, new.since,
                 new.count > 0 and ${isProbe} or held_until is null and (${throttled}
                   or new.count > 0 and consecutive_failures + new.count >= ${FAILURES_TO_HOLD}) as hold
            from subscription_states, lateral (
              select count(*)::int4, min(at) as since
                from (select to_timestamp(ms / 1000) from unnest(${begun}::float8[]) as ms) as begun(at)
               where recovered_at is null or at > recovered_at) as new
           where app_id = ${appId} and subscription_id = ${id} for update of subscription_states
        )
        update subscription_states t
           set consecutive_failures = t.consecutive_failures + state.count,
               failing_since = coalesce(t.failing_since, state.since),
               holds = t.holds + state.hold::int,
               held_until = case when state.hold then greatest(
                 now() + ${askedMs}::float8 * interval '1 millisecond',
                 now() + least(${options.holdMs}::float8 * 2 ^ least(t.holds, 20), ${MAX_HOLD_MS}::float8)
                       * (1 + random() * ${JITTER}::float8) * interval '1 millisecond')
                 else t.held_until end
          from state, subscriptions s
         where t.app_id = state.app_id and t.subscription_id = state.subscription_id
           and s.app_id = t.app_id and s.id = t.subscription_id
        returning s.addressed, state.count,
                  coalesce(extract(epoch from t.held_until - now()) * 1000, 0)::float8 as held_ms,
                  t.failing_since <= now() - ${options.disableAfterMs}::float8 * interval '1 millisecond' as is_long,
                  t.consecutive_failures >= ${FAILURES_TO_HOLD} and not t.failing_announced as is_new`.execute(
        db,
      )
      const state = rows[0]
      if (!state) return 0
      if (isProbe && state.count === 0) await keeper.endProbe(appId, id)
      if (state.is_new) await announce(appId, id, 'failing', last)
      // What an app does not see as a subscription it could not enable again.
      if (!state.addressed && (gone || state.is_long)) {
        await subscriptionSwitch.disable(appId, id, gone ? 'gone' : 'failing')
        return Infinity
      }
      return state.held_ms
    },

    async succeeded(appId, id, { at, endsHold }) {
      const { rows } = await sql<{ is_news: boolean }>`
        update subscription_states
           set consecutive_failures = 0, failing_since = null,
               recovered_at = greatest(recovered_at, to_timestamp(${at}::float8 / 1000)),
               holds = case when ${endsHold} or held_until is null then 0 else holds end,
               held_until = case when ${endsHold} then null else held_until end,
               feed_at = case when ${endsHold} and feed_at is not null then now() else feed_at end
         where app_id = ${appId} and subscription_id = ${id}
        returning failing_announced and held_until is null as is_news`.execute(db)
      if (rows[0]?.is_news) await announce(appId, id, 'recovered')
    },

    async endProbe(appId, id) {
      await sql`
        update subscription_states set held_until = now(), feed_at = case when feed_at is not null then now() end
         where app_id = ${appId} and subscription_id = ${id} and held_until > now()`.execute(db)
    },
  }
  return keeper
}

const told = ({ at, delivery, responseStatus, error }: Failure) => ({
  eventId: delivery.event_id,
  eventType: delivery.type,
  deliveryId: delivery.id,
  attemptedAt: new Date(at).toISOString(),
  responseStatus,
  error,
})
