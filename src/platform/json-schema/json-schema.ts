import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { RE2JS } from 're2js'
import { canonicalJson } from './canonical-json.ts'

const MAX_SCHEMA_BYTES = 65_536
const MAX_VIOLATIONS = 100

/** One way in which a value does not fit. `pointer` is a JSON pointer into the value (RFC 6901). */
export interface Violation {
  pointer: string
  detail: string
}

/** Checks a value; an empty list means that it fits. At most 100 violations are listed. */
export type Validate = (value: unknown) => Violation[]

/** A schema that cannot be used. The message says why, for the person who wrote it. */
export class SchemaError extends Error {
  override name = 'SchemaError'
}

/**
 * Patterns run on RE2, which is linear in the length of the text: no pattern can stall the process. What
 * RE2 does not have (look-around, back-references) is refused when the schema is compiled.
 */
const linearRegExp = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern))
    // Ajv keeps compiled patterns by this text.
    return { test: (text: string) => compiled.matcher(text).find(), toString: () => `/${pattern}/u` }
  },
  { code: 'linearRegExp' },
)

/** Checks schemas themselves; nothing is ever added to it. */
const metaSchema = new Ajv2020({ strict: false, logger: false })

/** A compiler of its own for each schema: what one tenant's schema defines must not reach another's. */
function newCompiler(): Ajv2020 {
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    ownProperties: true,
    multipleOfPrecision: 9,
    meta: false,
    validateSchema: false,
    logger: false,
    code: { regExp: linearRegExp },
  })
  addFormats.default(ajv)
  // Ajv's own compares every pair, which takes seconds for a payload of the largest size.
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    error: { message: 'must not have the same item twice' },
    validate: (unique: boolean, items: unknown[]) =>
      !unique || new Set(items.map(canonicalJson)).size === items.length,
  })
  return ajv
}

/**
 * Compiles a JSON Schema of draft 2020-12, with formats.
 *
 * @throws SchemaError when it is not a valid schema, refers to other documents, is too large, or has a
 *   pattern that RE2 does not take
 */
export function compileSchema(schema: object | boolean): Validate {
  if (Buffer.byteLength(JSON.stringify(schema)) > MAX_SCHEMA_BYTES) {
    throw new SchemaError(`The schema is longer than ${MAX_SCHEMA_BYTES} bytes.`)
  }
  const check = compile(schema)
  return (value) => {
    try {
      return check(value) ? [] : (check.errors ?? []).slice(0, MAX_VIOLATIONS).map(toViolation)
    } catch {
      // a schema that refers to itself without end overflows the stack
      return [{ pointer: '', detail: 'the schema could not be evaluated on this value' }]
    }
  }
}

function compile(schema: object | boolean): ValidateFunction {
  try {
    if (metaSchema.validateSchema(schema) !== true) {
      throw new Error(metaSchema.errorsText(metaSchema.errors, { dataVar: '' }))
    }
    const check = newCompiler().compile(schema)
    if ('$async' in check) throw new Error('$async is no keyword of JSON Schema')
    return check
  } catch (error) {
    throw new SchemaError(`The schema cannot be used: ${(error as Error).message}.`, { cause: error })
  }
}

/** Words for one of Ajv's errors, with a pointer to the property that is meant where there is one. */
export function toViolation(error: ErrorObject): Violation {
  const { missingProperty, additionalProperty, unevaluatedProperty } = error.params as Record<string, string>
  const property = missingProperty ?? additionalProperty ?? unevaluatedProperty
  const pointer =
    property === undefined ? error.instancePath : `${error.instancePath}/${escapePointer(property)}`
  if (missingProperty !== undefined) return { pointer, detail: 'is required' }
  if (property !== undefined) return { pointer, detail: 'is not a known property' }
  return { pointer, detail: error.message ?? error.keyword }
}

const escapePointer = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1')
