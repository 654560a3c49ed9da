import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Test } from 'tap'
import type { Answer } from './service.ts'

export type Json = Record<string, unknown>

export interface Media {
  schema?: Json
  example?: unknown
  examples?: Record<string, { value: unknown }>
}

export interface DocumentedResponse {
  description?: string
  content?: Record<string, Media>
}

export interface Operation {
  operationId: string
  summary?: string
  description?: string
  tags?: string[]
  parameters?: { name: string; in: string; schema?: Json; example?: unknown }[]
  requestBody?: { required?: boolean; content: Record<string, Media> }
  responses: Record<string, DocumentedResponse>
  security?: Record<string, string[]>[]
}

/** What the tests need of an OpenAPI document. */
export interface OpenApiDocument {
  openapi: string
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, Operation>>
  webhooks: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Json>; securitySchemes: Record<string, Json> }
}

/** They answer monitors and browsers, who know nothing of problem documents. */
export const WITHOUT_PROBLEMS: readonly string[] = [
  'isLive',
  'isReady',
  'getOpenApi',
  'getAsyncApi',
  'getBrowserClient',
]

/** Every object within a value, itself first. */
export function* within(value: unknown): Generator<Json> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield value as Json
  for (const member of Object.values(value)) yield* within(member)
}

/** What a reference such as `#/components/schemas/App` leads to; undefined when that is nowhere. */
export function follow(document: OpenApiDocument, reference: string): unknown {
  const path = reference.replace(/^#\//, '').split('/')
  return path.reduce<unknown>((value, part) => (value as Json | undefined)?.[part], document)
}

export const operationsOf = (paths: OpenApiDocument['paths']): Operation[] =>
  Object.values(paths).flatMap((methods) => Object.values(methods))

/** A part of the document, that refers to other parts of it from wherever it stands. */
const inDocument = (schema: Json): Json =>
  JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/')) as Json

/** Checks values against the document's schemas, by references such as `document#/components/schemas/App`. */
export function createValidator(document: OpenApiDocument) {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  ;(addFormats as unknown as typeof addFormats.default)(ajv)
  ajv.addSchema(document, 'document')
  /** @returns what is wrong, in words; empty when nothing is */
  return (schema: string | Json, value: unknown): string =>
    ajv.validate(typeof schema === 'string' ? schema : inDocument(schema), value) ? '' : ajv.errorsText()
}

/** A copy in which no object may have a member that the document does not name; of alternatives each is closed. */
export function closed(document: OpenApiDocument): OpenApiDocument {
  const copy = structuredClone(document)
  for (const schema of within(copy))
    if (
      schema['type'] === 'object' &&
      schema['properties'] &&
      !schema['oneOf'] &&
      !('additionalProperties' in schema)
    )
      schema['additionalProperties'] = false
  return copy
}

const inPointer = (part: string): string =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

/**
 * Checks answers against what the document says of them.
 *
 * @param seen gets the id of each operation with the kind of answer, such as `getEvent 2xx`, and with its
 *   media type, such as `getEvent application/json`
 */
export function createAnswerCheck(t: Test, document: OpenApiDocument, seen: Set<string>) {
  const violations = createValidator(closed(document))

  const wrong = (method: string, path: string, { status, headers, text, body }: Answer): string => {
    const operation = document.paths[path]?.[method]
    const response = operation?.responses[status]
    if (!operation || !response) return 'is not in the document'
    seen.add(`${operation.operationId} ${String(status)[0]}xx`)
    if (status === 204) return text === '' ? '' : 'has a body'
    const mediaType = String(headers['content-type']).split(';')[0] as string
    const documented = response.content?.[mediaType] ? mediaType : '*/*'
    const content = response.content?.[documented]
    if (!content) return `${mediaType} is not in the document`
    if (status < 300) seen.add(`${operation.operationId} ${mediaType}`)
    const parts = ['paths', path, method, 'responses', String(status), 'content', documented, 'schema']
    const value: unknown = mediaType.endsWith('json') ? body : text
    const violation = violations(`document#/${parts.map(inPointer).join('/')}`, value)
    if (violation !== '' || status < 400 || status === 503) return violation
    const { type } = body as { type: string }
    const named = Object.keys(content.examples ?? {}).includes(type.split(':').at(-1) as string)
    return named ? '' : `${type} is not in the document`
  }
  return (method: string, path: string, answer: Answer): void => {
    const what = wrong(method.toLowerCase(), path, answer)
    if (what !== '') t.fail(`${method} ${path} ${answer.status} ${what}`)
  }
}
