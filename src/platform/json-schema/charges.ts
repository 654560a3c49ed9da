import { _, type Ajv, type Code, type KeywordCxt, Name } from 'ajv'
import compilerNames from 'ajv/dist/compile/names.js'
import type { Rule } from 'ajv/dist/compile/rules.js'
import { UNITS_PER_ERROR, UNITS_PER_PASSING_ERROR, UNITS_PER_MERGE, type EvaluationBudget } from './budget.ts'

const names = compilerNames.default

/** No keyword of JSON Schema; a schema that has it is none the wiser. */
const HOOK = 'heliograph:budget'

/**
 * Subschemas compiled for one schema, each as often as the compiler comes by: more than 64 KiB can hold,
 * unless references lead into their own depths again and again. Measured: 50 to 150 microseconds apiece.
 */
const MAX_COMPILED = 10_000
/** What a reference leads to becomes a function of its own, which takes the compiler as long as so many. */
const COMPILED_PER_FUNCTION = 8

/** The compiler takes the square of this: 200 ms. */
const MAX_NAMES_COMPARED = 1_000

/** A call of a function that a reference leads to. */
const UNITS_PER_CALL = 12

/**
 * V8 leaves a large function to its interpreter, which is several times slower: each subschema costs one unit
 * more for so many (as a power of two) that were compiled before.
 */
const COMPILED_SHIFT = 9

type Coded = (cxt: KeywordCxt, ruleType?: string) => void

/**
 * Makes all that Ajv compiles from here on pay for itself while it runs.
 *
 * It hooks into the compiler and leaves the schema alone: whatever Ajv takes for a subschema pays, wherever
 * a reference found it, in data or below an unknown keyword. To be used with `allErrors` and without
 * `inlineRefs`.
 */
export function chargeEvaluations(ajv: Ajv, budget: EvaluationBudget): void {
  const charges = new Charges(budget)
  const everyKeyword = Object.keys(ajv.RULES.all)
  const hook = (code: Coded): Rule => ({
    keyword: HOOK,
    definition: { keyword: HOOK, type: [], schemaType: [], implements: everyKeyword, code },
  })
  // Into the first group, not before it: within `not` Ajv stops between groups once there is an error.
  ajv.RULES.rules[0]?.rules.unshift(hook((cxt) => charges.enter(cxt)))
  ajv.RULES.rules.push({ rules: [hook((cxt) => charges.leave(cxt))] })
  for (const [keyword, chargeOf] of Object.entries(WORK)) {
    surround(ajv, keyword, (cxt, code) => {
      cxt.gen.code(_`${charges.name(cxt)}.${chargeOf(cxt)};`)
      code()
    })
  }
  for (const keyword of ['dependentRequired', 'dependencies']) {
    surround(ajv, keyword, (cxt, code) => charges.lists(cxt, code))
  }
  surround(ajv, 'allOf', (cxt, code) => charges.merge(cxt, code))
  for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef']) {
    surround(ajv, keyword, (cxt, code) => charges.call(cxt, code))
  }
}

const NOT_IN_EVERY_DRAFT = new Set([
  'additionalItems',
  'dependentRequired',
  'unevaluatedItems',
  'unevaluatedProperties',
  '$dynamicRef',
  '$recursiveRef',
])

function surround(ajv: Ajv, keyword: string, around: (cxt: KeywordCxt, code: () => void) => void): void {
  const rule = ajv.RULES.all[keyword]
  if (rule === undefined && NOT_IN_EVERY_DRAFT.has(keyword)) return
  if (typeof rule !== 'object' || !('code' in rule.definition)) throw new Error(`Ajv has no ${keyword}`)
  const { definition } = rule
  const code: Coded = definition.code
  definition.code = (cxt: KeywordCxt, ruleType?: string) => around(cxt, () => code(cxt, ruleType))
}

/**
 * Writes calls, and neither branches nor variables: V8's compilers keep every variable for every branch of a
 * function, which took more than a gigabyte for a thousand subschemas.
 */
