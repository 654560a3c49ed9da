import { follow, type Json, type OpenApiDocument, type Operation } from './openapi.ts'

/** A body that the document shows, and how it is sent. */
export interface BodyExample {
  mediaType: string
  /** What it shows, where there are several. */
  name: string
  value: unknown
}

/** What a schema shows as a whole: its own example, or one made of those of its parts; undefined if a part has none. */
export function exampleOf(document: OpenApiDocument, schema: Json | undefined): unknown {
  if (!schema) return undefined
  const { examples, $ref, type, items, properties, anyOf, enum: values } = schema
  if (Array.isArray(examples)) return examples[0]
  if (typeof $ref === 'string') return exampleOf(document, follow(document, $ref) as Json)
  if (Array.isArray(values)) return values[0]
  if (type === 'boolean') return true
  if (type === 'null') return null
  if (Array.isArray(anyOf)) return exampleOf(document, anyOf[0] as Json)
  if (type === 'array') {
    const element = exampleOf(document, items as Json)
    return element === undefined ? undefined : [element]
  }
  if (type !== 'object' || !properties) return undefined
  const members = Object.entries(properties as Record<string, Json>).map(
    ([name, part]) => [name, exampleOf(document, part)] as const,
  )
  return members.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(members)
}

/** Every example of the bodies that an operation takes, and one for each media type at least, or a value undefined. */
export function bodyExamples(document: OpenApiDocument, { requestBody }: Operation): BodyExample[] {
  return Object.entries(requestBody?.content ?? {}).flatMap(([mediaType, { schema, example, examples }]) =>
    examples
      ? Object.entries(examples).map(([name, { value }]) => ({ mediaType, name, value }))
      : [{ mediaType, name: 'example', value: example ?? exampleOf(document, schema) }],
  )
}

/** What an operation is shown to answer, in its first media type; undefined where that is not shown. */
export function answerExample(document: OpenApiDocument, { responses }: Operation): unknown {
  const [, success] = Object.entries(responses).find(([status]) => status.startsWith('2')) ?? []
  const [media] = Object.values(success?.content ?? {})
  return media?.example ?? exampleOf(document, media?.schema)
}

/** Names of a value's members, and of those of the first element of each list: what an example promises. */
export function membersOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(membersOf)
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.keys(value).toSorted()
}
