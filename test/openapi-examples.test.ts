import t from 'tap'
import { signedHeaders } from '../src/platform/secrets/signing.ts'
import { HTTP_SECRET, WHATSAPP_CONNECTION } from './helpers/connections.ts'
import { openEventStream } from './helpers/observer.ts'
import { createAnswerCheck, type Json, type OpenApiDocument, type Operation } from './helpers/openapi.ts'
import { answerExample, bodyExamples, membersOf } from './helpers/openapi-examples.ts'
import { createRecords } from './helpers/records.ts'
import { openSocket } from './helpers/rooms.ts'
import { ADMIN_KEY, call, startService, type Answer } from './helpers/service.ts'
import { until } from './helpers/until.ts'

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

interface Documented {
  operation: Operation
  method: Method
  path: string
}

/** What is needed besides a record for each id in the path and the body; each is made when its operation is sent. */
interface Setting {
  /** Ids in the path, in their order. */
  ids?: string[]
  query?: string
  headers?: Record<string, string>
  body?: unknown
  /** Takes the place of members of an example, by their names. */
  members?: Record<string, string>
}

/** They are what they describe. */
const WITHOUT_EXAMPLE = new Set(['getOpenApi', 'getAsyncApi', 'getBrowserClient'])
/** They do not end. */
const STREAMS = new Set(['streamEvents', 'observeOverSse', 'observeOverWebSocket'])
/** Its answer is bytes that a platform has: `features/messages/attachment-content.test.ts` fetches some of each. */
const BYTES = 'getFileContent'
/** Which record an id in a body names. */
const REFERENCES: Record<string, string> = {
  platformConnectionId: 'platform-connections',
  platformUserId: 'platform-users',
  subscriptionId: 'subscriptions',
}

