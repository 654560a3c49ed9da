import t from 'tap'
import { loadConfig } from '../src/config.ts'
import { ConfigError } from '../src/platform/settings.ts'
import { parseDurations } from '../src/platform/time/durations.ts'

const DATABASE_URL = 'postgres://localhost/heliograph'

t.test('nothing needs to be set', async (t) => {
  t.match(loadConfig({}), {
    HOST: '127.0.0.1',
    PORT: 3000,
    DATA_DIR: '.data',
    DATABASE_URL: undefined,
    REDIS_URL: undefined,
    redis: undefined,
    ADMIN_API_KEY: undefined,
    ENCRYPTION_KEY: undefined,
    LOG_LEVEL: 'info',
    AUTO_REGISTER_EVENT_TYPES: true,
    embedded: true,
    retryDelaysMs: [
      5_000, 30_000, 120_000, 900_000, 3_600_000, 14_400_000, 43_200_000, 86_400_000, 86_400_000,
    ],
  })
})

t.test('what is set is read and converted', async (t) => {
  const config = loadConfig({
    HOST: '::',
    PORT: '0',
    DATABASE_URL,
    REDIS_URL: 'rediss://localhost',
    ADMIN_API_KEY: 'sixteen letters!',
    ENCRYPTION_KEY: `${'A'.repeat(43)}=`,
    LOG_LEVEL: 'silent',
    AUTO_REGISTER_EVENT_TYPES: 'false',
    MAX_PAYLOAD_BYTES: '2048',
    SOMETHING_ELSE: 'is no setting',
  })
  t.match(config, {
    HOST: '::',
    PORT: 0,
    DATABASE_URL,
    REDIS_URL: 'rediss://localhost',
    redis: { mode: 'single', url: 'rediss://localhost' },
    LOG_LEVEL: 'silent',
    AUTO_REGISTER_EVENT_TYPES: false,
    MAX_PAYLOAD_BYTES: 2048,
    embedded: false,
  })
  t.notOk('SOMETHING_ELSE' in config)
})

t.test('an empty value counts as unset', async (t) => {
  t.match(loadConfig({ PORT: '', DATABASE_URL: '', REDIS_URL: '', DELIVERY_RETRY_SCHEDULE: '' }), {
    PORT: 3000,
    DATABASE_URL: undefined,
    embedded: true,
    retryDelaysMs: [5_000],
  })
})

t.test('a wrong value is named, with what it should be', async (t) => {
  const wrong: Record<string, string[]> = {
    PORT: ['abc', '-1', '65536', ' ', '3000.5', '3e3', '12abc', 'true', 'NaN', 'Infinity'],
    DATABASE_URL: ['mysql://localhost', 'localhost:5432'],
    REDIS_URL: ['http://localhost', 'localhost:6379', 'redis://a,redis://b'],
    APP_ENV_WEBSOCKET_REDIS_MODE: ['sentinel', 'Cluster'],
    ADMIN_API_KEY: ['too short'],
    ENCRYPTION_KEY_OLD: ['short', `${'A'.repeat(43)}=,`, `${'A'.repeat(43)}= ${'A'.repeat(43)}=`],
    ENCRYPTION_KEY: ['short', 'A'.repeat(44), `${'A'.repeat(42)}!=`],
    LOG_LEVEL: ['loud', 'INFO'],
    OUTBOUND_ALLOW_CIDRS: ['10.0.0.0', '10.0.0.0/8,localhost', '10.0.0.0/33'],
    AUTO_REGISTER_EVENT_TYPES: ['yes', 'no', '2'],
    MAX_PAYLOAD_BYTES: ['1023', '16777217', '256kB'],
    MAX_BATCH_BYTES: ['0'],
    DATABASE_POOL_SIZE: ['3', '501'],
    WORKER_CONCURRENCY: ['0', '2001'],
    DELIVERY_TIMEOUT_MS: ['49', '15s'],
    DELIVERY_RETRY_SCHEDULE: ['5', '5s,', '5 s', '-5s', '1.5s', '5s;30s', '5S', 'soon'],
    DELIVERY_LEASE_MS: ['99'],
    DELIVERY_GRACE_MS: ['0'],
    SWEEP_INTERVAL_MS: ['0'],
    SHUTDOWN_TIMEOUT_MS: ['0'],
    ALLOWED_ORIGINS: ['example.com', 'null', 'https://*.example.com'],
    TRUST_PROXY: ['true', 'proxy.example.com', '10.0.0.0/33'],
    PROCESS_LEASE_MS: ['499'],
  }
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      let thrown: unknown
      try {
        loadConfig({ [name]: value })
      } catch (error) {
        thrown = error
      }
      t.ok(thrown instanceof ConfigError, `${name}=${value} is refused`)
      t.match((thrown as Error | undefined)?.message, new RegExp(`\\b${name}: .`), `and ${name} is named`)
    }
  }
})

