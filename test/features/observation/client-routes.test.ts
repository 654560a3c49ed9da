import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import t from 'tap'
import { follow, within, type Json, type OpenApiDocument } from '../../helpers/openapi.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { call, startService } from '../../helpers/service.ts'

const ROOT = join(import.meta.dirname, '../../..')
const FORM = '@asyncapi/specs/schemas/3.0.0-without-$id.json'

interface Message {
  name: string
  payload: Json
  headers?: Json
  examples: { payload: unknown; headers?: unknown }[]
}
interface Document {
  asyncapi: string
  channels: Record<string, { address?: string; messages: Record<string, { $ref: string }> }>
  operations: Record<string, { action: string; channel: { $ref: string }; messages: { $ref: string }[] }>
  components: { messages: Record<string, Message> }
}

t.test('the AsyncAPI document', async (t) => {
  const service = await startService(t, { worker: false })
  const served = await call(service.url, 'GET', '/asyncapi.json')
  const document = served.body as Document
  const messages = Object.values(document.components.messages)

  t.test('is the committed one', async (t) => {
    t.match(served.headers['content-type'], /^application\/json/)
    const committed = JSON.parse(await readFile(join(ROOT, 'openapi/asyncapi.json'), 'utf8')) as unknown
    t.strictSame(committed, document, '`npm run generate` brings it up to date')
  })

  t.test('has the form that AsyncAPI 3 gives it', async (t) => {
    const ajv = new Ajv({ strict: false, allErrors: true })
    addFormats.default(ajv)
    const fits = ajv.compile(JSON.parse(await readFile(createRequire(import.meta.url).resolve(FORM), 'utf8')))
    fits(document)
    t.strictSame(fits.errors ?? [], [])
    t.notOk(fits({ ...document, channels: { broken: { address: 5 } } }), 'a fault is found')
  })

  t.test('refers only to what is in it, and to all of it', async (t) => {
    const references = [...within(document)].flatMap(({ $ref }) => (typeof $ref === 'string' ? [$ref] : []))
    for (const reference of references)
      // The addresses of channels are not in references, so that none holds a `/`.
      if (typeof follow(document as unknown as OpenApiDocument, reference) !== 'object')
        t.fail(`${reference} leads nowhere`)
    for (const { name } of messages)
      t.ok(references.includes(`#/components/messages/${name}`), `${name} belongs to a channel`)
    for (const [channel, { messages: named }] of Object.entries(document.channels))
      for (const name of Object.keys(named))
        t.ok(references.includes(`#/channels/${channel}/messages/${name}`), `${name} belongs to an operation`)
  })

  t.test('tells of WebSocket, server-sent events and webhooks', async (t) => {
    const addresses = Object.values(document.channels).map(({ address }) => address)
    t.strictSame(addresses, ['/observation/ws', '/observation/sse', '/events/stream', undefined])
    const received = Object.values(document.operations).filter(({ action }) => action === 'receive')
    t.equal(received.length, 6, 'one operation for each of the client’s frames')
  })

  t.test('has examples that fit', async (t) => {
    const ajv = new Ajv2020({ strict: false, allErrors: true })
    addFormats.default(ajv)
    ajv.addSchema(document, 'document')
    for (const { name, examples, headers } of messages) {
      t.ok(examples.length > 0, `${name} has examples`)
      for (const example of examples)
        for (const part of headers ? (['payload', 'headers'] as const) : (['payload'] as const)) {
          const fits = ajv.validate(`document#/components/messages/${name}/${part}`, example[part])
          t.ok(fits, `${name}, ${part}: ${ajv.errorsText()}`)
        }
    }
    for (const { examples, ...schema } of within(document.components.messages)) {
      if (!Array.isArray(examples) || 'payload' in schema) continue
      for (const example of examples as unknown[])
        if (!ajv.validate(schema, example)) t.fail(`${JSON.stringify(example)}: ${ajv.errorsText()}`)
    }
  })
})

t.test('the client for browsers', async (t) => {
  const { url } = await startService(t, { worker: false })
  const names = ['observer.js', 'link.js', 'rooms.js', 'watch.js']
  for (const name of names) {
    const path = `/observation/client/${name}`
    const { status, headers, text } = await call(url, 'GET', path)
    t.equal(status, 200)
    t.match(headers, {
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=300',
      // Modules are loaded from any page.
      'access-control-allow-origin': '*',
    })
    t.equal(text, await readFile(join(ROOT, 'clients/browser/modules', name), 'utf8'))
    for (const [, imported] of text.matchAll(/from '\.\/([^']+)'/g))
      t.ok(names.includes(imported as string), `${name} imports ${imported}, which is served`)
    const again = await call(url, 'GET', path, { headers: { 'if-none-match': String(headers.etag) } })
    t.strictSame([again.status, again.text, again.headers.etag], [304, '', headers.etag])
    const other = await call(url, 'GET', path, { headers: { 'if-none-match': '"other"' } })
    t.equal(other.status, 200)
  }
  for (const name of ['other.js', 'observer.ts', '..%2fobserver.ts', '..%2f..%2f..%2fpackage.json'])
    expectProblem(
      t,
      await call(url, 'GET', `/observation/client/${name}`),
      { status: 404, type: 'not-found' },
      name,
    )
})
