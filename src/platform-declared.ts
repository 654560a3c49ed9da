import { Type, type Static, type TObject } from '@sinclair/typebox'
import type { Declaration } from './declaration.ts'
import { isLoopback, LOOPBACK_CIDRS, parseAddresses, parseCidrs } from './platform/outbound/addresses.ts'
import { checkOrigins } from './platform/http/origins.ts'
import { LOG_LEVELS } from './platform/log/log.ts'
import { parseRedisAddress, type RedisAddress } from './platform/redis/address.ts'
import { ConfigError, milliseconds, withName } from './platform/settings.ts'

/** 32 bytes in base64. */
const KEY_FORM = '[A-Za-z0-9+/]{43}='

const settings = {
  HOST: Type.String({ default: '127.0.0.1', description: 'Address the API listens on.' }),
  PORT: Type.Integer({
    default: 3000,
    minimum: 0,
    maximum: 65_535,
    description: 'Port the API listens on. 0 takes any free one.',
  }),
  DATA_DIR: Type.String({
    default: '.data',
    minLength: 1,
    description: 'Where the embedded Postgres, generated keys and the default app are kept.',
  }),
  DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      description: 'A Postgres 14 or later. Unset: an embedded one under DATA_DIR.',
      examples: ['postgres://heliograph:secret@localhost:5432/heliograph'],
    }),
  ),
  REDIS_URL: Type.Optional(
    Type.String({
      pattern: '^rediss?://',
      description:
        'A Redis 6.2 or later, for queues and wake-ups, or nodes of a Redis Cluster, with commas between them (APP_ENV_WEBSOCKET_REDIS_MODE). Unset: Postgres carries them.',
      examples: ['redis://localhost:6379'],
    }),
  ),
  APP_ENV_WEBSOCKET_REDIS_MODE: Type.Union([Type.Literal('single'), Type.Literal('cluster')], {
    default: 'single',
    description:
      'What REDIS_URL leads to: one Redis, or a Redis Cluster, of which it names one node or several. See docs/redis-cluster.md.',
  }),
  DATABASE_POOL_SIZE: Type.Integer({
    default: 20,
    minimum: 4,
    maximum: 500,
    description: 'Postgres connections of one process (the embedded queue takes up to 8 more).',
  }),
  ADMIN_API_KEY: Type.Optional(
    Type.String({
      minLength: 16,
      description:
        'The key for POST /apps and other administration. Unset with the embedded Postgres: one is generated and kept in DATA_DIR. Unset otherwise: administration over HTTP is off.',
    }),
  ),
  ENCRYPTION_KEY: Type.Optional(
    Type.String({
      pattern: `^${KEY_FORM}$`,
      description:
        'Encrypts stored secrets: 32 random bytes in base64 (`openssl rand -base64 32`). Unset: one is generated and kept in DATA_DIR; set it when processes do not share that folder.',
    }),
  ),
  ENCRYPTION_KEY_OLD: Type.Optional(
    Type.String({
      pattern: `^${KEY_FORM}(\\s*,\\s*${KEY_FORM})*$`,
      description:
        'Comma-separated keys that stored secrets may still be encrypted with; they open and never encrypt. See docs/encryption-keys.md.',
    }),
  ),
  PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#\\s]+(/[^?#\\s]*)?$',
      description:
        'Where this service is reached from outside. Messaging platforms get it as the address of their webhooks, and some sign it. Unset: they tell nothing of messages unless the webhook is set up at the platform.',
      examples: ['https://events.example.com'],
    }),
  ),
  ALLOWED_ORIGINS: Type.Optional(
    Type.String({
      description:
        'Comma-separated origins of web pages that may send inquiries and observe rooms; `local` stands for pages of this machine (localhost, 127.0.0.1, [::1], any port), `*` for any. Unset with the embedded Postgres: `local`. Unset otherwise, or empty: none but pages of this service itself.',
      examples: ['https://www.example.com,https://admin.example.com'],
    }),
  ),
  TRUST_PROXY: Type.Optional(
    Type.String({
      description:
        'Comma-separated addresses or ranges of the proxies in front of this service, whose X-Forwarded-For is believed. Unset: none, and the address of a client is that of its connection.',
      examples: ['10.0.0.0/8'],
    }),
  ),
  OUTBOUND_ALLOW_CIDRS: Type.Optional(
    Type.String({
      description:
        'Comma-separated address ranges that webhooks may reach although they are not public. Unset with the embedded Postgres and a HOST that only this machine reaches: the loopback. Unset otherwise, or empty: none.',
      examples: ['10.20.0.0/16,fd00:20::/32'],
    }),
  ),
  LOG_LEVEL: Type.Union(
    LOG_LEVELS.map((level) => Type.Literal(level)),
    { default: 'info', description: `One of ${LOG_LEVELS.join(', ')}.` },
  ),
  PACKS: Type.Optional(
    Type.String({
      description:
        'Comma-separated names of the packs that are on, such as `slack,email`. Unset: all. Empty: none.',
      examples: ['slack,email,inquiries'],
    }),
  ),
  EXTENSIONS: Type.Optional(
    Type.String({
      description:
        'Comma-separated modules that are loaded at start: paths, from the working directory, or names of packages. See docs/extensions.md.',
      examples: ['./extensions/audit.ts'],
    }),
  ),
  PROCESS_LEASE_MS: milliseconds(
    15_000,
    'How long a process counts as alive after it was last heard of, in milliseconds; those present through one that was killed leave after it.',
    500,
  ),
  START_TIMEOUT_MS: milliseconds(
    60_000,
    'How long a start waits for a Postgres or Redis that cannot be reached yet, in milliseconds. 0: it does not wait.',
    0,
  ),
  SHUTDOWN_TIMEOUT_MS: milliseconds(20_000, 'How long a stop waits for what is under way, in milliseconds.'),
}

