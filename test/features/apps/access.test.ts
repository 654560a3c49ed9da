import t from 'tap'
import { observe } from '../../helpers/observer.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, call, startService, type Answer } from '../../helpers/service.ts'

/** Who may call each operation; written down once more, so that no route changes hands unnoticed. */
const ACCESS: Record<string, string> = {
  isLive: 'public',
  isReady: 'public',
  getOpenApi: 'public',
  getAsyncApi: 'public',
  getBrowserClient: 'public',
  createApp: 'admin',
  listApps: 'admin',
  getApp: 'admin',
  createApiKey: 'admin',
  listApiKeys: 'admin',
  revokeApiKey: 'admin',
  // Receivers of webhooks have no key of ours.
  getJwks: 'public',
  listSigningKeys: 'subscriptions:read',
  rotateSigningKey: 'subscriptions:write',
  appendEvent: 'events:write',
  appendEvents: 'events:write',
  listEvents: 'events:read',
  getEvent: 'events:read',
  listChildren: 'events:read',
  reportStatus: 'events:write',
  streamEvents: 'events:read',
  createEventType: 'event-types:write',
  listEventTypes: 'event-types:read',
  getEventType: 'event-types:read',
  changeEventType: 'event-types:write',
  deleteEventType: 'event-types:write',
  createUser: 'entities:write',
  listUsers: 'entities:read',
  getUser: 'entities:read',
  changeUser: 'entities:write',
  deleteUser: 'entities:write',
  createPlatformUser: 'entities:write',
  listPlatformUsers: 'entities:read',
  getPlatformUser: 'entities:read',
  changePlatformUser: 'entities:write',
  deletePlatformUser: 'entities:write',
  createFile: 'entities:write',
  listFiles: 'entities:read',
  getFile: 'entities:read',
  getFileContent: 'entities:read',
  changeFile: 'entities:write',
  deleteFile: 'entities:write',
  sendMessage: 'messages:write',
  createPlatformConnection: 'platform-connections:write',
  listPlatformConnections: 'platform-connections:read',
  getPlatformConnection: 'platform-connections:read',
  changePlatformConnection: 'platform-connections:write',
  deletePlatformConnection: 'platform-connections:write',
  // A platform has no key of ours: it signs what it sends.
  verifyPlatformWebhook: 'public',
  receivePlatformWebhook: 'public',
  createLinkCode: 'link-codes:write',
  listLinkCodes: 'link-codes:read',
  getLinkCode: 'link-codes:read',
  activateLinkCode: 'link-codes:write',
  submitInquiry: 'inquiries:submit',
  listInquiries: 'inquiries:read',
  getInquiry: 'inquiries:read',
  // Each field of a query asks for the scope that its REST route needs.
  queryGraphql: 'any-key',
  createSubscription: 'subscriptions:write',
  listSubscriptions: 'subscriptions:read',
  getSubscription: 'subscriptions:read',
  changeSubscription: 'subscriptions:write',
  deleteSubscription: 'subscriptions:write',
  listDeliveries: 'deliveries:read',
  listEventDeliveries: 'deliveries:read',
  getDelivery: 'deliveries:read',
  listAttempts: 'deliveries:read',
  listAttemptLog: 'deliveries:read',
  retryDelivery: 'deliveries:write',
  discardDelivery: 'deliveries:write',
  retryMany: 'deliveries:write',
  discardMany: 'deliveries:write',
  replay: 'deliveries:write',
  listRecoveries: 'deliveries:read',
  getRecovery: 'deliveries:read',
  pauseRecovery: 'deliveries:write',
  resumeRecovery: 'deliveries:write',
  cancelRecovery: 'deliveries:write',
  rotateSecret: 'subscriptions:write',
  enableSubscription: 'subscriptions:write',
  disableSubscription: 'subscriptions:write',
  testSubscription: 'subscriptions:write',
  getSubscriptionStatistics: 'subscriptions:read',
  createObserverToken: 'observation:tokens',
  observeOverWebSocket: 'observation:read',
  observeOverSse: 'observation:read',
  publish: 'observation:publish',
  listPresence: 'observation:read',
}
/** What is also open to who has an observer token. */
const FOR_OBSERVERS = new Set(['observeOverWebSocket', 'observeOverSse'])
/** What needs a key unless the service is set up with an app for requests without one. */
const KEY_OPTIONAL = new Set(['submitInquiry'])
const SCOPES = [...new Set(Object.values(ACCESS))].filter((access) => access.includes(':'))

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const UNKNOWN_KEY = `hg_${'0'.repeat(16)}_${'A'.repeat(43)}`
const UNAUTHORIZED = { status: 401, type: 'unauthorized' }

interface Operation {
  operationId: string
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'PUT'
  path: string
  security: Record<string, unknown>[]
}