t.test('every wrong value is named at once', async (t) => {
  try {
    loadConfig({ PORT: 'abc', LOG_LEVEL: 'loud', DATABASE_URL: 'mysql://' })
    t.fail('it must be refused')
  } catch (error) {
    const { message } = error as Error
    for (const name of ['PORT', 'LOG_LEVEL', 'DATABASE_URL']) t.match(message, `${name}: `)
    t.notMatch(message, 'REDIS_URL')
  }
})

t.test('a wrong secret is not repeated', async (t) => {
  for (const name of ['ADMIN_API_KEY', 'ENCRYPTION_KEY', 'ENCRYPTION_KEY_OLD', 'DATABASE_URL', 'REDIS_URL']) {
    try {
      loadConfig({ [name]: 'hunter2' })
      t.fail(`${name} must be refused`)
    } catch (error) {
      t.notMatch((error as Error).message, 'hunter2', name)
    }
  }
})

t.test('a lease must outlast the delivery it is for', async (t) => {
  const settings = { DELIVERY_TIMEOUT_MS: '5000', DELIVERY_LEASE_MS: '5000' }
  t.throws(() => loadConfig(settings), {
    name: 'ConfigError',
    message: /DELIVERY_LEASE_MS.*DELIVERY_TIMEOUT_MS/,
  })
  t.match(loadConfig({ ...settings, DELIVERY_LEASE_MS: '5001' }), { DELIVERY_LEASE_MS: 5001 })
})

