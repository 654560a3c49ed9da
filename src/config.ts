import { existsSync } from 'node:fs'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { LOG_LEVELS } from './platform/log.ts'
import { isLoopback, LOOPBACK_CIDRS, parseAddresses, parseCidrs } from './platform/addresses.ts'
import { checkOrigins } from './platform/http/origins.ts'
import { parseDurations } from './platform/durations.ts'
import { parseMailbox, parseSmtpUrl } from './platform/mail/settings.ts'
import { parseRedisAddress, type RedisAddress } from './platform/redis-address.ts'

const milliseconds = (defaultValue: number, description: string, minimum = 1) =>
  Type.Integer({ default: defaultValue, minimum, description })

/** 32 bytes in base64. */
const KEY_FORM = '[A-Za-z0-9+/]{43}='

/**
 * Every setting Heliograph has. This schema is the only list of them: the process environment is
 * checked against it at start, and `.env.example` is generated from it.
 */
export const Environment = Type.Object({
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
  LOG_LEVEL: Type.Union(
    LOG_LEVELS.map((level) => Type.Literal(level)),
    { default: 'info', description: `One of ${LOG_LEVELS.join(', ')}.` },
  ),
  OUTBOUND_ALLOW_CIDRS: Type.Optional(
    Type.String({
      description:
        'Comma-separated address ranges that webhooks may reach although they are not public. Unset with the embedded Postgres and a HOST that only this machine reaches: the loopback. Unset otherwise, or empty: none.',
      examples: ['10.20.0.0/16,fd00:20::/32'],
    }),
  ),
  SMTP_URL: Type.Optional(
    Type.String({
      pattern: '^smtps?://',
      description:
        'The server that e-mails are given to: smtp:// (STARTTLS where it is offered; with a password it must be) or smtps://. `?requireTLS=true|false` decides otherwise; `?tls.rejectUnauthorized=false` takes any certificate. Unset: e-mail destinations fail.',
      examples: ['smtp://heliograph:secret@mail.example.com:587'],
    }),
  ),
  MAIL_FROM: Type.Optional(
    Type.String({
      description: 'The address that e-mails come from, alone or with a name. Needed with SMTP_URL.',
      examples: ['Heliograph <events@example.com>'],
    }),
  ),
  AUTO_REGISTER_EVENT_TYPES: Type.Boolean({
    default: true,
    description:
      'Whether appending an event of an unknown custom type registers the type. false: such an event is refused.',
  }),
  MAX_PAYLOAD_BYTES: Type.Integer({
    default: 262_144,
    minimum: 1024,
    maximum: 16_777_216,
    description: 'Largest payload of one event, in bytes of JSON.',
  }),
  MAX_BATCH_BYTES: Type.Integer({
    default: 16_777_216,
    minimum: 1024,
    maximum: 134_217_728,
    description: 'Largest body of POST /events/batch, in bytes.',
  }),
  MAX_ATTACHMENT_BYTES: Type.Integer({
    default: 104_857_600,
    minimum: 1024,
    description: 'Largest content of an attachment that is fetched from its platform, in bytes.',
  }),
  ATTACHMENT_TIMEOUT_MS: milliseconds(
    30_000,
    'How long a platform may take to begin with the content of an attachment, and then to go on with it, in milliseconds.',
    50,
  ),
  DATABASE_POOL_SIZE: Type.Integer({
    default: 20,
    minimum: 4,
    maximum: 500,
    description: 'Postgres connections of one process (the embedded queue takes up to 8 more).',
  }),
  APP_ENV_WEBSOCKET_REDIS_MODE: Type.Union([Type.Literal('single'), Type.Literal('cluster')], {
    default: 'single',
    description:
      'What REDIS_URL leads to: one Redis, or a Redis Cluster, of which it names one node or several. See docs/redis-cluster.md.',
  }),
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
  INQUIRIES_APP_ID: Type.Optional(
    Type.String({
      pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
      description:
        'The app that gets inquiries sent without a key. Unset with the embedded Postgres: the default app. Unset otherwise: an inquiry needs a key.',
    }),
  ),
  INQUIRIES_PER_MINUTE: Type.Integer({
    default: 10,
    minimum: 1,
    maximum: 100_000,
    description:
      'Inquiries that one address may send in a minute; an IPv6 network (/64) is one address. With REDIS_URL all processes count together, otherwise each by itself.',
  }),
  MAX_OBSERVERS_PER_APP: Type.Integer({
    default: 50_000,
    minimum: 1,
    description: 'Live connections of one app that one process holds.',
  }),
  MAX_OBSERVERS_PER_ADDRESS: Type.Integer({
    default: 10_000,
    minimum: 1,
    description: 'Live connections from one address that one process holds.',
  }),
  OBSERVER_BUFFER_BYTES: Type.Integer({
    default: 1_048_576,
    minimum: 16_384,
    description: 'What may wait for one observer before it is sent away to come back and resume, in bytes.',
  }),
  OBSERVER_HEARTBEAT_MS: milliseconds(
    25_000,
    'How often an observer is told that the connection is alive and, over a WebSocket, asked whether it is, in milliseconds.',
    100,
  ),
  OBSERVER_STALL_MS: milliseconds(
    30_000,
    'How long an observer may read nothing while something waits for it, before it is sent away, in milliseconds.',
    100,
  ),
  PROCESS_LEASE_MS: milliseconds(
    15_000,
    'How long a process counts as alive after it was last heard of, in milliseconds; those present through one that was killed leave after it.',
    500,
  ),
  WORKER_CONCURRENCY: Type.Integer({
    default: 128,
    minimum: 1,
    maximum: 2000,
    description: 'Queue jobs one worker process keeps open at once; one carries up to a hundred deliveries.',
  }),
  DELIVERY_TIMEOUT_MS: milliseconds(15_000, 'Limit over one whole webhook exchange, in milliseconds.', 50),
  DELIVERY_RETRY_SCHEDULE: Type.String({
    default: '5s,30s,2m,15m,1h,4h,12h,24h,24h',
    description: 'Waits between the attempts of a delivery (ms, s, m, h, d); after the last one it is dead.',
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
  START_TIMEOUT_MS: milliseconds(
    60_000,
    'How long a start waits for a Postgres or Redis that cannot be reached yet, in milliseconds. 0: it does not wait.',
    0,
  ),
  SHUTDOWN_TIMEOUT_MS: milliseconds(20_000, 'How long a stop waits for what is under way, in milliseconds.'),
})

/** Settings for which an empty value is not the same as none. */
const EMPTY_SAYS_NONE = new Set(['OUTBOUND_ALLOW_CIDRS', 'ALLOWED_ORIGINS'])

/** Settings as the rest of the program sees them: checked, converted, defaults filled in. */
export type Config = Readonly<
  Static<typeof Environment> & {
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
    /** The mail server and the address that mail comes from; undefined when SMTP_URL and MAIL_FROM are unset. */
    mail: { url: string; from: string } | undefined
    /** Keys that only open what was encrypted with them. */
    oldEncryptionKeys: readonly string[]
    /** Waits after the first, second, … failed attempt, in milliseconds. */
    retryDelaysMs: readonly number[]
    /** SUBSCRIPTION_DISABLE_AFTER in milliseconds. */
    subscriptionDisableAfterMs: number
  }
>

/** Thrown for settings that cannot be used; its message names each variable and what it should be. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** The environment of this process, with what a `.env` file in the working directory adds to it. */
export function readEnvironment(): NodeJS.ProcessEnv {
  if (existsSync('.env')) process.loadEnvFile('.env')
  return process.env
}

/**
 * Reads and checks the settings.
 *
 * @param environment variables by name, usually from `readEnvironment`; names that are not settings are ignored.
 *   An empty value counts as unset, except for OUTBOUND_ALLOW_CIDRS and ALLOWED_ORIGINS, where it allows nothing.
 * @throws ConfigError listing every setting that is wrong
 */
export function loadConfig(environment: Record<string, string | undefined>): Config {
  const given: Record<string, unknown> = {}
  for (const name of Object.keys(Environment.properties)) {
    const value = environment[name]
    if (value === undefined || (value === '' && !EMPTY_SAYS_NONE.has(name))) continue
    given[name] = fromText(value, Environment.properties[name as keyof typeof Environment.properties].type)
  }
  const settings = Value.Default(Environment, given)
  const problems = [...Value.Errors(Environment, settings)].map(
    ({ path, message }) => `${path.slice(1)}: ${message.toLowerCase()}. ${describe(path.slice(1))}`,
  )
  if (problems.length > 0) throw new ConfigError(`Settings that cannot be used:\n  ${problems.join('\n  ')}`)

  const checked = settings as Static<typeof Environment>
  if (checked.DELIVERY_LEASE_MS <= checked.DELIVERY_TIMEOUT_MS) {
    throw new ConfigError('DELIVERY_LEASE_MS must be longer than DELIVERY_TIMEOUT_MS.')
  }
  const embedded = checked.DATABASE_URL === undefined
  return {
    ...checked,
    embedded,
    redis: redisOf(checked),
    outboundAllowCidrs: named('OUTBOUND_ALLOW_CIDRS', () =>
      checked.OUTBOUND_ALLOW_CIDRS === undefined
        ? embedded && isLoopback(checked.HOST)
          ? [...LOOPBACK_CIDRS]
          : []
        : parseCidrs(checked.OUTBOUND_ALLOW_CIDRS),
    ),
    allowedOrigins: named('ALLOWED_ORIGINS', () =>
      checkOrigins(listOf(checked.ALLOWED_ORIGINS ?? (embedded ? 'local' : ''))),
    ),
    trustedProxies: named('TRUST_PROXY', () => parseAddresses(checked.TRUST_PROXY ?? '')),
    mail: mailOf(checked),
    publicUrl: checked.PUBLIC_URL?.replace(/\/+$/, ''),
    oldEncryptionKeys: checked.ENCRYPTION_KEY_OLD?.split(/\s*,\s*/) ?? [],
    retryDelaysMs: named('DELIVERY_RETRY_SCHEDULE', () => parseDurations(checked.DELIVERY_RETRY_SCHEDULE)),
    subscriptionDisableAfterMs: parseDurations(checked.SUBSCRIPTION_DISABLE_AFTER)[0] ?? 0,
  }
}

function redisOf(settings: Static<typeof Environment>): RedisAddress | undefined {
  const { REDIS_URL: url, APP_ENV_WEBSOCKET_REDIS_MODE: mode } = settings
  if (url !== undefined) return named('REDIS_URL', () => parseRedisAddress(url, mode))
  if (mode === 'cluster')
    throw new ConfigError('REDIS_URL: set it to nodes of the cluster (APP_ENV_WEBSOCKET_REDIS_MODE=cluster).')
  return undefined
}

function mailOf({ SMTP_URL: url, MAIL_FROM: from }: Static<typeof Environment>): Config['mail'] {
  if (url !== undefined) named('SMTP_URL', () => parseSmtpUrl(url))
  if (from !== undefined) named('MAIL_FROM', () => parseMailbox(from))
  if (url === undefined && from === undefined) return undefined
  if (url === undefined || from === undefined) {
    const missing = url === undefined ? 'SMTP_URL' : 'MAIL_FROM'
    throw new ConfigError(`${missing}: set both SMTP_URL and MAIL_FROM, or neither.`)
  }
  return { url, from }
}

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

/** Only what is plainly a number or a truth value becomes one; the schema refuses the rest. */
function fromText(value: string, type: string | undefined): unknown {
  if (type === 'integer' && /^-?\d+$/.test(value)) return Number(value)
  if (type === 'boolean' && /^(true|false)$/.test(value)) return value === 'true'
  return value
}

function named<T>(name: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new ConfigError(`${name}: ${(error as Error).message}`, { cause: error })
  }
}

function describe(name: string): string {
  return Environment.properties[name as keyof typeof Environment.properties]?.description ?? ''
}