type PlatformSettings = Static<TObject<typeof settings>>

interface DerivedSettings {
  /** True when no DATABASE_URL is set, so that Heliograph runs its own Postgres. */
  embedded: boolean
  /** REDIS_URL as APP_ENV_WEBSOCKET_REDIS_MODE has it read; undefined when it is unset. */
  redis: RedisAddress | undefined
  /** Ranges that outbound requests may reach although they are not public. */
  outboundAllowCidrs: readonly string[]
  /** Origins of web pages that may use this service; `local` stands for pages of this machine. */
  allowedOrigins: readonly string[]
  /** Addresses and ranges of proxies whose `X-Forwarded-For` is believed. */
  trustedProxies: readonly string[]
  /** PUBLIC_URL without a slash at its end. */
  publicUrl: string | undefined
  /** Names of the packs that are on; undefined: all. */
  packs: readonly string[] | undefined
  /** Modules of other people's extensions. */
  extensions: readonly string[]
  /** Keys that only open what was encrypted with them. */
  oldEncryptionKeys: readonly string[]
}

function deriveSettings(checked: PlatformSettings): DerivedSettings {
  const embedded = checked.DATABASE_URL === undefined
  return {
    embedded,
    redis: redisOf(checked),
    outboundAllowCidrs: withName('OUTBOUND_ALLOW_CIDRS', () =>
      checked.OUTBOUND_ALLOW_CIDRS === undefined
        ? embedded && isLoopback(checked.HOST)
          ? [...LOOPBACK_CIDRS]
          : []
        : parseCidrs(checked.OUTBOUND_ALLOW_CIDRS),
    ),
    allowedOrigins: withName('ALLOWED_ORIGINS', () =>
      checkOrigins(listOf(checked.ALLOWED_ORIGINS ?? (embedded ? 'local' : ''))),
    ),
    trustedProxies: withName('TRUST_PROXY', () => parseAddresses(checked.TRUST_PROXY ?? '')),
    packs: checked.PACKS === undefined ? undefined : listOf(checked.PACKS),
    extensions: listOf(checked.EXTENSIONS ?? ''),
    publicUrl: checked.PUBLIC_URL?.replace(/\/+$/, ''),
    oldEncryptionKeys: checked.ENCRYPTION_KEY_OLD?.split(/\s*,\s*/) ?? [],
  }
}

function redisOf(checked: PlatformSettings): RedisAddress | undefined {
  const { REDIS_URL: url, APP_ENV_WEBSOCKET_REDIS_MODE: mode } = checked
  if (url !== undefined) return withName('REDIS_URL', () => parseRedisAddress(url, mode))
  if (mode === 'cluster')
    throw new ConfigError('REDIS_URL: set it to nodes of the cluster (APP_ENV_WEBSOCKET_REDIS_MODE=cluster).')
  return undefined
}

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

/** What the platform itself has to be told. */
export const declared = { settings, deriveSettings } as const satisfies Declaration
