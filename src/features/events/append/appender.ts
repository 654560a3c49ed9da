import { createMicroBatcher } from '../../../platform/micro-batcher.ts'
import { Problem } from '../../../platform/http/problems.ts'
import type { Database, Pool } from '../../../platform/postgres/pool.ts'
import type { EventTypeService } from '../types/service.ts'
import type { Appended, AppendedEvent, Outcome } from './appended.ts'
import { createChanging, type Change } from './changing.ts'
import { refuseUnknownOrigins } from './origins.ts'
import { keysOf, prepareEvents, type EventKey, type NewEvent } from './prepare.ts'
import { createRegistering } from './registering.ts'
import type { RoutingCache } from './routing.ts'
import { createStoring, type AppendRequest, type OnCommitted } from './storing.ts'

/** Events of one statement; a payload counts once more for each such number of characters. */
const BATCH_WEIGHT = 1_000
const WEIGHT_CHARACTERS = 4_096
const WAITING_WEIGHT = 20_000
/** Append statements of this process that run at once. */
const MAX_STATEMENTS = 3
/**
 * At most two append statements of one app run at once: while the first holds the lock of the app's log, the second
 * already waits in Postgres.
 */
const MAX_STATEMENTS_PER_APP = 2
/** Times an append is prepared anew because types or subscriptions changed under it. */
const MAX_ROUNDS = 20

export interface AppendOptions {
  /** From the `Idempotency-Key` header. */
  idempotencyKey?: string
  /** Whether the request was a batch; it decides how pointers in errors look and how its key is kept. */
  isBatch?: boolean
}

export interface Appender {
  /**
   * Stores events of one app, all or none of them, together with every delivery they cause. They take
   * positions next to each other.
   *
   * @throws Problem naming what is wrong with the events; nothing was stored
   */
  append(appId: string, events: readonly NewEvent[], options?: AppendOptions): Promise<Appended>
  /**
   * Changes records and appends the events that tell of it, if any, in one transaction. The events are treated as those
   * of `append`: unknown types are registered, origins looked for, and what repeats a key is not stored again.
   *
   * @param change may run more than once; what it did is undone before it runs again. It must not change
   *   types or subscriptions.
   * @throws Problem naming what is wrong with the events; nothing was changed
   */
  appendWith<T>(appId: string, change: Change<T>): Promise<{ events: AppendedEvent[]; result: T }>
  /** Resolves once nothing is under way. */
  idle(): Promise<void>
}

export interface AppenderOptions {
  pool: Pool
  db: Database
  routings: RoutingCache
  eventTypes: EventTypeService
  /** Whether unknown custom types are registered, rather than refused. */
  autoRegister: boolean
  graceMs: number
  onCommitted: OnCommitted
  /** Told of the events of an append or a change before it resolves. Must not reject. */
  afterAppend(events: readonly AppendedEvent[]): Promise<void>
}

/** The way into the log: prepares events in this process and stores whatever is waiting in one statement. */
export function createAppender(options: AppenderOptions): Appender {
  const { db, routings } = options
  const routingFor = createRegistering(options)
  const changing = createChanging({ ...options, routingFor })

  const batcher = createMicroBatcher<AppendRequest, Outcome>({
    run: createStoring(options),
    weight: ({ events }) =>
      events.reduce((sum, { payload }) => sum + 1 + Math.floor(payload.length / WEIGHT_CHARACTERS), 0),
    maxBatch: BATCH_WEIGHT,
    maxWaiting: WAITING_WEIGHT,
    maxConcurrentBatches: MAX_STATEMENTS,
    maxConcurrentBatchesPerKey: MAX_STATEMENTS_PER_APP,
    key: ({ appId }) => appId,
  })

  /** @returns undefined when it was refused by a routing that is out of date by now: to be looked at again */
  async function prepare(
    appId: string,
    events: readonly NewEvent[],
    keys: readonly (readonly EventKey[])[],
    isBatch: boolean,
  ): Promise<AppendRequest | undefined> {
    const before = await routings.get(appId)
    try {
      const routing = await routingFor(appId, events, keys, isBatch)
      return { appId, routing, events: prepareEvents(events, keys, routing, isBatch) }
    } catch (error) {
      if (error instanceof Problem && !(await routings.isCurrent(appId, before))) {
        routings.drop(appId, before)
        return undefined
      }
      throw error
    }
  }

  return {
    async append(appId, events, { idempotencyKey, isBatch = false } = {}) {
      const keys = keysOf(events, idempotencyKey, isBatch)
      await refuseUnknownOrigins(db, appId, events, isBatch)
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const prepared = await prepare(appId, events, keys, isBatch)
        if (!prepared) continue
        const outcome = await batcher.add(prepared)
        if (outcome instanceof Problem) throw outcome
        if (outcome === 'again') continue
        await options.afterAppend(outcome.events)
        return outcome
      }
      throw neverCurrent()
    },

    async appendWith(appId, change) {
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const changed = await changing(appId, change)
        if (!changed) continue
        await options.afterAppend(changed.events)
        return changed
      }
      throw neverCurrent()
    },

    idle: () => batcher.idle(),
  }
}

const neverCurrent = (): Problem =>
  new Problem('overloaded', 'Types or subscriptions of the app changed all the while. Nothing was stored.')
