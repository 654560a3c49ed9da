import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { RE2JS } from 're2js'

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
    return { test: (text: string) => compiled.matcher(text).find() }
  },
  { code: 'linearRegExp' },
)

const ajv = new Ajv2020({
  strict: false,
  allErrors: true,
  addUsedSchema: false,
  code: { regExp: linearRegExp },
})
;(addFormats as unknown as typeof addFormats.default)(ajv)

/**
 * Compiles a JSON Schema of draft 2020-12, with formats.
 *
 * @throws SchemaError when it is not a valid schema, refers to other documents, is too large, or has a
 *   pattern that RE2 does not take
 */
export function compileSchema(schema: object | boolean): Validate {
  if (JSON.stringify(schema).length > MAX_SCHEMA_BYTES) {
    throw new SchemaError(`The schema is longer than ${MAX_SCHEMA_BYTES} bytes.`)
  }
  let check: ReturnType<typeof ajv.compile>
  try {
    check = ajv.compile(schema)
  } catch (error) {
    throw new SchemaError(`The schema cannot be used: ${(error as Error).message}.`, { cause: error })
  } finally {
    if (typeof schema === 'object') ajv.removeSchema(schema)
  }
  return (value) => {
    try {
      return check(value) ? [] : (check.errors ?? []).slice(0, MAX_VIOLATIONS).map(toViolation)
    } catch {
      // a schema that refers to itself without end overflows the stack
      return [{ pointer: '', detail: 'the schema could not be evaluated on this value' }]
    }
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
