import type { Ajv, ErrorObject, ValidateFunction } from 'ajv'
import { BudgetSpent, EvaluationBudget } from './budget.ts'
import { chargeEvaluations } from './charges.ts'
import { draftOf, type Draft } from './drafts.ts'
import { addBoundedFormats } from './formats.ts'
import { linearPatterns } from './patterns.ts'
import { refuseTooDeep, refuseUnfoldingTooFar } from './size.ts'
import { addValueKeywords } from './values.ts'

const MAX_SCHEMA_BYTES = 65_536
const MAX_VIOLATIONS = 100
const TOO_SLOW = 'evaluating the schema on this value takes too long'
const NOT_EVALUATED = 'the schema could not be evaluated on this value'
/** Of the stack, or of the code that is generated. */
const OVERFLOW = 'it is nested too deeply, has too many alternatives, or refers on too many times in a row'

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

/** Check schemas themselves; nothing is ever added to them. */
const metaSchemas = new Map<Draft, Ajv>()

/** @throws Error saying what is wrong with it */
function checkForm(schema: object | boolean, draft: Draft): void {
  const metaSchema = metaSchemas.get(draft) ?? draft.create({ strict: false, logger: false })
  metaSchemas.set(draft, metaSchema)
  const declared = typeof schema === 'object' ? { ...schema, $schema: draft.id } : schema
  if (metaSchema.validateSchema(declared) !== true)
    throw new Error(metaSchema.errorsText(metaSchema.errors, { dataVar: '' }))
}

/** A compiler of its own for each schema: what one tenant's schema defines must not reach another's. */
function newCompiler(draft: Draft, budget: EvaluationBudget): Ajv {
  const ajv = draft.create({
    strict: false,
    allErrors: true,
    ownProperties: true,
    multipleOfPrecision: 9,
    meta: false,
    validateSchema: false,
    logger: false,
    inlineRefs: false,
    code: { regExp: linearPatterns(budget) },
  })
  addBoundedFormats(ajv, budget)
  addValueKeywords(ajv, budget)
  chargeEvaluations(ajv, budget)
  return ajv
}

/**
 * Compiles a JSON Schema of draft 2020-12, or of 2019-09 or draft-07 where it says so, with formats.
 *
 * Both are bounded, whoever wrote the schema: compiling takes at most a second or so, and checking a
 * value costs at most the budget, after which it ends with a violation of its own.
 *
 * @throws SchemaError when it is not a valid schema, is of another draft, refers to other documents, is too large, unfolds to too
 *   much, or has a pattern that RE2 does not take
 */
export function compileSchema(schema: object | boolean): Validate {
  const budget = new EvaluationBudget()
  const check = compile(schema, budget)
  return (value) => {
    try {
      budget.renew()
      return check(value) ? [] : (check.errors ?? []).slice(0, MAX_VIOLATIONS).map(toViolation)
    } catch (error) {
      // a schema that refers to itself without end overflows the stack
      return [{ pointer: '', detail: error instanceof BudgetSpent ? TOO_SLOW : NOT_EVALUATED }]
    } finally {
      check.errors = null
    }
  }
}

/** The same for a schema of our own, which is compiled when it is first used: a start need not wait for it. */
export function compileWhenUsed(schema: object): Validate {
  let validate: Validate | undefined
  return (value) => (validate ??= compileSchema(schema))(value)
}

function compile(schema: object | boolean, budget: EvaluationBudget): ValidateFunction {
  try {
    refuseTooDeep(schema)
    refuseTooLong(schema)
    const draft = draftOf(schema)
    checkForm(schema, draft)
    if (typeof schema === 'object') refuseUnfoldingTooFar(schema)
    const check = newCompiler(draft, budget).compile(schema)
    if ('$async' in check) throw new Error('$async is no keyword of JSON Schema')
    return check
  } catch (error) {
    const reason = error instanceof RangeError ? OVERFLOW : (error as Error).message
    throw new SchemaError(`The schema cannot be used: ${reason}.`, { cause: error })
  }
}

function refuseTooLong(schema: object | boolean): void {
  if (Buffer.byteLength(JSON.stringify(schema)) > MAX_SCHEMA_BYTES) {
    throw new Error(`it is longer than ${MAX_SCHEMA_BYTES} bytes`)
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

/** A name as it stands in a JSON pointer. */
export const escapePointer = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1')