t.test('every route is open to those who may use it, and to nobody else', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: document } = await call(service.url, 'GET', '/openapi.json')
  const operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, { operationId, security }]): Operation => ({
        operationId,
        method: method.toUpperCase() as Operation['method'],
        path: path.replaceAll(/\{(\w+)\}/g, (_, name) => (name === 'keyId' ? '0'.repeat(16) : UNKNOWN_ID)),
        security: security ?? document.security,
      })),
  )
  t.strictSame(
    operations.map(({ operationId }) => operationId).toSorted(),
    Object.keys(ACCESS).toSorted(),
    'each route is in the list above',
  )

  /** A body that no route takes: who may not call it is refused before anyone looks at it. */
  const send = ({ method, path }: Operation, authorization?: string): Promise<Answer> =>
    call(service.url, method, path, {
      ...(method !== 'GET' && { body: '{ no JSON' }),
      ...(authorization !== undefined && { headers: { authorization } }),
    })
  const keyWith = async (scopes: string[]): Promise<string> => {
    const { status, body } = await call(service.url, 'POST', `/apps/${client.appId}/api-keys`, {
      key: ADMIN_KEY,
      body: { name: 'some', scopes },
    })
    t.equal(status, 201)
    return `Bearer ${body.apiKey}`
  }
  const allKey = `Bearer ${client.key}`
  const onlyKeys = new Map<string, string>()
  const lackingKeys = new Map<string, string>()
  for (const scope of SCOPES) {
    onlyKeys.set(scope, await keyWith([scope]))
    lackingKeys.set(scope, await keyWith(SCOPES.filter((other) => other !== scope)))
  }

  for (const operation of operations) {
    const { operationId, method, path } = operation
    const access = ACCESS[operationId] as string
    t.test(`${operationId}: ${access}`, async (t) => {
      if (access === 'public') {
        t.strictSame(operation.security, [], 'the document says so')
        // What has an id in its path says that there is nothing with this one, whoever asks.
        const expected = path.includes(UNKNOWN_ID) ? 404 : 200
        for (const authorization of [undefined, 'Bearer nonsense', allKey])
          t.equal((await send(operation, authorization)).status, expected)
        return
      }
      const refused: Record<string, string | undefined> = {
        'no key': undefined,
        'an empty header': '',
        'no token': 'Bearer',
        'an unknown key': `Bearer ${UNKNOWN_KEY}`,
        'no key at all': 'Bearer nonsense',
        'another scheme': `Basic ${client.key}`,
        'a key without its scheme': client.key,
      }
      for (const [what, authorization] of Object.entries(refused))
        expectProblem(t, await send(operation, authorization), UNAUTHORIZED, what)

      if (access === 'admin') {
        t.strictSame(operation.security, [{ adminKey: [] }], 'the document says so')
        expectProblem(t, await send(operation, allKey), UNAUTHORIZED, 'the key of an app')
        t.not((await send(operation, `Bearer ${ADMIN_KEY}`)).status, 401, 'the admin key')
        return
      }
      const security = [
        { appKey: access.includes(':') ? [access] : [] },
        ...(KEY_OPTIONAL.has(operationId) ? [{}] : []),
        ...(FOR_OBSERVERS.has(operationId) ? [{ observerToken: [] }, { observerTokenInUrl: [] }] : []),
      ]
      t.strictSame(operation.security, security, 'the document says so')
      expectProblem(t, await send(operation, `Bearer ${ADMIN_KEY}`), UNAUTHORIZED, 'the admin key')
      if (access === 'any-key') {
        for (const key of onlyKeys.values())
          expectProblem(t, await send(operation, key), { status: 400, type: 'invalid-json' }, 'a key')
        return
      }
      const lacking = await send(operation, lackingKeys.get(access))
      expectProblem(t, lacking, { status: 403, type: 'forbidden' }, 'every scope but this')
      t.ok(lacking.body.detail.includes(access), 'it says which scope is needed')

      const only = onlyKeys.get(access) as string
      if (operationId === 'streamEvents') {
        // It does not end by itself; observe() fails unless the answer is 200.
        const observer = await observe(t, service.url, only.slice('Bearer '.length), '')
        return observer.drop()
      }
      const { status } = await call(service.url, method, path, {
        ...(method !== 'GET' && method !== 'DELETE' && { body: {} }),
        headers: { authorization: only },
      })
      // For some an empty body is enough.
      const taken: Record<string, number> = {
        createUser: 201,
        rotateSigningKey: 201,
        retryMany: 202,
        discardMany: 202,
      }
      const expected = [taken[operationId] ?? 200, 400, 404, 426]
      t.ok(expected.includes(status), `this scope alone is enough: ${status}`)
    })
  }

  t.test('the scheme of the header is not case-sensitive', async (t) => {
    for (const scheme of ['bearer', 'BEARER']) {
      const headers = { authorization: `${scheme} ${client.key}` }
      t.equal((await call(service.url, 'GET', '/events', { headers })).status, 200, scheme)
    }
  })

  t.test('a key in the query string or in a cookie does not count', async (t) => {
    const inQuery = await call(service.url, 'GET', `/events?api_key=${client.key}`)
    expectProblem(t, inQuery, UNAUTHORIZED, 'in the query')
    const headers = { cookie: `authorization=Bearer ${client.key}` }
    expectProblem(t, await call(service.url, 'GET', '/events', { headers }), UNAUTHORIZED, 'in a cookie')
    t.pass('both were refused')
  })
})
