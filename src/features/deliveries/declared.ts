import { Type } from '@sinclair/typebox'
import type { Declaration } from '../../declaration.ts'
import { parseDurations } from '../../platform/time/durations.ts'
import { ConfigError, milliseconds, withName } from '../../platform/settings.ts'

interface DeliverySettings {
  DELIVERY_LEASE_MS: number
  DELIVERY_TIMEOUT_MS: number
  DELIVERY_RETRY_SCHEDULE: string
  SUBSCRIPTION_DISABLE_AFTER: string
}

function deriveSettings(settings: DeliverySettings): {
  /** Waits after the first, second, … failed attempt, in milliseconds. */
  retryDelaysMs: readonly number[]
  /** SUBSCRIPTION_DISABLE_AFTER in milliseconds. */
  subscriptionDisableAfterMs: number
} {
  if (settings.DELIVERY_LEASE_MS <= settings.DELIVERY_TIMEOUT_MS)
    throw new ConfigError('DELIVERY_LEASE_MS must be longer than DELIVERY_TIMEOUT_MS.')
  return {
    retryDelaysMs: withName('DELIVERY_RETRY_SCHEDULE', () =>
      parseDurations(settings.DELIVERY_RETRY_SCHEDULE),
    ),
    subscriptionDisableAfterMs: parseDurations(settings.SUBSCRIPTION_DISABLE_AFTER)[0] ?? 0,
  }
}

export const declared = {
  scopes: ['deliveries:read', 'deliveries:write'],
  settings: {
    WORKER_CONCURRENCY: Type.Integer({
      default: 128,
      minimum: 1,
      maximum: 2000,
      description:
        'Queue jobs one worker process keeps open at once; one carries up to a hundred deliveries.',
    }),
    DELIVERY_TIMEOUT_MS: milliseconds(15_000, 'Limit over one whole webhook exchange, in milliseconds.', 50),
    DELIVERY_RETRY_SCHEDULE: Type.String({
      default: '5s,30s,2m,15m,1h,4h,12h,24h,24h',
      description:
        'Waits between the attempts of a delivery (ms, s, m, h, d); after the last one it is dead.',
    }),
    SUBSCRIPTION_HOLD_MS: milliseconds(
      5_000,
      'How long nothing is sent to an endpoint that failed ten times in a row, in milliseconds; twice as long after each probe that fails, up to five minutes.',
    ),
    SUBSCRIPTION_DISABLE_AFTER: Type.String({
      default: '5d',
      pattern: '^\\d{1,9}(ms|s|m|h|d)$',
      description:
        'How long a subscription may have nothing but failures, from the first of them, before it is disabled (ms, s, m, h, d).',
    }),
    DELIVERY_LEASE_MS: milliseconds(
      60_000,
      'How long a worker that took a delivery may hold it, in milliseconds; longer than DELIVERY_TIMEOUT_MS. After a crash it is sent again when this is over.',
      100,
    ),
    DELIVERY_GRACE_MS: milliseconds(
      10_000,
      'How long the queue has to carry a delivery before the sweeper queues it again, in milliseconds.',
    ),
    SWEEP_INTERVAL_MS: milliseconds(
      1_000,
      'How often a worker looks for deliveries that the queue lost, in milliseconds.',
    ),
  },
  deriveSettings,
  queues: { deliveries: 'deliveries' },
  tags: [
    {
      name: 'Deliveries',
      description:
        'Each event on its way to a subscription, with every attempt and its answer. Look here when something did not arrive.',
    },
    {
      name: 'Recoveries',
      description:
        'Replays of the log, and retries or discards of many deliveries at once, for after an outage or a mistake.',
    },
  ],
} as const satisfies Declaration
