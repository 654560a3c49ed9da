import t, { type Test } from 'tap'
import {
  closed,
  createValidator,
  operationsOf,
  WITHOUT_PROBLEMS,
  type OpenApiDocument,
} from './helpers/openapi.ts'
import { startReceiver } from './helpers/receiver.ts'
import { ADMIN_KEY, call, startService, type Answer } from './helpers/service.ts'
import { until } from './helpers/until.ts'

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'

const inPointer = (part: string): string =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

/**
 * Checks answers against what the document says of them.
 *
 * @param seen gets the id of each operation with the kind of answer, such as `getEvent 2xx`
 */
function createCheck(t: Test, document: OpenApiDocument, seen: Set<string>) {
  const violations = createValidator(closed(document))

  const wrong = (method: string, path: string, { status, headers, text, body }: Answer): string => {
    const operation = document.paths[path]?.[method]
    const response = operation?.responses[status]
    if (!operation || !response) return 'is not in the document'
    seen.add(`${operation.operationId} ${String(status)[0]}xx`)
    if (status === 204) return text === '' ? '' : 'has a body'
    const mediaType = String(headers['content-type']).split(';')[0] as string
    const content = response.content?.[mediaType]
    if (!content) return `${mediaType} is not in the document`
    const parts = ['paths', path, method, 'responses', String(status), 'content', mediaType, 'schema']
    const violation = violations(`document#/${parts.map(inPointer).join('/')}`, body)
    if (violation !== '' || status < 400 || status === 503) return violation
    const { type } = body as { type: string }
    const named = Object.keys(content.examples ?? {}).includes(type.split(':').at(-1) as string)
    return named ? '' : `${type} is not in the document`
  }
  return (method: Method, path: string, answer: Answer): void => {
    const what = wrong(method.toLowerCase(), path, answer)
    if (what !== '') t.fail(`${method} ${path} ${answer.status} ${what}`)
  }
}