t.test('which private ranges webhooks may reach', async (t) => {
  const ranges = (settings: Record<string, string | undefined>): readonly string[] =>
    loadConfig(settings).outboundAllowCidrs
  t.same(ranges({}), ['127.0.0.0/8', '::1/128'], 'embedded and unset: the loopback')
  for (const HOST of ['localhost', '127.0.0.2', '::1', '::ffff:127.0.0.1'])
    t.same(ranges({ HOST }), ['127.0.0.0/8', '::1/128'], `the same at ${HOST}`)
  for (const HOST of ['0.0.0.0', '::', '192.168.1.5', 'host.example.com', '127.0.0.1.example.com'])
    t.same(ranges({ HOST }), [], `others may reach ${HOST}: none`)
  t.same(
    ranges({ HOST: '0.0.0.0', OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8' }),
    ['127.0.0.0/8'],
    'unless it is asked for',
  )
  t.same(ranges({ DATABASE_URL }), [], 'not embedded and unset: none')
  t.same(ranges({ OUTBOUND_ALLOW_CIDRS: '' }), [], 'empty: none')
  t.same(ranges({ OUTBOUND_ALLOW_CIDRS: ' ' }), [])
  t.same(ranges({ DATABASE_URL, OUTBOUND_ALLOW_CIDRS: '' }), [])
  for (const settings of [{}, { DATABASE_URL }]) {
    t.same(
      ranges({ ...settings, OUTBOUND_ALLOW_CIDRS: '10.0.0.0/8, fd00::/8' }),
      ['10.0.0.0/8', 'fd00::/8'],
      'set: what it says and no more',
    )
  }
})

t.test('nodes of a Redis Cluster', async (t) => {
  const read = (REDIS_URL: string) => loadConfig({ REDIS_URL, APP_ENV_WEBSOCKET_REDIS_MODE: 'cluster' }).redis
  const plain = { mode: 'cluster', username: undefined, password: undefined, tls: false }
  t.strictSame(read('redis://a'), { ...plain, nodes: [{ host: 'a', port: 6379 }] })
  t.strictSame(read('redis://a:1/, redis://[::1]:2/0 ,redis://10.0.0.1'), {
    ...plain,
    nodes: [
      { host: 'a', port: 1 },
      { host: '::1', port: 2 },
      { host: '10.0.0.1', port: 6379 },
    ],
  })
  t.match(read('rediss://a,rediss://:p%2C%40@b,rediss://c'), {
    tls: true,
    username: undefined,
    password: 'p,@',
  })
  t.match(read('redis://u:p@a,redis://u:p@b'), { username: 'u', password: 'p' })

  const wrong: Record<string, RegExp> = {
    'redis://a,b:2': /address 2 must be a URL/,
    'redis://a,': /address 2 must be a URL/,
    'redis://': /address 1 must be a URL/,
    'redis://a:70000': /address 1 must be a URL/,
    'redis://a,http://b': /address 2 must be a URL/,
    'redis://a,redis://b/1': /address 2 names a database/,
    'redis://a/0/1': /address 1 names a database/,
    'redis://a,redis://b,rediss://c': /address 3 must begin with redis:/,
    'redis://a?family=6': /address 1 must end/,
    'redis://u:hunter2@a,redis://b,redis://u:other@c': /address 3 has another user or password/,
    'redis://u:hunter2@a,redis://v:hunter2@b': /address 2 has another user or password/,
    'redis://hunter2@a': /address 1 has a user without a password/,
    'redis://:hunter2%zz@a': /address 1 has a user or password with a stray %/,
    'redis://:hunter2,3@a': /address 1 must be a URL/,
  }
  for (const [url, message] of Object.entries(wrong)) {
    t.throws(() => read(url), { name: 'ConfigError', message }, url)
    t.throws(() => read(url), { message: /^(?!.*hunter2)/s }, 'it is not repeated')
  }
  t.throws(() => loadConfig({ APP_ENV_WEBSOCKET_REDIS_MODE: 'cluster' }), { message: /REDIS_URL: set it/ })
})

t.test('old encryption keys', async (t) => {
  const [a, b] = [`${'A'.repeat(43)}=`, `${'B'.repeat(42)}A=`]
  t.strictSame(loadConfig({}).oldEncryptionKeys, [])
  t.strictSame(loadConfig({ ENCRYPTION_KEY_OLD: '' }).oldEncryptionKeys, [])
  t.strictSame(loadConfig({ ENCRYPTION_KEY_OLD: a }).oldEncryptionKeys, [a])
  t.strictSame(loadConfig({ ENCRYPTION_KEY_OLD: `${a}, ${b}` }).oldEncryptionKeys, [a, b])
})

t.test('durations', async (t) => {
  t.same(parseDurations(''), [])
  t.same(parseDurations(' '), [])
  t.same(parseDurations('0ms,250ms,5s,2m,1h,3d'), [0, 250, 5_000, 120_000, 3_600_000, 259_200_000])
  t.same(parseDurations(' 1s , 2s '), [1_000, 2_000])
  t.throws(() => parseDurations('1s,2x'), { message: '"2x" is not a duration' })
  t.same(loadConfig({ DELIVERY_RETRY_SCHEDULE: '1s,1m' }).retryDelaysMs, [1_000, 60_000])
})
