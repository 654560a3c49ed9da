import t from 'tap'
import { loadConfig } from '../src/config.ts'
import { loadExtensions } from '../src/extensions.ts'
import { ConfigError } from '../src/platform/settings.ts'
import { writeExtension, writeFolder } from './helpers/extension-module.ts'
import { startReceiver } from './helpers/receiver.ts'
import { call, startService } from './helpers/service.ts'
import { until } from './helpers/until.ts'

const load = (environment: Record<string, string>) => loadExtensions(loadConfig(environment), environment)
const namesIn = async (environment: Record<string, string>): Promise<string[]> =>
  (await load(environment)).map(({ extension }) => extension.name)

t.test('PACKS says which packs are on', async (t) => {
  const all = await namesIn({})
  t.ok(all.includes('slack') && all.includes('inquiries'), 'all of them, unless it is set')
  t.strictSame(await namesIn({ PACKS: 'inquiries, slack' }), ['slack', 'inquiries'])
  t.strictSame(await namesIn({ PACKS: '' }), [])
  await t.rejects(namesIn({ PACKS: 'slack,fax' }), {
    name: 'ConfigError',
    message: /^PACKS: there is no pack fax\. There are slack, /,
  })
})

t.test('a pack that is off is not there', async (t) => {
  const service = await startService(t, { worker: false, settings: { PACKS: 'discord' } })
  const client = await service.client()
  t.equal((await client.get('/inquiries')).status, 404)
  const to = (type: string) => ({
    name: 'a',
    eventPatterns: ['*'],
    destination: { type, url: 'https://example.com' },
  })
  t.equal((await client.post('/subscriptions', to('slack'))).status, 400)
  t.equal((await client.post('/subscriptions', to('discord'))).status, 201)
  const connection = { platform: 'whatsapp', name: 'a', settings: {}, credentials: {} }
  t.equal((await client.post('/platform-connections', connection)).status, 400)
  const types = (await client.get('/event-types?limit=100')).body.data.map(
    ({ name }: { name: string }) => name,
  )
  t.notOk(types.includes('inquiry.submitted'))
})

t.test('what belongs to a pack is kept while it is off', async (t) => {
  const before = await startService(t, { worker: false })
  const client = await before.client()
  const receiver = await startReceiver(t)
  const { body: subscription } = await client.post('/subscriptions', {
    name: 'channel',
    eventPatterns: ['order.*'],
    destination: { type: 'slack', url: receiver.url },
  })
  const { body: connection } = await client.post('/platform-connections', {
    platform: 'http',
    name: 'chat',
    settings: { url: receiver.url },
    credentials: { secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' },
  })
  await before.close()

  const off = await startService(t, { databaseUrl: before.databaseUrl, settings: { PACKS: '' } })
  const ask = (method: string, path: string, body?: object) =>
    call(off.url, method, path, { key: client.key, ...(body && { body }) })
  t.match((await ask('GET', '/subscriptions')).body.data, [{ destination: { type: 'slack', url: '***' } }])
  const renamed = await ask('PATCH', `/subscriptions/${subscription.id}`, { name: 'renamed' })
  t.match(renamed.body, { name: 'renamed', destination: { type: 'slack' } })
  t.match((await ask('GET', '/platform-connections')).body.data, [{ platform: 'http' }])
  const test = await ask('POST', `/subscriptions/${subscription.id}/test`, {})
  t.match(test.body, {
    succeeded: false,
    error: 'The destination "slack" is off here: see PACKS and EXTENSIONS.',
  })
  const message = { platformConnectionId: connection.id, toExternalId: 'ada', message: 'hello' }
  const refusals = [
    await ask('POST', '/messages', message),
    await ask('POST', `/platform-connections/${connection.id}/webhook`, {}),
    await ask('GET', `/platform-connections/${connection.id}/webhook`),
    await ask('PATCH', `/platform-connections/${connection.id}`, { settings: { url: receiver.url } }),
  ]
  for (const { body } of refusals)
    t.match(body, { status: 409, detail: 'The platform "http" is off here: see PACKS and EXTENSIONS.' })
  const { body: event } = await ask('POST', '/events', { type: 'order.placed', payload: {} })
  const attempts = await until(async () => {
    const { body } = await ask('GET', `/attempts?subscriptionId=${subscription.id}`)
    return body.data.length > 0 && body.data
  }, 'an attempt was made')
  t.match(attempts[0], { outcome: 'failed', error: /^The destination "slack" is off here/ })
  await off.close()

  const after = await startService(t, { databaseUrl: before.databaseUrl })
  const { body: owed } = await call(after.url, 'GET', `/events/${event.id}/deliveries`, { key: client.key })
  t.match(owed.data, [{ status: 'pending' }])
  await call(after.url, 'POST', `/deliveries/${owed.data[0].id}/retry`, { key: client.key })
  await receiver.waitFor(1)
  t.pass('and is delivered once it is on again')
})

t.test('settings of packs are checked', async (t) => {
  const wrong: Record<string, string[]> = {
    INQUIRIES_APP_ID: ['default', 'urn:uuid:019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'],
    INQUIRIES_PER_MINUTE: ['0', '1.5'],
    SMTP_URL: ['smtp://mail.example.com', 'http://mail.example.com'],
    MAIL_FROM: ['events@example.com', 'nobody'],
  }
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const thrown: unknown = await load({ [name]: value }).catch((error: unknown) => error)
      t.ok(thrown instanceof ConfigError, `${name}=${value} is refused`)
      t.match((thrown as Error).message, new RegExp(`\\b(SMTP_URL|MAIL_FROM|${name})\\b`))
    }
  }
})