class Charges {
  readonly #budget: EvaluationBudget
  /** A constant in each alternative: how many errors there were before it. */
  readonly #errorsBefore = new WeakMap<object, Name>()
  /** Subschemas whose parts are being merged into them, the innermost last. */
  readonly #merging: KeywordCxt['it'][] = []
  #compiled = 0

  constructor(budget: EvaluationBudget) {
    this.#budget = budget
  }

  name({ gen }: KeywordCxt): Name {
    return gen.scopeValue('obj', { ref: this.#budget })
  }

  /** Before a subschema's keywords; its type has been looked at by then. */
  enter(cxt: KeywordCxt): void {
    const { gen, it } = cxt
    const isFunction = it.schema === it.schemaEnv.schema
    this.#compile((isFunction ? COMPILED_PER_FUNCTION : 1) + nestedAlternatives(cxt))
    const name = this.name(cxt)
    if (isFunction) gen.code(_`${name}.settle(0);`)
    const units = ownUnits(cxt) + (this.#compiled >> COMPILED_SHIFT)
    gen.code(_`${name}.enter(${units}, ${names.errors});`)
    if (it.compositeRule) this.#errorsBefore.set(it, gen.const('_before', names.errors))
  }

  /** After a subschema's keywords: pays for the errors it made, and for what its parent will merge. */
  leave(cxt: KeywordCxt): void {
    const { gen, it } = cxt
    const name = this.name(cxt)
    this.#payErrors(cxt)
    if (it.props instanceof Name) gen.code(_`${name}.spendOnNames(${it.props});`)
    this.#compile(this.#mergeCost())
    const known = staticNames(it)
    if (known === 0) return
    this.#compile(known >> 2)
    const before = this.#errorsBefore.get(it)
    if (before) gen.code(_`${name}.spend(${names.errors} === ${before} ? ${known * UNITS_PER_MERGE} : 0);`)
  }

  /**
   * A reference. Ajv copies all errors so far for each one that fails; here only the new ones are moved, so
   * a list whose every item fails takes time in proportion to its length.
   */
  call(cxt: KeywordCxt, code: () => void): void {
    const { gen, it } = cxt
    const name = this.name(cxt)
    this.#compile(this.#mergeCost())
    gen.code(_`${name}.spend(${UNITS_PER_CALL});`)
    this.#payErrors(cxt)
    if (!it.allErrors) {
      // Within `not` and `if`, what follows is not run when the reference fails: the copy has to be paid for.
      gen.code(_`${name}.spendOnCopy(${names.vErrors});`)
      code()
      return
    }
    const held = gen.const('_held', names.vErrors)
    gen.assign(names.vErrors, null)
    code()
    gen.assign(names.vErrors, _`${name}.joined(${held}, ${names.vErrors})`)
    gen.assign(names.errors, _`${names.vErrors} === null ? 0 : ${names.vErrors}.length`)
    // The function that was called has paid for its own.
    gen.code(_`${name}.settle(${names.errors});`)
  }

  #payErrors(cxt: KeywordCxt): void {
    const each = cxt.it.compositeRule ? UNITS_PER_PASSING_ERROR : UNITS_PER_ERROR
    cxt.gen.code(_`${this.name(cxt)}.payErrors(${names.errors}, ${each});`)
  }

  /** Every error of this keyword has all the names of its list in it. */
  lists({ schema }: KeywordCxt, code: () => void): void {
    for (const list of Object.values(schema as object) as unknown[]) {
      if (Array.isArray(list)) this.#compile((list.length * list.join().length) >> 10)
    }
    code()
  }

  /** The compiler copies the names that a subschema knows already for each part of it that knows more. */
  merge({ it }: KeywordCxt, code: () => void): void {
    this.#merging.push(it)
    code()
    this.#merging.pop()
  }

  #mergeCost(): number {
    const into = this.#merging.at(-1)
    return into ? staticNames(into) >> 5 : 0
  }

  #compile(subschemas: number): void {
    this.#compiled += subschemas
    if (this.#compiled <= MAX_COMPILED) return
    throw new Error(`it comes to more than ${MAX_COMPILED} subschemas; refer less often into nested parts`)
  }
}

/** Keywords that walk over the value or calculate, and what pays for it. */
const WORK: Record<string, (cxt: KeywordCxt) => Code> = {
  multipleOf: () => _`spend(8)`,
  minLength: ({ data }) => _`spend(${data}.length >> 3)`,
  maxLength: ({ data }) => _`spend(${data}.length >> 3)`,
  minProperties: ({ data }) => _`spendOnMembers(${data}, 1, 0)`,
  maxProperties: ({ data }) => _`spendOnMembers(${data}, 1, 0)`,
  items: (cxt) => _`spend(${cxt.data}.length * ${perChild(cxt)})`,
  additionalItems: (cxt) => _`spend(${cxt.data}.length * ${perChild(cxt)})`,
  contains: (cxt) => _`spend(${cxt.data}.length * ${perChild(cxt)})`,
  unevaluatedItems: (cxt) => _`spend(${cxt.data}.length * ${perChild(cxt)})`,
  propertyNames: (cxt) => _`spendOnMembers(${cxt.data}, ${perChild(cxt)}, 0)`,
  additionalProperties: (cxt) => _`spendOnMembers(${cxt.data}, ${perChild(cxt)}, ${perName(cxt)})`,
  patternProperties: (cxt) => _`spendOnMembers(${cxt.data}, ${countIn(cxt.schema)}, ${perName(cxt)})`,
  unevaluatedProperties: (cxt) => {
    if (staticNames(cxt.it) > MAX_NAMES_COMPARED) {
      throw new Error(`unevaluatedProperties stands beside more than ${MAX_NAMES_COMPARED} known properties`)
    }
    return _`spendOnMembers(${cxt.data}, ${perChild(cxt) + (staticNames(cxt.it) >> 1)}, ${perName(cxt)})`
  },
}

const perChild = ({ schema }: KeywordCxt): number => (schema === false ? UNITS_PER_ERROR : 1)

/** How often the schema below may put a member's name into a pointer, at most: once per subschema. */
const perName = ({ schema }: KeywordCxt): number => 1 + (JSON.stringify(schema).length >> 3)

const staticNames = ({ props }: KeywordCxt['it']): number =>
  typeof props === 'object' && !(props instanceof Name) ? Object.keys(props).length : 0

/** Each alternative of a `oneOf` is nested in the code of the one before: the compiler takes the square. */
function nestedAlternatives({ it }: KeywordCxt): number {
  const alternatives: unknown = it.schema['oneOf']
  return Array.isArray(alternatives) ? (alternatives.length ** 2) >> 7 : 0
}

/** What a subschema costs by itself, whatever the value. */
function ownUnits({ it }: KeywordCxt): number {
  const { schema } = it
  let units = 1
  for (const keyword of SIZED) units += countIn(schema[keyword])
  for (const keyword of ['not', 'const', 'enum', 'if', 'then', 'else']) {
    if (schema[keyword] !== undefined) units += 2
  }
  // Errors of alternatives are mostly thrown away before anyone has counted them.
  if (it.compositeRule && schema['type'] !== undefined) units += UNITS_PER_PASSING_ERROR / 2
  for (const alternatives of [schema['anyOf'], schema['oneOf']]) {
    if (Array.isArray(alternatives))
      units += alternatives.filter((one) => one === false).length * UNITS_PER_PASSING_ERROR
  }
  return units
}

const SIZED = [
  'allOf',
  'anyOf',
  'oneOf',
  'prefixItems',
  'properties',
  'patternProperties',
  'required',
  'type',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
]

/** Entries of a list or map, and of the lists directly in it. */
function countIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce<number>(
    (count, entry) => count + 1 + (Array.isArray(entry) ? entry.length : 0),
    0,
  )
}
