import { sql, type ExpressionBuilder } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { parseAsWritten } from '../../platform/json/exact-numbers.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { DB } from '../../platform/postgres/tables.ts'
import type { DestinationSettings } from '../destinations/index.ts'
import type { Flow } from '../matching/index.ts'
import type { SubscriptionSchemas } from './schemas.ts'

export type SubscriptionBody = Static<SubscriptionSchemas['Subscription']>

/** The subscriptions of an app that its owner made, with how they fare. */
export const select = (db: Database, appId: string) =>
  db
    .selectFrom('subscriptions as s')
    .innerJoin('subscription_states as t', (join) =>
      join.onRef('t.app_id', '=', 's.app_id').onRef('t.subscription_id', '=', 's.id'),
    )
    .select([
      's.id',
      's.name',
      's.event_patterns',
      's.destination',
      's.filter',
      's.transformation',
      's.retry_schedule',
      's.flow',
      's.disabled_at',
      's.disabled_reason',
      's.created_at',
      's.updated_at',
      't.consecutive_failures',
      't.failing_since',
      sql<Date | null>`case when t.held_until > now() then t.held_until end`.as('held_until'),
    ])
    .where('s.app_id', '=', appId)
    .where('s.addressed', '=', false)
    .where('s.deleted_at', 'is', null)

type Row = Awaited<ReturnType<ReturnType<typeof select>['executeTakeFirstOrThrow']>>

/** Whether a row is the subscription of an id, made by the app's owner and not deleted. */
export const isVisible = (appId: string, id: string) => (eb: ExpressionBuilder<DB, 'subscriptions'>) =>
  eb.and([
    eb('app_id', '=', appId),
    eb('id', '=', id),
    eb('addressed', '=', false),
    eb('deleted_at', 'is', null),
  ])

export function toSubscription(row: Row): SubscriptionBody {
  const flow = (row.flow ?? {}) as Flow
  return {
    id: row.id,
    name: row.name,
    eventPatterns: row.event_patterns,
    destination: row.destination as DestinationSettings,
    filter: row.filter === null ? null : (parseAsWritten(row.filter) as Record<string, unknown>),
    transformation: row.transformation,
    retrySchedule: row.retry_schedule,
    rateLimit: flow.rateLimit ?? null,
    concurrency: flow.concurrency ?? null,
    ordering: flow.ordering ?? null,
    batching: flow.batching ?? null,
    status: row.disabled_at === null ? 'enabled' : 'disabled',
    disabledAt: row.disabled_at?.toISOString() ?? null,
    disabledReason: row.disabled_reason as SubscriptionBody['disabledReason'],
    health: {
      state: row.held_until ? 'held' : row.consecutive_failures > 0 ? 'failing' : 'healthy',
      consecutiveFailures: row.consecutive_failures,
      failingSince: row.failing_since?.toISOString() ?? null,
      heldUntil: row.held_until?.toISOString() ?? null,
    },
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  }
}
