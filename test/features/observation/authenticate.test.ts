import { Writable } from 'node:stream'
import Fastify from 'fastify'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { buildApi } from '../../../src/api.ts'
import {
  createObserverAuthentication,
  grantOf,
} from '../../../src/features/observation/access/authenticate.ts'
import { registerAuth } from '../../../src/platform/http/auth.ts'
import { registerErrorHandler } from '../../../src/platform/http/error-handler.ts'
import { createOriginCheck } from '../../../src/platform/http/origins.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, call, startService, type Service } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const unauthorized = { status: 401, type: 'unauthorized' }
const twoCredentials = { status: 400, type: 'validation-failed' }
const UNKNOWN_KEY = `hg_${'0'.repeat(16)}_${'A'.repeat(43)}`

/** An API with one route for observers, which answers what the observer may do. @returns its URL */
async function startRoute(t: Test, { features }: Service, allowedOrigins: string[]): Promise<string> {
  const app = Fastify()
  t.teardown(() => app.close())
  registerErrorHandler(app)
  const authenticate = createObserverAuthentication({
    keys: features.apps.keys,
    tokens: features.observation.observerTokens,
    isAllowedOrigin: createOriginCheck(allowedOrigins),
  })
  registerAuth(app, {
    adminApiKey: ADMIN_KEY,
    scopes: [],
    findAppKey: (key) => features.apps.keys.find(key),
    async authenticateObserver(request) {
      request.grant = await authenticate(request)
    },
  })
  app.get('/observe', { config: { access: 'observer' } }, async (request) => grantOf(request))
  app.get('/open', { config: { access: 'public' } }, async (request) => grantOf(request))
  return app.listen({ host: '127.0.0.1', port: 0 })
}

