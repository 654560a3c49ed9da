import { LRUCache } from 'lru-cache'
import { parseDurations } from '../../../platform/time/durations.ts'
import { notFound } from '../../../platform/http/problems.ts'
import type { Database } from '../../../platform/postgres/pool.ts'
import type { SecretBox } from '../../../platform/secrets/secret-box.ts'
import { reveal, type DestinationSettings, type Target } from '../../destinations/index.ts'
import type { Flow } from '../../matching/index.ts'
import { openSecrets, type OpenSecrets } from '../../subscriptions/index.ts'

/** Subscriptions that a process keeps in the clear. */
const CACHE_SIZE = 5_000

/** What a worker needs to know of a subscription. */
export interface SubscriptionTarget {
  /** As of when it is; see `ClaimedDelivery.subscription_version`. */
  version: number
  type: string
  flow: Flow | null
  /** Waits after the first, second, … attempt, in milliseconds; undefined for the service's own. */
  retryDelaysMs: readonly number[] | undefined
  /** @param now milliseconds since the Unix epoch; secrets that ended before it are left out */
  at(now: number): Target
}

export interface Targets {
  /** @param version one that is at least as new; undefined for whatever the database says now */
  get(appId: string, subscriptionId: string, version?: number): Promise<SubscriptionTarget>
}

/** Subscriptions with their secrets opened, read again when they changed. */
export function createTargets(db: Database, box: SecretBox): Targets {
  const cache = new LRUCache<string, SubscriptionTarget>({ max: CACHE_SIZE })
  /** Many deliveries ask at once for one that changed. */
  const loading = new Map<string, Promise<SubscriptionTarget>>()

  async function load(appId: string, id: string): Promise<SubscriptionTarget> {
    const row = await db
      .selectFrom('subscriptions')
      .select((eb) => [
        'app_id',
        'id',
        'destination',
        'sealed_secret',
        'sealed_settings',
        'sealed_old_secrets',
        'transformation',
        'retry_schedule',
        'flow',
        eb.fn<number>('microseconds', ['updated_at']).as('version'),
      ])
      .where('app_id', '=', appId)
      .where('id', '=', id)
      .executeTakeFirst()
    if (!row) throw notFound('subscription')
    const settings = row.destination as DestinationSettings
    const secrets = openSecrets(box, row)
    const revealed = reveal(settings, secrets.settings)
    return {
      version: row.version,
      type: settings.type,
      flow: row.flow as Flow | null,
      retryDelaysMs: row.retry_schedule?.flatMap(parseDurations),
      at: (now) => ({
        settings: revealed,
        secrets: validAt(secrets, now),
        transformation: row.transformation,
      }),
    }
  }

  return {
    async get(appId, id, version) {
      const cached = version === undefined ? undefined : cache.get(id)
      if (cached?.version === version && cached) return cached
      const key = `${id} ${version}`
      let loaded = version === undefined ? undefined : loading.get(key)
      if (!loaded) {
        loaded = load(appId, id).finally(() => loading.delete(key))
        loading.set(key, loaded)
      }
      const target = await loaded
      cache.set(id, target)
      return target
    },
  }
}

const validAt = ({ secret, oldSecrets }: OpenSecrets, now: number): string[] => [
  secret,
  ...oldSecrets.filter(({ until }) => until > now).map((old) => old.secret),
]