t.test('the examples of the OpenAPI document', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const records = await createRecords(t, service, client)
  const document = (await call(service.url, 'GET', '/openapi.json')).body as OpenApiDocument
  const check = createAnswerCheck(t, document, new Set())
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([name, operation]): Documented => ({
      operation,
      method: name.toUpperCase() as Method,
      path,
    })),
  )
  const operationOf = (id: string): Operation =>
    operations.find(({ operation }) => operation.operationId === id)?.operation as Operation
  const done = new Set<string>()

  /** For operations that want more than a record of their kind. */
  const settings: Record<string, () => Promise<Setting>> = {
    async revokeApiKey() {
      const app = await records.by['apps']?.()
      const key = await records.create(`/apps/${app}/api-keys`, { name: 'to be revoked' })
      return { ids: [app as string, key] }
    },
    async listChildren() {
      const id = (await records.by['events']?.()) as string
      await records.create('/events', { type: 'doc.followed', payload: {}, originEventId: id })
      return { ids: [id] }
    },
    listEventDeliveries: async () => ({ ids: [(await records.attempted()).event] }),
    discardDelivery: async () => ({ ids: [(await records.attempted('busy')).delivery] }),
    resumeRecovery: async () => ({ ids: [await records.recovery('paused')] }),
    async activateLinkCode() {
      const id = await records.by['link-codes']?.()
      return { members: { code: (await client.get(`/link-codes/${id}`)).body.code } }
    },
    async verifyPlatformWebhook() {
      const id = await records.create('/platform-connections', WHATSAPP_CONNECTION)
      return { ids: [id], query: '?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify%20me' }
    },
    async receivePlatformWebhook() {
      const body = JSON.stringify({ messages: [{ id: 'm1', from: 'somebody', text: 'Hi' }] })
      const now = Math.floor(Date.now() / 1000)
      return { body, headers: signedHeaders({ secrets: [HTTP_SECRET] }, 'w1', now, body) }
    },
    async listPresence() {
      const [parameter] = operationOf('listPresence').parameters ?? []
      const room = String(parameter?.example)
      const tokens = { rooms: [room], member: { id: 'user-7', info: { name: 'Ada' } } }
      const { token } = (await client.post('/observation/tokens', tokens)).body
      const socket = await openSocket(t, service.url, { token })
      await socket.join(room, { presence: true })
      const query = `?room=${room}`
      await until(async () => {
        const { body } = await client.get(`/observation/presence${query}`)
        return body.data.length === 1
      }, 'somebody is there')
      return { query }
    },
  }

  async function idsOf(path: string): Promise<string[]> {
    const make = records.by[path.split('/')[1] as string]
    const id = await make?.()
    return path.includes('{') ? [id as string] : []
  }

  /** An example with what it refers to there, and a receiver of the test behind its URLs. */
  async function fitted(example: unknown, members: Record<string, string> = {}): Promise<unknown> {
    const taken: Record<string, string> = { ...members }
    for (const name of Object.keys(example as Json)) {
      const make = records.by[REFERENCES[name] ?? '']
      if (make) taken[name] ??= await make()
    }
    const text = JSON.stringify(example, (name, value: unknown) =>
      typeof value === 'string' && value.startsWith('https://')
        ? records.receiver.url
        : (taken[name] ?? value),
    )
    return JSON.parse(text)
  }

  async function send(documented: Documented, mediaType?: string, example?: unknown): Promise<Answer> {
    const { operation, method, path } = documented
    const setting = (await settings[operation.operationId]?.()) ?? {}
    const ids = setting.ids ?? (await idsOf(path))
    const body = setting.body ?? (example === undefined ? undefined : await fitted(example, setting.members))
    const concrete = ids.reduce((text, id) => text.replace(/\{\w+\}/, id), path) + (setting.query ?? '')
    const answer = await call(service.url, method, concrete, {
      key: path.startsWith('/apps') ? ADMIN_KEY : client.key,
      headers: { ...(mediaType && { 'content-type': mediaType }), ...setting.headers },
      ...(body !== undefined && { body }),
    })
    check(method, path, answer)
    return answer
  }

  t.test('of bodies are taken as they stand', async (t) => {
    for (const documented of operations) {
      const { operation } = documented
      for (const { mediaType, name, value } of bodyExamples(document, operation)) {
        done.add(operation.operationId)
        const what = `${operation.operationId} ${mediaType} ${name}`
        if (value === undefined) t.fail(`${what}: there is none`)
        const { status, text } = await send(documented, mediaType, value)
        t.ok(status >= 200 && status < 300, `${what}: ${status} ${text.slice(0, 500)}`)
      }
    }
    t.ok(done.size >= 25, `${done.size} operations take bodies`)
  })

  t.test('of answers have the members of real ones', async (t) => {
    for (const documented of operations) {
      const { operationId, requestBody, responses } = documented.operation
      if (requestBody || operationId === BYTES || STREAMS.has(operationId)) continue
      done.add(operationId)
      const { status, body, text } = await send(documented)
      t.ok(status >= 200 && status < 300, `${operationId}: ${status} ${text.slice(0, 500)}`)
      if ('204' in responses || WITHOUT_EXAMPLE.has(operationId)) continue
      const example = answerExample(document, documented.operation)
      if (example === undefined) {
        t.fail(`${operationId} shows no answer`)
        continue
      }
      const real = body ?? text
      t.strictSame(membersOf(real), membersOf(example), operationId)
      const { data } = real as { data?: unknown }
      if (data) t.strictSame(membersOf(data), membersOf((example as Json)['data']), `${operationId}: data`)
    }
  })

  t.test('of streams have the form of real ones', async (t) => {
    const type = { name: 'doc.streamed', topic: 'orders/shipped', rooms: ['orders/17'] }
    await records.create('/event-types', type)
    await records.create('/events', { type: type.name, payload: { order_id: '17' } })
    for (const [id, query] of [
      ['streamEvents', `?after=0&types=${type.name}`],
      ['observeOverSse', '?rooms=orders/17&after=0'],
    ] as const) {
      done.add(id)
      const path = operations.find(({ operation }) => operation.operationId === id)?.path
      const stream = await openEventStream(t, `${service.url}${path}${query}`, client.key)
      const example = String(answerExample(document, operationOf(id)))
      const [, event, data] = /^id: \d+\nevent: ([\w.]+)\ndata: (.+)\n\n$/.exec(example) ?? []
      const wanted = id === 'streamEvents' ? type.name : event
      const real = await until(() => stream.messages.find((message) => message.event === wanted), 'it came')
      t.match(real.id, /^\d+$/)
      t.strictSame(membersOf(JSON.parse(real.data)), membersOf(JSON.parse(data as string)), id)
      stream.drop()
    }
    // Its frames are in the AsyncAPI document.
    done.add('observeOverWebSocket')
    const socket = await openSocket(t, service.url, { key: client.key })
    t.match(await socket.join('orders/17'), { type: 'joined', room: 'orders/17' })
  })

  t.test('are there for every operation', async (t) => {
    const missing = operations.map(({ operation }) => operation.operationId).filter((id) => !done.has(id))
    t.strictSame(missing, [BYTES])
  })
})
