import { Redis } from 'ioredis'
import t from 'tap'
import { request } from 'undici'
import { expectProblem } from '../../helpers/problems.ts'
import { startRedis } from '../../helpers/redis-server.ts'
import { call, startService, type Service } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const INQUIRY = { type: '100_GENERAL', firstName: 'Ada', email: 'ada@example.com' }
const PAGE = 'https://www.example.com'
const tooMany = { status: 429, type: 'too-many-requests' }

/** Sends inquiries to services that believe what this machine says of where a request comes from. */
const sender =
  (key: string) =>
  (service: Service, address: string, body: unknown = INQUIRY) =>
    call(service.url, 'POST', '/inquiries/submit', { key, body, headers: { 'x-forwarded-for': address } })

const LIMITED = { INQUIRIES_PER_MINUTE: '3', TRUST_PROXY: '127.0.0.1' }

t.test('one address sends so many in a minute', async (t) => {
  const service = await startService(t, { worker: false, settings: LIMITED })
  const client = await service.client()
  const submit = sender(client.key)

  t.test('and is told when to come back', async (t) => {
    const remaining = []
    for (let number = 0; number < 3; number++) {
      const { status, headers } = await submit(service, '192.0.2.1')
      t.equal(status, 201)
      t.equal(headers['ratelimit-limit'], '3')
      remaining.push(headers['ratelimit-remaining'])
    }
    t.strictSame(remaining, ['2', '1', '0'])
    const refused = await submit(service, '192.0.2.1')
    expectProblem(t, refused, tooMany, 'the fourth')
    const { headers } = refused
    t.equal(headers['ratelimit-remaining'], '0')
    t.ok(Number(headers['retry-after']) > 0 && Number(headers['retry-after']) <= 60)
    t.equal(headers['ratelimit-reset'], headers['retry-after'])
    t.equal((await submit(service, '192.0.2.2')).status, 201, 'another address')
    t.equal((await client.get('/inquiries')).body.data.length, 4)
  })

  t.test('what has a form of its own counts too, what has no right does not', async (t) => {
    for (let number = 0; number < 3; number++) {
      t.equal((await submit(service, '192.0.2.3', {})).status, 400)
      t.equal((await sender('nonsense')(service, '192.0.2.4')).status, 401)
    }
    expectProblem(t, await submit(service, '192.0.2.3'), tooMany, 'after three that were wrong')
    t.equal((await submit(service, '192.0.2.4')).status, 201)
  })

  t.test('an IPv6 network is one address', async (t) => {
    for (const host of ['1', 'ffff:ffff:ffff:ffff', 'a:b:c:d'])
      t.equal((await submit(service, `2001:db8:0:1:${host.includes(':') ? host : `:${host}`}`)).status, 201)
    expectProblem(t, await submit(service, '2001:db8:0:1::9'), tooMany, 'the same /64')
    t.equal((await submit(service, '2001:db8:0:2::9')).status, 201, 'the next')
    for (const address of ['::ffff:192.0.2.9', '192.0.2.9', '::ffff:192.0.2.9'])
      t.equal((await submit(service, address)).status, 201)
    expectProblem(t, await submit(service, '192.0.2.9'), tooMany, 'IPv4 in either form')
  })

  t.test('only what the proxy adds is believed', async (t) => {
    for (let number = 0; number < 3; number++)
      t.equal((await submit(service, `198.51.100.${number}, 192.0.2.5`)).status, 201)
    expectProblem(
      t,
      await submit(service, '198.51.100.9, 192.0.2.5'),
      tooMany,
      'the address before is made up',
    )
  })

  t.test('other routes are not limited', async (t) => {
    for (let number = 0; number < 5; number++) t.equal((await client.get('/inquiries')).status, 200)
  })
})

t.test('without a proxy to trust, the connection says who it is', async (t) => {
  const service = await startService(t, { worker: false, settings: { INQUIRIES_PER_MINUTE: '2' } })
  const submit = sender((await service.client()).key)
  t.equal((await submit(service, '192.0.2.1')).status, 201)
  t.equal((await submit(service, '192.0.2.2')).status, 201)
  expectProblem(t, await submit(service, '192.0.2.3'), tooMany, 'whatever it says')
})

