import type { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import type { EvaluationBudget } from './budget.ts'

/** Measured: none of the formats but the two below takes more than 50 ns per character. */
const UNITS_PER_CHARACTER = 5

/**
 * Formats that take the square of the length, and so have the longest text that can match, in UTF-16 code
 * units. At it, the worst text takes 4 ms as a `url` and 1 ms as a `regex`.
 */
const LONGEST = new Map([
  ['url', 2_048],
  ['regex', 4_096],
])

/** What ajv-formats has for a text. */
interface TextFormat {
  validate: RegExp | ((text: string) => boolean)
  compare?: (a: string, b: string) => number | undefined
}

/** Adds the formats of ajv-formats, paid for by the length of the text. */
export function addBoundedFormats(ajv: Ajv, budget: EvaluationBudget): void {
  addFormats.default(ajv)
  // What objects have anyway is no format.
  Object.setPrototypeOf(ajv.formats, null)
  for (const [name, format] of Object.entries(ajv.formats)) {
    if (format === undefined || format === true) continue
    if (typeof format === 'object' && 'type' in format) continue
    const validate = format instanceof RegExp || typeof format === 'function'
    const text = (validate ? { validate: format } : format) as TextFormat
    ajv.addFormat(name, boundedFormat(text, LONGEST.get(name), budget))
  }
}

function boundedFormat(
  { validate, compare }: TextFormat,
  longest: number | undefined,
  budget: EvaluationBudget,
) {
  const matches = validate instanceof RegExp ? (text: string) => validate.test(text) : validate
  function pay(text: string): void {
    const perCharacter = longest === undefined ? UNITS_PER_CHARACTER : text.length / 10
    budget.spend(Math.ceil((text.length + 1) * perCharacter))
  }
  function bounded(text: string): boolean {
    if (longest !== undefined && text.length > longest) return false
    pay(text)
    return matches(text)
  }
  if (!compare) return bounded
  function boundedCompare(a: string, b: string): number | undefined {
    pay(a)
    return compare?.(a, b)
  }
  return { validate: bounded, compare: boundedCompare }
}
