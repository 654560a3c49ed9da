import { RE2JS } from 're2js'
import type { EvaluationBudget } from './budget.ts'

/** What the patterns of one schema may cost to compile, in instructions of RE2; each of its own costs more. */
const MAX_INSTRUCTIONS = 100_000
const INSTRUCTIONS_PER_PATTERN = 200

/** Where RE2 has to follow every branch it takes up to 17 ns per character and instruction, measured. */
const UNITS_PER_STEP = 1.7
const UNITS_PER_TEST = 50
/** From here on it pays to look at what a test really took. */
const WORTH_MEASURING = 1_000
const UNITS_PER_MILLISECOND = 100_000

/**
 * A constructor of patterns for Ajv. They run on RE2, which is linear in the length of the text: none can
 * stall the process by itself. What RE2 does not have (look-around, back-references) is refused.
 *
 * A test that could cost more than what is left does not start. One that ran costs what it took, as RE2 is
 * mostly a hundred times faster than it has to be; never more than it could, so no pause of the process is
 * paid for by whoever is validating.
 */
export function linearPatterns(budget: EvaluationBudget) {
  const known = new Map<string, RE2JS>()
  let instructions = 0

  function compile(pattern: string): RE2JS {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern))
    instructions += INSTRUCTIONS_PER_PATTERN + compiled.programSize()
    if (instructions > MAX_INSTRUCTIONS) {
      throw new Error('its patterns are too many or too large together; use fewer, or smaller repetitions')
    }
    known.set(pattern, compiled)
    return compiled
  }

  function linearRegExp(pattern: string) {
    const compiled = known.get(pattern) ?? compile(pattern)
    const unitsPerCharacter = compiled.programSize() * UNITS_PER_STEP
    function test(text: string): boolean {
      const most = UNITS_PER_TEST + Math.ceil((text.length + 1) * unitsPerCharacter)
      budget.spend(most)
      if (most < WORTH_MEASURING) return compiled.matcher(text).find()
      const start = performance.now()
      const found = compiled.matcher(text).find()
      const taken = UNITS_PER_TEST + Math.ceil((performance.now() - start) * UNITS_PER_MILLISECOND)
      if (taken < most) budget.giveBack(most - taken)
      return found
    }
    // Ajv keeps compiled patterns by this text.
    return { test, toString: () => `/${pattern}/u` }
  }
  return Object.assign(linearRegExp, { code: 'linearRegExp' })
}
