import type { ErrorObject } from 'ajv'

/** The schema that was not met, where the validator tells it. */
interface Described {
  examples?: unknown[]
  description?: string
}

const ARTICLES: Record<string, string> = {
  object: 'an object',
  array: 'an array',
  integer: 'an integer',
  null: 'null',
}
const withArticle = (type: string): string => ARTICLES[type] ?? `a ${type}`

const count = (limit: unknown, one: string): string => `${String(limit)} ${one}${limit === 1 ? '' : 's'}`

/** Text without zero characters and halves of surrogate pairs, whatever else it is. */
const NOT_STORABLE = String.raw`\u0000\ud800-\udfff`

/** Nobody should have to read a pattern: what it means is said by an example, or by what the schema says of itself. */
function formOf({ params, parentSchema, data }: ErrorObject): string {
  const { examples = [], description } = (parentSchema ?? {}) as Described
  const pattern = String(params['pattern'])
  if (pattern.includes(NOT_STORABLE) && typeof data === 'string' && /\0|\p{Surrogate}/u.test(data))
    return 'must not hold a zero character or half of a surrogate pair'
  const example = examples.find((one) => typeof one === 'string')
  if (example !== undefined) return `does not have the form it must have, such as ${JSON.stringify(example)}`
  if (description !== undefined) return `does not have the form it must have: ${description}`
  return 'holds characters that cannot be taken here, or not in this order'
}

/** What a value must be, by the keyword of a schema that it does not meet. */
const WORDS: Record<string, (error: ErrorObject) => string> = {
  type: ({ params }) => `must be ${[params['type']].flat().map(String).map(withArticle).join(' or ')}`,
  const: ({ params }) => `must be ${JSON.stringify(params['allowedValue'])}`,
  minLength: ({ params }) =>
    params['limit'] === 1 ? 'must not be empty' : `must have at least ${count(params['limit'], 'character')}`,
  maxLength: ({ params }) => `must have at most ${count(params['limit'], 'character')}`,
  minItems: ({ params }) =>
    params['limit'] === 1 ? 'must not be empty' : `must have at least ${count(params['limit'], 'item')}`,
  maxItems: ({ params }) => `must have at most ${count(params['limit'], 'item')}`,
  minProperties: ({ params }) =>
    params['limit'] === 1
      ? 'must have a member at least'
      : `must have at least ${count(params['limit'], 'member')}`,
  maxProperties: ({ params }) => `must have at most ${count(params['limit'], 'member')}`,
  minimum: ({ params }) => `must be at least ${String(params['limit'])}`,
  maximum: ({ params }) => `must be at most ${String(params['limit'])}`,
  exclusiveMinimum: ({ params }) => `must be more than ${String(params['limit'])}`,
  exclusiveMaximum: ({ params }) => `must be less than ${String(params['limit'])}`,
  multipleOf: ({ params }) => `must be a multiple of ${String(params['multipleOf'])}`,
  uniqueItems: () => 'must not hold anything twice',
  format: ({ params }) => FORMATS[String(params['format'])] ?? `must be a ${String(params['format'])}`,
  pattern: formOf,
  anyOf: () => 'is none of the things that it may be',
  oneOf: () => 'is none of the things that it may be',
  not: () => 'is something that it must not be',
}

const FORMATS: Record<string, string> = {
  'date-time': 'must be a time such as 2026-01-31T12:00:00Z',
  date: 'must be a date such as 2026-01-31',
  email: 'must be an address such as ada@example.com',
  uri: 'must be a URL',
  uuid: 'must be a UUID',
}

/** What is wrong with a value of a request, as a person says it; undefined for what is said elsewhere. */
export const constraintInWords = (error: ErrorObject): string | undefined => WORDS[error.keyword]?.(error)