t.test('a module that cannot be used stops the start and says why', async (t) => {
  const cases: [source: string, message: RegExp][] = [
    ['export default {', /was not loaded\. /],
    ['throw new Error("no licence")', /was not loaded\. no licence/],
    ['export const name = "a"', /exports no extension/],
    ['export default { name: "Not A Name" }', /exports no extension/],
    ['export default { name: "slack" }', /is called "slack", as another one is already/],
    [
      'export default { name: "a", settings: { A: { type: "integer" } } }',
      /settings of .* are not made with Type/,
    ],
  ]
  for (const [source, message] of cases) {
    const path = await writeExtension(t, source)
    await t.rejects(load({ EXTENSIONS: path, A: 'b' }), { name: 'ConfigError', message }, source)
  }
  await t.rejects(load({ EXTENSIONS: './not-there.ts' }), {
    message: /^EXTENSIONS: \.\/not-there\.ts was not loaded/,
  })
  await t.rejects(load({ EXTENSIONS: 'not-there' }), { message: /^EXTENSIONS: not-there was not loaded/ })
})

t.test('an extension may be a package', async (t) => {
  const folder = await writeFolder(t, {
    'node_modules/@acme/pager/package.json': JSON.stringify({
      name: '@acme/pager',
      type: 'module',
      exports: { import: './main.js' },
    }),
    'node_modules/@acme/pager/main.js': `
      import { defineExtension } from 'heliograph/extension'
      import { name } from './name.js'
      export default defineExtension({ name })`,
    'node_modules/@acme/pager/name.js': `export const name = 'pager'`,
  })
  const before = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
  t.strictSame(await namesIn({ PACKS: '', EXTENSIONS: '@acme/pager' }), ['pager'])
})

t.test('what two declare both stops the start', async (t) => {
  const path = await writeExtension(
    t,
    `export default { name: 'mine', eventTypes: [{ name: 'order.placed', domain: 'a', description: 'b' }] }`,
  )
  await t.rejects(startService(t, { worker: false, settings: { EXTENSIONS: path } }), {
    message: 'The event type "order.placed" is declared twice: see EXTENSIONS.',
  })
})

