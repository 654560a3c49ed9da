import { createMicroBatcher } from '../../../platform/micro-batcher.ts'
import { newId } from '../../../platform/identifiers/ids.ts'
import { pgArray } from '../../../platform/postgres/arrays.ts'
import type { Pool } from '../../../platform/postgres/pool.ts'
import type { AttemptResult } from '../../destinations/index.ts'
import type { ClaimedDelivery } from '../dispatch/claim.ts'

/** A wait longer than this stays in Postgres, where the sweeper finds it; a shorter one is a delayed job. */
export const QUEUED_RETRY_MS = 300_000

const BATCH_WEIGHT = 500
const WEIGHT_CHARACTERS = 8_192

/** What is to be recorded of a claimed delivery. */
export interface Outcome {
  delivery: ClaimedDelivery
  status: 'pending' | 'succeeded' | 'dead' | 'cancelled'
  /** Until the next attempt, in milliseconds, for one that stays pending. */
  retryInMs: number | null
  /** Null when no attempt was made. */
  attempt: (AttemptResult & { startedAt: number; durationMs: number }) | null
}

/**
 * Attempts and new states in one statement. A delivery that another worker recorded meanwhile keeps its state. One that is
 * to be tried again is cancelled where its subscription was deleted meanwhile. See `claim.ts` for `completed_at`.
 */
const RECORD = `
with outcome as materialized (
  select o.*,
         case when o.status = 'pending' then coalesce((
           select 'cancelled' from subscriptions
            where app_id = o.app_id and id = o.subscription_id and deleted_at is not null limit 1), 'pending')
         else o.status end as state
    from unnest($1::uuid[], $2::uuid[], $3::int4[], $4::text[], $5::int8[], $6::int8[], $7::uuid[], $8::text[],
                       $9::text[], $10::int8[], $11::int4[], $12::int4[], $13::json[], $14::text[], $15::text[],
                       $16::uuid[], $17::uuid[])
      as o(app_id, delivery_id, attempts_before, status, retry_ms, due_ms, attempt_id, trigger, outcome, started_ms,
         duration_ms, response_status, response_headers, response_body, error, subscription_id, event_id)
), tried as (
  insert into delivery_attempts (app_id, id, delivery_id, subscription_id, event_id, number, trigger, outcome,
                                 started_at, duration_ms, response_status, response_headers, response_body, error)
  select app_id, attempt_id, delivery_id, subscription_id, event_id, attempts_before + 1, trigger, outcome, to_timestamp(started_ms / 1000.0),
         duration_ms, response_status, response_headers, response_body, error
    from outcome where attempt_id is not null
)
update deliveries d
   set status = o.state,
       attempts = o.attempts_before + (o.attempt_id is not null)::int,
       lease_until = null,
       trigger = 'automatic',
       next_attempt_at = coalesce(now() + o.retry_ms * interval '1 millisecond', d.next_attempt_at),
       due_at = coalesce(now() + o.due_ms * interval '1 millisecond', d.due_at),
       completed_at = case when o.state = 'pending' then null else now() end
  from outcome o
 where d.app_id = o.app_id and d.id = o.delivery_id and d.completed_at is null and d.attempts = o.attempts_before`

/** Records outcomes from all of a process's jobs, as many as are waiting in one statement and one commit. */
export interface OutcomeRecorder {
  /** Resolves once the outcome is committed. */
  record(outcome: Outcome): Promise<void>
}

/** @param graceMs how long the queue has for a retry before the sweeper may queue it */
export function createOutcomeRecorder(pool: Pool, graceMs: number): OutcomeRecorder {
  const batcher = createMicroBatcher<Outcome, void>({
    async run(outcomes) {
      await pool.query({ name: 'record', text: RECORD, values: toColumns(outcomes, graceMs) })
      return outcomes.map(() => undefined)
    },
    weight: ({ attempt }) => 1 + Math.floor((attempt?.responseBody?.length ?? 0) / WEIGHT_CHARACTERS),
    maxBatch: BATCH_WEIGHT,
    maxWaiting: Number.MAX_SAFE_INTEGER, // bounded by how many deliveries are under way
    maxConcurrentBatches: 1,
    key: () => '',
  })
  return { record: (outcome) => batcher.add(outcome) }
}

function toColumns(outcomes: readonly Outcome[], graceMs: number): Buffer[] {
  const attempts = outcomes.map(({ attempt }) => attempt)
  const dueMs = ({ retryInMs }: Outcome): number | null => {
    if (retryInMs === null) return null
    return retryInMs > QUEUED_RETRY_MS ? retryInMs : retryInMs + graceMs
  }
  return [
    pgArray.uuid(outcomes.map(({ delivery }) => delivery.app_id)),
    pgArray.uuid(outcomes.map(({ delivery }) => delivery.id)),
    pgArray.int4(outcomes.map(({ delivery }) => delivery.attempts)),
    pgArray.text(outcomes.map(({ status }) => status)),
    pgArray.int8(outcomes.map(({ retryInMs }) => retryInMs)),
    pgArray.int8(outcomes.map(dueMs)),
    pgArray.uuid(attempts.map((attempt) => attempt && newId())),
    pgArray.text(outcomes.map(({ delivery }) => delivery.trigger)),
    pgArray.text(attempts.map((attempt) => attempt && (attempt.succeeded ? 'succeeded' : 'failed'))),
    pgArray.int8(attempts.map((attempt) => attempt && attempt.startedAt)),
    pgArray.int4(attempts.map((attempt) => attempt && Math.round(attempt.durationMs))),
    pgArray.int4(attempts.map((attempt) => attempt && attempt.responseStatus)),
    pgArray.json(
      attempts.map((attempt) =>
        attempt?.responseHeaders ? storable(JSON.stringify(attempt.responseHeaders)) : null,
      ),
    ),
    pgArray.text(attempts.map((attempt) => (attempt?.responseBody ? storable(attempt.responseBody) : null))),
    pgArray.text(attempts.map((attempt) => (attempt?.error ? storable(attempt.error) : null))),
    pgArray.uuid(outcomes.map(({ delivery }) => delivery.subscription_id)),
    pgArray.uuid(outcomes.map(({ delivery }) => delivery.event_id)),
  ]
}

/** Postgres text has no zero character; a response may. */
const storable = (text: string): string => text.replaceAll('\0', '\uFFFD')
