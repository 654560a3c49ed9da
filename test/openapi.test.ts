import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  createValidator,
  follow,
  operationsOf,
  within,
  WITHOUT_PROBLEMS,
  type Json,
  type OpenApiDocument,
} from './helpers/openapi.ts'
import { faultsOfForm } from './helpers/openapi-form.ts'
import { call, startService } from './helpers/service.ts'

const FILE = join(import.meta.dirname, '../openapi/openapi.json')

t.test('the OpenAPI document', async (t) => {
  const service = await startService(t, { worker: false })
  const served = await call(service.url, 'GET', '/openapi.json')
  const document = served.body as OpenApiDocument
  const operations = operationsOf(document.paths)

  t.test('is the committed one', async (t) => {
    t.match(served.headers['content-type'], /^application\/json/)
    const committed = JSON.parse(await readFile(FILE, 'utf8')) as unknown
    t.strictSame(committed, document, '`npm run generate` brings it up to date')
  })

  t.test('is OpenAPI 3.1 with webhooks', async (t) => {
    t.match(document.openapi, /^3\.1\.\d+$/)
    const [webhook] = operationsOf(document.webhooks)
    t.equal(webhook?.operationId, 'receiveEvent')
    const headers = webhook?.parameters?.map(({ name }) => name)
    t.strictSame(headers, ['webhook-id', 'webhook-timestamp', 'webhook-signature'])
    const schema = webhook?.requestBody?.content['application/json']?.schema
    t.strictSame(
      Object.keys((schema?.['properties'] ?? {}) as Json).toSorted(),
      ['app_id', 'created_at', 'edge_list', 'edges', 'event_id', 'event_type', 'payload'],
      'the body of SPEC section 3',
    )
  })

  t.test('has the form that OpenAPI and JSON Schema give it', async (t) => {
    t.strictSame(faultsOfForm(document), [])
    const schemes = Object.keys(document.components.securitySchemes)
    for (const { operationId, security = [] } of operations)
      for (const name of security.flatMap((alternative) => Object.keys(alternative)))
        t.ok(schemes.includes(name), `${operationId} names a scheme that there is`)
    const broken = { ...document, paths: { '/broken': { get: { responses: { 20: {} } } } } }
    const fault = '/paths/~1broken/get/responses must NOT have additional properties'
    t.strictSame(faultsOfForm(broken), [fault], 'a fault is found')
  })

  t.test('refers only to what is in it', async (t) => {
    for (const { $ref } of within(document)) {
      if (typeof $ref !== 'string') continue
      if (typeof follow(document, $ref) !== 'object') t.fail(`${$ref} leads nowhere`)
    }
    t.ok(Object.keys(document.components.schemas).length >= 10)
  })

  t.test('describes every operation', async (t) => {
    const ids = operations.map(({ operationId }) => operationId)
    t.equal(new Set(ids).size, ids.length, 'operationIds are unique')
    for (const { operationId, summary, description, tags = [], parameters = [], responses } of operations) {
      const statuses = Object.keys(responses)
      t.strictSame(
        {
          name: /^[a-z][A-Za-z]+$/.test(operationId),
          summary: /\S/.test(summary ?? ''),
          purpose: /^[A-Z].{30,}[.)]$/s.test(description ?? ''),
          tag: tags.length > 0,
          typedParameters: parameters.every(({ schema }) => schema?.['type'] ?? schema?.['anyOf']),
          success: statuses.some((status) => status.startsWith('2') || status === '101'),
        },
        { name: true, summary: true, purpose: true, tag: true, typedParameters: true, success: true },
        operationId,
      )
    }
    for (const [path, methods] of Object.entries(document.paths)) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      for (const { parameters = [] } of Object.values(methods)) {
        const inPath = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
        t.strictSame(inPath, names, `what stands in ${path}`)
      }
    }
  })

  t.test('says of each part what it is for, in the order in which one reads', async (t) => {
    const declared = document.tags.map(({ name }) => name)
    t.strictSame(declared.slice(0, 4), ['Events', 'Event types', 'Subscriptions', 'Deliveries'])
    for (const { name, description } of document.tags) t.match(description, /^[A-Z].{20,}\.$/, name)
    const used = [...operations, ...operationsOf(document.webhooks)].flatMap(({ tags = [] }) => tags)
    t.strictSame([...new Set(used)].toSorted(), declared.toSorted(), 'each has operations, and no other')
  })

  t.test('has events in the media types that they are taken and answered in', async (t) => {
    const one = ['application/cloudevents+json', 'application/json']
    const several = ['application/cloudevents-batch+json', 'application/json']
    const either = [...new Set([...one, ...several])].toSorted()
    const mediaTypes = (content?: Record<string, unknown>): string[] => Object.keys(content ?? {}).toSorted()
    const taken: Record<string, string[]> = { appendEvent: either, appendEvents: several }
    const answered: Record<string, string[]> = {
      // A batch may be sent to it too, and is answered as one.
      appendEvent: either,
      appendEvents: several,
      listEvents: several,
      listChildren: several,
      getEvent: one,
      reportStatus: one,
      sendMessage: one,
    }
    const operation = (id: string) => operations.find(({ operationId }) => operationId === id)
    for (const [id, expected] of Object.entries(taken))
      t.strictSame(mediaTypes(operation(id)?.requestBody?.content), expected, `${id} takes`)
    for (const [id, expected] of Object.entries(answered)) {
      const responses = Object.entries(operation(id)?.responses ?? {})
      const good = responses.filter(([status]) => status.startsWith('2'))
      t.ok(good.length > 0, id)
      for (const [status, { content }] of good)
        t.strictSame(mediaTypes(content), expected, `${id} answers ${status}`)
    }
  })

  t.test('has errors as problem documents, each with an example that fits', async (t) => {
    const violations = createValidator(document)
    for (const { operationId, responses, requestBody } of operations) {
      if (WITHOUT_PROBLEMS.includes(operationId)) continue
      const errors = Object.entries(responses).filter(([status]) => /^[45]/.test(status))
      const statuses = new Set(errors.map(([status]) => status))
      const due = ['401', '403', '500', '503', ...(requestBody ? ['400', '413', '415'] : [])]
      const missing = due.filter((status) => !statuses.has(status))
      t.strictSame(missing, [], `${operationId}: no error is left out`)
      const wrong = errors.flatMap(([status, { description = '', content = {} }]) => {
        const { schema, examples = {} } = content['application/problem+json'] ?? {}
        const values = Object.values(examples).map(({ value }) => value as Json)
        const right =
          Object.keys(content).length === 1 &&
          schema?.['$ref'] === '#/components/schemas/Problem' &&
          description !== '' &&
          values.length > 0 &&
          values.every((value) => value['status'] === Number(status)) &&
          values.every((value) => violations('document#/components/schemas/Problem', value) === '')
        return right ? [] : status
      })
      t.strictSame(wrong, [], `${operationId}: each is a problem document`)
    }
  })

  t.test('has examples that fit their schemas', async (t) => {
    const violations = createValidator(document)
    let count = 0
    for (const { examples, ...schema } of within(document)) {
      if (!Array.isArray(examples)) continue
      for (const example of examples as unknown[]) {
        count += 1
        const what = violations(schema, example)
        if (what !== '') t.fail(`${JSON.stringify(example)}: ${what}`)
      }
    }
    t.ok(count > 20)
  })
})
