import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

export type Json = Record<string, unknown>

export interface DocumentedResponse {
  description?: string
  content?: Record<string, { schema?: Json; examples?: Record<string, { value: unknown }> }>
}

export interface Operation {
  operationId: string
  summary?: string
  tags?: string[]
  parameters?: { name: string; in: string; schema?: Json }[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Json }> }
  responses: Record<string, DocumentedResponse>
}

/** What the tests need of an OpenAPI document. */
export interface OpenApiDocument {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  webhooks: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Json> }
}

/** They answer monitors and browsers, who know nothing of problem documents. */
export const WITHOUT_PROBLEMS: readonly string[] = ['isLive', 'isReady', 'getOpenApi']

/** Every object within a value, itself first. */
export function* within(value: unknown): Generator<Json> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield value as Json
  for (const member of Object.values(value)) yield* within(member)
}

export const operationsOf = (paths: OpenApiDocument['paths']): Operation[] =>
  Object.values(paths).flatMap((methods) => Object.values(methods))

/** Checks values against the document's schemas, by references such as `document#/components/schemas/App`. */
export function createValidator(document: OpenApiDocument) {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  ;(addFormats as unknown as typeof addFormats.default)(ajv)
  ajv.addSchema(document, 'document')
  /** @returns what is wrong, in words; empty when nothing is */
  return (schema: string | Json, value: unknown): string =>
    ajv.validate(schema, value) ? '' : ajv.errorsText()
}

/** A copy in which no object may have a member that the document does not name. */
export function closed(document: OpenApiDocument): OpenApiDocument {
  const copy = structuredClone(document)
  for (const schema of within(copy))
    if (schema['type'] === 'object' && schema['properties'] && !('additionalProperties' in schema))
      schema['additionalProperties'] = false
  return copy
}