t.test('who may observe', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const url = await startRoute(t, service, ['https://allowed.example'])
  const keysPath = `/apps/${client.appId}/api-keys`
  const makeKey = async (scopes: string[]): Promise<{ id: string; apiKey: string }> => {
    const options = { key: ADMIN_KEY, body: { name: 'some', scopes } }
    return (await call(service.url, 'POST', keysPath, options)).body
  }
  const makeToken = async (body: object): Promise<string> =>
    (await client.post('/observation/tokens', body)).body.token
  const token = await makeToken({ rooms: ['orders/*'], member: { id: 'user-7' } })
  const observe = (query: string, headers: Record<string, string> = {}) =>
    call(url, 'GET', `/observe${query}`, { headers })
  const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` })

  t.test('a key with the scope, all that its app has', async (t) => {
    const reader = await makeKey(['observation:read'])
    const all = { rooms: ['**'], types: ['*'], member: null }
    const { status, body } = await observe('', bearer(reader.apiKey))
    t.equal(status, 200)
    t.strictSame(body, { appId: client.appId, keyId: reader.id, ...all, publish: [] }, 'it does not end')
    const writer = await makeKey(['observation:read', 'observation:publish'])
    t.match((await observe('', bearer(writer.apiKey))).body, { keyId: writer.id, ...all, publish: ['**'] })

    const other = await makeKey(['observation:tokens', 'observation:publish', 'events:read'])
    const refused = await observe('', bearer(other.apiKey))
    expectProblem(t, refused, { status: 403, type: 'forbidden' }, 'a key without the scope')
    t.match(refused.body.detail, /observation:read/)
    await call(service.url, 'DELETE', `${keysPath}/${reader.id}`, { key: ADMIN_KEY })
    for (const key of [
      reader.apiKey,
      UNKNOWN_KEY,
      `${writer.apiKey}x`,
      'hg_',
      ADMIN_KEY,
      'nonsense',
      'a.b.c',
    ])
      expectProblem(t, await observe('', bearer(key)), unauthorized, key)
  })

  t.test('a token, what it says', async (t) => {
    const expected = {
      appId: client.appId,
      rooms: ['orders/*'],
      types: ['*'],
      publish: [],
      member: { id: 'user-7', info: null },
      expiresAt: Number,
    }
    for (const answer of [
      await observe('', bearer(token)),
      await observe('', { authorization: `bearer ${token}` }),
      await observe(`?token=${token}`),
      await observe(`?rooms=hg_rooms,orders&token=${token}&presence=true`),
      await observe(`?token=${token}`, { authorization: 'Basic dXNlcjpwYXNzd29yZA==' }),
    ]) {
      t.equal(answer.status, 200)
      t.match(answer.body, expected)
    }
    for (const query of ['?token=', '?token=nonsense', `?token=${token}x`, `?Token=${token}`, '?token[]=1'])
      expectProblem(t, await observe(query), unauthorized, query)
  })

  t.test('nobody without a credential, or with two', async (t) => {
    expectProblem(t, await observe(''), unauthorized, 'none')
    for (const authorization of ['', 'Bearer', token, `Basic ${client.key}`])
      expectProblem(t, await observe('', { authorization }), unauthorized, authorization)
    const cookie = { cookie: `token=${token}; authorization=Bearer ${client.key}` }
    expectProblem(t, await observe('', cookie), unauthorized, 'in a cookie')
    for (const credential of [token, client.key]) {
      const both = await observe(`?token=${token}`, bearer(credential))
      expectProblem(t, both, twoCredentials, 'both')
    }
    expectProblem(t, await observe(`?token=${token}&token=${token}`), twoCredentials, 'two in the URL')
    t.equal((await call(url, 'GET', '/open', { headers: bearer(token) })).status, 500, 'only such routes')
  })

  t.test('nobody with a key in a URL, however it got there', async (t) => {
    const secret = client.key.slice(20)
    const names = ['token', 'key', 'apiKey', 'api_key', 'access_token', 'ACCESS_TOKEN', 'x', 'rooms']
    const queries = [
      ...names.flatMap((name) => [`${name}=${client.key}`, `${name}=${UNKNOWN_KEY}`]),
      `rooms=orders,${client.key}`,
      `rooms=a&rooms=${client.key}`,
      `token=${client.key.replace('_', '%5F')}`,
      `token=Bearer%20${client.key}`,
      `token=${client.key.slice(0, 30)}`,
      'token=hg_nonsense',
      `token=hgadmin_${secret}`,
      `key=${ADMIN_KEY}`,
      `access_token=${token}`,
    ]
    for (const query of queries) {
      for (const headers of [{}, bearer(client.key), bearer(token)]) {
        const answer = await observe(`?${query}`, headers)
        expectProblem(t, answer, unauthorized, query)
        if (!/revoke it/.test(answer.body.detail)) t.fail(`${query}: ${answer.body.detail}`)
        if (answer.text.includes(secret)) t.fail(`${query}: the answer repeats it`)
      }
    }
    t.equal((await observe('', bearer(client.key))).status, 200, 'the key still counts where it belongs')
  })

  t.test('pages of allowed origins, and whoever is no page', async (t) => {
    const asked = async (at: string, origin?: string): Promise<number> => {
      const headers = { ...bearer(token), ...(origin !== undefined && { origin }) }
      const answer = await call(at, 'GET', '/observe', { headers })
      if (answer.status === 403)
        expectProblem(t, answer, { status: 403, type: 'origin-not-allowed' }, 'origin')
      return answer.status
    }
    t.equal(await asked(url), 200, 'no page')
    t.equal(await asked(url, 'https://allowed.example'), 200)
    t.equal(await asked(url, url), 200, 'the own one')
    const others = [
      'http://allowed.example',
      'https://allowed.example:8443',
      'https://sub.allowed.example',
      'https://allowed.example.evil.example',
      'http://localhost:3000',
      'http://127.0.0.1:1',
      'null',
      '*',
      'local',
      '',
    ]
    for (const origin of others) t.equal(await asked(url, origin), 403, `"${origin}"`)
    const withKey = await observe('', { ...bearer(client.key), origin: 'https://evil.example' })
    expectProblem(t, withKey, { status: 403, type: 'origin-not-allowed' }, 'with a key')

    const local = await startRoute(t, service, ['local'])
    for (const origin of [
      'http://localhost',
      'https://localhost:5173',
      'http://127.0.0.1:8080',
      'http://[::1]:1',
    ])
      t.equal(await asked(local, origin), 200, origin)
    for (const origin of [
      'http://localhost.evil.example',
      'http://127.0.0.1.evil.example',
      'ftp://localhost',
    ])
      t.equal(await asked(local, origin), 403, origin)
    const any = await startRoute(t, service, ['*'])
    for (const origin of ['https://evil.example', 'null']) t.equal(await asked(any, origin), 200, origin)
  })
})

t.test('what stands in a query is neither logged nor answered', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body } = await client.post('/observation/tokens', { rooms: ['**'] })
  const token: string = body.token
  let logged = ''
  const log = pino(
    { level: 'trace' },
    new Writable({
      write(chunk, _encoding, done) {
        logged += String(chunk)
        done()
      },
    }),
  )
  const api = await buildApi({ ...service.platform, log }, service.features)
  t.teardown(() => api.close())
  const url = await api.listen({ host: '127.0.0.1', port: 0 })

  const expected: [method: 'GET' | 'POST', path: string, status: number, key?: string][] = [
    ['GET', '/health/live', 200],
    ['GET', '/events', 401],
    ['GET', '/events', 400, client.key],
    ['GET', '/events/stream', 401],
    ['GET', '/events/stream', 401, UNKNOWN_KEY],
    ['GET', '/nothing', 404],
    ['GET', '/nothing', 404, client.key],
    ['GET', '/observation/tokens', 405],
    ['POST', '/observation/tokens', 401],
    ['POST', '/observation/tokens', 415, client.key],
    ['GET', '/events/%zz', 400, client.key],
    ['GET', `/events/${'a'.repeat(201)}`, 400, client.key],
    ['GET', '//', 404],
    ['GET', '/nothing%3f', 404],
  ]
  for (const [method, path, status, key] of expected) {
    for (const secret of [token, client.key]) {
      for (const query of [`token=${secret}`, `limit=${secret}`, `%zz=${secret}`]) {
        const answer = await call(url, method, `${path}?${query}`, {
          ...(key !== undefined && { key }),
          ...(method === 'POST' && { body: 'x', headers: { 'content-type': 'text/plain' } }),
        })
        const what = `${method} ${path.slice(0, 20)}?${query.slice(0, 6)}`
        const isLimit = query.startsWith('limit') && status === 400
        if (answer.status !== status && !isLimit) t.equal(answer.status, status, `${what}: ${answer.text}`)
        if (answer.text.includes(secret)) t.fail(`${what}: it is in the answer: ${answer.text}`)
      }
    }
  }
  await call(url, 'GET', `/last?token=${token}`)
  await until(() => logged.includes('"path":"/last"'), 'the last was logged')
  t.ok(logged.includes('"path":"/events/stream"'), 'by their path')
  for (const secret of [token, client.key, token.slice(-43), client.key.slice(20)])
    t.notOk(logged.includes(secret), 'without a secret')
  t.notOk(/token=|limit=/.test(logged), 'and without a query at all')
})