t.test('an extension adds settings, routes, event types, a destination and work', async (t) => {
  const path = await writeExtension(
    t,
    `
    import { defineExtension, destinationKind, postJson, Type } from 'heliograph/extension'

    const pager = destinationKind({
      settings: Type.Object({ type: Type.Literal('pager'), url: Type.String() }, { additionalProperties: false }),
      hidden: [],
      check: (settings) => settings,
      connect: ({ http }, { PAGER_LEVEL: level }) => ({
        send: (event, { settings }, attempt) =>
          postJson(http, { url: settings.url, body: JSON.stringify({ level, page: event.type }), attempt }, () => ({})),
      }),
    })

    export default defineExtension({
      name: 'pager',
      scopes: ['pager:read'],
      settings: { PAGER_LEVEL: Type.Integer({ default: 1, minimum: 1, maximum: 5, description: 'How loud.' }) },
      eventTypes: [{ name: 'pager.paged', domain: 'pager', description: 'Somebody was paged.', isReserved: true }],
      tags: [{ name: 'Pager', description: 'Pages.' }],
      destinations: [pager],
      setup({ settings, append }) {
        let working = 0
        return {
          async routes(app) {
            app.get('/pager', {
              config: { access: 'pager:read' },
              schema: { tags: ['Pager'], operationId: 'getPager', response: { 200: Type.Object({ level: Type.Integer(), working: Type.Integer() }) } },
            }, async (request) => {
              await append(request.appKey.appId, [{ type: 'pager.paged', payload: { by: 'hand' } }])
              return { level: settings.PAGER_LEVEL, working }
            })
          },
          work() {
            working += 1
            return [{ async close() { working -= 1 } }]
          },
        }
      },
    })`,
  )
  const service = await startService(t, { settings: { EXTENSIONS: path, PAGER_LEVEL: '4' } })
  const client = await service.client()
  const receiver = await startReceiver(t)
  await client.post('/subscriptions', {
    name: 'pages',
    eventPatterns: ['pager.*'],
    destination: { type: 'pager', url: receiver.url },
  })
  t.strictSame((await client.get('/pager')).body, { level: 4, working: 1 })
  const [page] = await receiver.waitFor(1)
  t.strictSame(JSON.parse(page?.text ?? ''), { level: 4, page: 'pager.paged' })
  t.equal((await client.post('/events', { type: 'pager.paged', payload: {} })).status, 422, 'only it says so')
  const { body: document } = await client.get('/openapi.json')
  t.ok(document.paths['/pager'].get)
  t.match(document.tags.at(-1), { name: 'Pager' })
})

t.test('listeners are told of events once they are stored', async (t) => {
  const told: Record<string, string[]> = { awaited: [], background: [], failing: [], circle: [] }
  const gate = Promise.withResolvers<void>()
  Object.assign(globalThis, { listenersTest: { told, gate } })
  const path = await writeExtension(
    t,
    `
    import { defineExtension } from 'heliograph/extension'
    const { told, gate } = globalThis.listenersTest
    export default defineExtension({
      name: 'audit',
      setup({ on, append }) {
        on('order.*', async (payload, { type, position }) => {
          await new Promise((resolve) => setTimeout(resolve, 20))
          told.awaited.push(type + ' ' + position + ' ' + payload.n)
        })
        on('order.slow', async () => {
          await gate.promise
          told.background.push('done')
        }, { mode: 'background' })
        on('order.bad', () => { told.failing.push('called'); throw new Error('no') })
        on('order.stuck', () => new Promise(() => {}), { timeoutMs: 50 })
        on('circle.*', async (payload, { appId }) => {
          told.circle.push('turn')
          const next = { n: payload.n + 1 }
          await append(appId, [{ type: 'circle.turned', payload: next }])
        })
      },
    })`,
  )
  const service = await startService(t, { worker: false, settings: { EXTENSIONS: path } })
  const client = await service.client()
  const append = async (type: string, more: object = {}) =>
    (await client.post('/events', { type, payload: { n: 1 }, ...more })).status

  t.equal(await append('order.placed', { externalId: 'A-1' }), 201)
  t.strictSame(told['awaited'], ['order.placed 1 1'], 'before the request is answered')
  t.equal(await append('order.placed', { externalId: 'A-1' }), 200)
  t.strictSame(told['awaited'], ['order.placed 1 1'], 'not of a repeat')
  t.equal(await append('other.thing'), 201)
  t.equal(told['awaited']?.length, 1, 'not of other types')

  t.equal(await append('order.slow'), 201)
  t.strictSame(told['background'], [], 'the request did not wait for it')
  gate.resolve()
  await until(async () => told['background']?.length === 1, 'the background listener is done')

  t.equal(await append('order.bad'), 201, 'what it throws undoes nothing')
  t.strictSame(told['failing'], ['called'])
  t.equal(told['awaited']?.at(-1), 'order.bad 4 1', 'and stops no other')
  t.equal(await append('order.stuck'), 201, 'an append waits for so long and no longer')

  t.equal(await append('circle.begun'), 201)
  t.equal(told['circle']?.length, 8, 'a circle ends')
})

t.test('a listener is for a pattern of event types', async (t) => {
  const path = await writeExtension(
    t,
    `export default { name: 'odd', setup({ on }) { on('Or*der', () => {}) } }`,
  )
  await t.rejects(startService(t, { worker: false, settings: { EXTENSIONS: path } }), {
    message: '"Or*der" is no pattern of event types. (The extension "odd" could not be set up.)',
  })
})
