import { LRUCache } from 'lru-cache'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { ClaimedDelivery } from '../dispatch/claim.ts'
import { statusBefore, type Criteria, type RecalledStatus } from './criteria.ts'

/** How long a worker takes a recovery to be as it last saw it: how late it may learn that one was cancelled. */
const KNOWN_FOR_MS = 100
const CACHE_SIZE = 1_000

/**
 * Tells of a delivery whose recovery was cancelled before it was tried.
 *
 * @returns its status from now on; undefined where it is to be sent
 */
export type Recall = (delivery: ClaimedDelivery) => Promise<RecalledStatus | undefined>

/** For workers: they may have taken many deliveries at once when their recovery is cancelled. */
export function createRecall(db: Database): Recall {
  const cache = new LRUCache<string, Promise<RecalledStatus | undefined>>({
    max: CACHE_SIZE,
    ttl: KNOWN_FOR_MS,
  })

  async function look(appId: string, recoveryId: string): Promise<RecalledStatus | undefined> {
    const row = await db
      .selectFrom('recoveries')
      .select(['kind', 'criteria'])
      .where('app_id', '=', appId)
      .where('id', '=', recoveryId)
      .where('status', '=', 'cancelled')
      .executeTakeFirst()
    return row && statusBefore(row.kind, row.criteria as Criteria)
  }

  return async ({ app_id: appId, recovery_id: recoveryId, trigger }) => {
    if (recoveryId === null || trigger === 'automatic') return undefined
    const known = cache.get(recoveryId) ?? look(appId, recoveryId)
    cache.set(recoveryId, known, { noUpdateTTL: true })
    known.catch(() => cache.delete(recoveryId))
    return known
  }
}