t.test('real answers are as the OpenAPI document says', async (t) => {
  const service = await startService(t)
  const receiver = await startReceiver(t)
  const client = await service.client()
  const document = (await call(service.url, 'GET', '/openapi.json')).body as OpenApiDocument
  const seen = new Set<string>()
  const check = createCheck(t, document, seen)

  /** Sends a request. @param path a path of the document, maybe with a query; `ids` go where it has parameters */
  async function send(
    method: Method,
    path: string,
    ids: string[] = [],
    body?: unknown,
    contentType?: string,
  ) {
    const concrete = ids.reduce((text, id) => text.replace(/\{\w+\}/, id), path)
    const answer = await call(service.url, method, concrete, {
      key: path.startsWith('/apps') ? ADMIN_KEY : client.key,
      ...(body !== undefined && { body }),
      ...(contentType !== undefined && { headers: { 'content-type': contentType } }),
    })
    check(method, path.split('?')[0] as string, answer)
    return answer.body
  }

  const destination = { type: 'webhook', url: receiver.url }
  const event = {
    type: 'doc.type',
    payload: { x: 1 },
    edges: [{ type: 'sent_by', targetType: 'user', targetId: '1' }],
    externalId: 'A-1',
    orgid: 'o',
  }

  t.test('when things work', async (t) => {
    await send('GET', '/health/live')
    await send('GET', '/health/ready')
    const app = await send('POST', '/apps', [], { name: 'documented' })
    const newKey = { name: 'second', scopes: ['events:read'] }
    const key = await send('POST', '/apps/{appId}/api-keys', [app.id], newKey)
    await send('DELETE', '/apps/{appId}/api-keys/{keyId}', [app.id, key.id])
    await send('GET', '/apps/{appId}/api-keys', [app.id])
    await send('GET', '/apps/{appId}', [app.id])
    await send('GET', '/apps?limit=1')

    const jsonSchema = { type: 'object', required: ['x'], properties: { x: { minimum: 1 } } }
    const type = await send('POST', '/event-types', [], { name: 'doc.type', jsonSchema, description: 'x' })
    await send('PATCH', '/event-types/{id}', [type.id], { enforceValidation: true, domain: 'd' })
    await send('GET', '/event-types/{id}', [type.id])
    await send('GET', '/event-types?limit=100')

    const newSubscription = { name: 's', eventPatterns: ['doc.*'], destination }
    const subscription = await send('POST', '/subscriptions', [], newSubscription)
    await send('PATCH', '/subscriptions/{id}', [subscription.id], { name: 't' })
    await send('GET', '/subscriptions/{id}', [subscription.id])
    await send('GET', '/subscriptions')

    receiver.answer = (response) => response.writeHead(receiver.received.length === 1 ? 500 : 200).end('body')
    const { id } = await send('POST', '/events', [], event)
    await send('POST', '/events', [], event)
    const child = { ...event, originEventId: id }
    const children = [
      { ...child, externalId: 'A-2' },
      { ...child, externalId: 'A-3' },
    ]
    await send('POST', '/events/batch', [], { events: children })
    await send('POST', '/events/batch', [], { events: children })
    const delivery = await until(async () => {
      const { data } = await send('GET', '/events/{id}/deliveries', [id])
      return data[0]?.status === 'succeeded' && data[0]
    }, 'it was delivered')
    await send('GET', '/events/{id}', [id])
    await send('GET', '/events?limit=2')
    await send('GET', '/deliveries/{id}', [delivery.id])
    await send('GET', '/deliveries/{id}/attempts', [delivery.id])
    const all = await until(async () => {
      const { data } = await send('GET', '/deliveries')
      return data.every(({ status }: { status: string }) => status === 'succeeded') && data
    }, 'all were delivered')
    for (const { id: deliveryId } of all) await send('GET', '/deliveries/{id}/attempts', [deliveryId])
    t.ok(receiver.received.length >= 4, 'one of them at the second attempt')
    await send('DELETE', '/subscriptions/{id}', [subscription.id])
    await send('DELETE', '/event-types/{id}', [type.id])
  })

  t.test('when they do not', async () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const name of Object.keys(methods)) {
        const method = name.toUpperCase() as Method
        const takesBody = methods[name]?.requestBody !== undefined
        if (path.includes('{')) {
          await send(method, path, [UNKNOWN_ID, '0'.repeat(16)], takesBody ? { name: 'x' } : undefined)
          await send(method, path, ['x', 'y'], takesBody ? { name: 'x' } : undefined)
        }
        if (!takesBody) continue
        for (const body of ['{', '[]', {}, { nothing: 1 }, '']) await send(method, path, [UNKNOWN_ID], body)
        await send(method, path, [UNKNOWN_ID], '<a/>', 'application/xml')
      }
    }
    for (const list of ['/events', '/event-types', '/subscriptions', '/deliveries', '/apps']) {
      await send('GET', `${list}?limit=0`)
      await send('GET', `${list}?after=x`)
    }
    const refused = [
      { ...event, orgid: 'other' },
      { type: 'system.x', payload: {} },
      { type: 'a.b', payload: {}, originEventId: UNKNOWN_ID },
      { type: 'a.b', payload: { x: 'y'.repeat(300_000) } },
    ]
    for (const body of refused) {
      await send('POST', '/events', [], body)
      await send('POST', '/events/batch', [], { events: [body] })
    }
    for (const type of [{ name: 'order.placed' }, { name: 'user.x' }, { name: 'a', jsonSchema: { type: 1 } }])
      await send('POST', '/event-types', [], type)
    const withPassword = { type: 'webhook', url: 'http://u:p@example.com/' }
    const subscription = { name: 's', eventPatterns: ['*'], destination: withPassword }
    await send('POST', '/subscriptions', [], subscription)
  })

  t.test('and no operation was left out', async (t) => {
    const ids = operationsOf(document.paths).map(({ operationId }) => operationId)
    const unseen = (kind: string, without: readonly string[]): string[] =>
      ids.filter((id) => !without.includes(id) && !seen.has(`${id} ${kind}`))
    // The stream does not end, and the document has no schema of its own.
    t.strictSame(unseen('2xx', ['streamEvents', 'getOpenApi']), [], 'each was seen to work')
    t.strictSame(unseen('4xx', ['streamEvents', ...WITHOUT_PROBLEMS]), [], 'and to refuse')
  })
})