t.test('with Redis all processes count together', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const options = { worker: false, settings: LIMITED, redisUrl: redis.url }
  const one = await startService(t, options)
  const other = await startService(t, { ...options, databaseUrl: one.databaseUrl })
  const submit = sender((await one.client()).key)

  // Its connection may not be there yet, and then nothing is counted.
  for (const service of [one, other])
    await until(
      async () => (await submit(service, '192.0.2.100')).headers['ratelimit-reset'] !== '0',
      'Redis counts',
    )
  for (const service of [one, other, one]) t.equal((await submit(service, '192.0.2.1')).status, 201)
  for (const service of [one, other])
    expectProblem(t, await submit(service, '192.0.2.1'), tooMany, 'the fourth')

  t.test('one that does not answer holds nobody up', async (t) => {
    const client = new Redis(redis.url)
    const [, pid] = /process_id:(\d+)/.exec(await client.info('server')) ?? []
    client.disconnect()
    process.kill(Number(pid), 'SIGSTOP')
    try {
      t.equal((await submit(one, '192.0.2.1')).status, 201)
    } finally {
      process.kill(Number(pid), 'SIGCONT')
    }
  })

  t.test('one that is gone limits nobody, and counts again once it is back', async (t) => {
    await redis.kill()
    for (let number = 0; number < 5; number++)
      for (const service of [one, other]) t.equal((await submit(service, '192.0.2.2')).status, 201)
    await redis.start()
    await until(async () => (await submit(one, '192.0.2.3')).status === 429, 'it counts')
    await until(async () => (await submit(other, '192.0.2.3')).status === 429, 'for both')
  })
})

t.test('pages of other origins', async (t) => {
  const settings = { ALLOWED_ORIGINS: `${PAGE},http://localhost:5173` }
  const service = await startService(t, { worker: false, settings })
  const client = await service.client()
  const from = (origin: string) => ({ origin })
  const submit = (headers: Record<string, string>) => client.post('/inquiries/submit', INQUIRY, headers)
  const preflight = (path: string, origin: string, method = 'POST') =>
    call(service.url, 'OPTIONS', path, {
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization',
      },
    })

  t.test('may send inquiries when they are allowed to', async (t) => {
    const { status, headers } = await submit(from(PAGE))
    t.equal(status, 201)
    t.equal(headers['access-control-allow-origin'], PAGE)
    t.equal(headers.vary, 'Origin')
    t.notOk('access-control-allow-credentials' in headers)
    t.match(headers['access-control-expose-headers'], /ratelimit-remaining.*retry-after/)
    t.equal((await submit({})).status, 201, 'no page at all')
    t.equal((await submit(from(service.url))).status, 201, 'a page of the service')
    const wrong = await client.post('/inquiries/submit', {}, from(PAGE))
    t.match(
      wrong,
      { status: 400, headers: { 'access-control-allow-origin': PAGE } },
      'errors can be read too',
    )
  })

  t.test('and not otherwise', async (t) => {
    for (const origin of [
      'https://evil.com',
      'https://www.example.com.evil.com',
      'null',
      'http://localhost',
    ]) {
      const answer = await submit(from(origin))
      expectProblem(t, answer, { status: 403, type: 'origin-not-allowed' }, origin)
      t.match(answer.body.detail, /ALLOWED_ORIGINS/)
      t.notOk('access-control-allow-origin' in answer.headers)
    }
    t.equal((await client.get('/inquiries?limit=100')).body.data.length, 3)
  })

  t.test('ask first, without a key, whichever route it is', async (t) => {
    for (const path of ['/inquiries/submit', '/events/stream', '/inquiries', '/events', '/apps']) {
      const { status, headers, text } = await preflight(path, PAGE)
      t.equal(status, 204, path)
      t.equal(text, '')
      t.match(headers, {
        'access-control-allow-origin': PAGE,
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': 'authorization, content-type, idempotency-key, last-event-id',
        'access-control-max-age': '600',
      })
      const refused = await preflight(path, 'https://evil.com')
      t.ok(refused.status >= 400, 'others are not answered')
      t.notOk('access-control-allow-origin' in refused.headers)
    }
    const bare = await call(service.url, 'OPTIONS', '/events')
    expectProblem(t, bare, { status: 405, type: 'method-not-allowed' }, 'what is no preflight')
  })

  t.test('may read streams', async (t) => {
    const abort = new AbortController()
    const { statusCode, headers, body } = await request(`${service.url}/events/stream`, {
      headers: { authorization: `Bearer ${client.key}`, ...from(PAGE) },
      signal: abort.signal,
    })
    t.equal(statusCode, 200)
    t.equal(headers['access-control-allow-origin'], PAGE)
    body.on('error', () => {})
    abort.abort()
  })

  t.test('any, when there is a star', async (t) => {
    const open = await startService(t, {
      worker: false,
      databaseUrl: service.databaseUrl,
      settings: { ALLOWED_ORIGINS: '*' },
    })
    for (const origin of ['https://anywhere.example', 'null']) {
      const options = { key: client.key, body: INQUIRY, headers: from(origin) }
      const { status, headers } = await call(open.url, 'POST', '/inquiries/submit', options)
      t.equal(status, 201)
      t.equal(headers['access-control-allow-origin'], origin)
    }
  })
})
