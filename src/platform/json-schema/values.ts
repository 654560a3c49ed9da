import { _, type Ajv, type AnySchemaObject, type KeywordCxt } from 'ajv'
import { canonicalJson } from '../json/canonical-json.ts'
import { UNITS_PER_MEMBER, type EvaluationBudget } from './budget.ts'

/** What it takes to look at a value, and to make a text of it: measured, about 30 and 500 ns. */
const UNITS_PER_LOOK = 3
const UNITS_PER_TEXT = 50

/**
 * Replaces the keywords that compare values as a whole. Ajv's own `uniqueItems` compares every pair, and its
 * `enum` and `const` walk over an object again for every entry, which nothing could count from outside.
 */
export function addValueKeywords(ajv: Ajv, budget: EvaluationBudget): void {
  for (const keyword of ['uniqueItems', 'enum', 'const']) ajv.removeKeyword(keyword)
  // In one list, as V8 is slow with functions that refer to thousands of things outside.
  const checks: ((value: unknown) => boolean)[] = []
  const checking = (check: (value: unknown) => boolean, { gen, data }: KeywordCxt) =>
    _`${gen.scopeValue('obj', { ref: checks })}[${checks.push(check) - 1}](${data})`

  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    error: { message: 'must not have the same item twice' },
    code(cxt: KeywordCxt) {
      if (cxt.schema === true) cxt.pass(checking((items) => areUnique(items as unknown[], budget), cxt))
    },
  })
  ajv.addKeyword({
    keyword: 'enum',
    schemaType: 'array',
    error: { message: 'must be equal to one of the allowed values' },
    code(cxt: KeywordCxt) {
      cxt.pass(checking(oneOf(cxt.schema as unknown[], budget), cxt))
    },
  })
  ajv.addKeyword({
    keyword: 'const',
    error: { message: 'must be equal to constant' },
    code(cxt: KeywordCxt) {
      cxt.pass(checking(oneOf([cxt.schema as unknown], budget), cxt))
    },
  })
}

function areUnique(items: readonly unknown[], budget: EvaluationBudget): boolean {
  for (const item of items) spendOnText(item, budget)
  return new Set(items.map(canonicalJson)).size === items.length
}

/** Pays for the canonical text of a value before it is made. */
function spendOnText(value: unknown, budget: EvaluationBudget): void {
  budget.spend(UNITS_PER_TEXT + (typeof value === 'string' ? value.length >> 2 : 0))
  if (typeof value !== 'object' || value === null) return
  for (const key of Object.keys(value)) {
    budget.spend(UNITS_PER_TEXT + (key.length >> 2))
    spendOnText((value as AnySchemaObject)[key], budget)
  }
}

function oneOf(allowed: readonly unknown[], budget: EvaluationBudget): (value: unknown) => boolean {
  const scalars = new Set(allowed.filter((entry) => !isStructure(entry)))
  const structures = allowed.filter(isStructure)
  return (value) =>
    isStructure(value) ? structures.some((entry) => areEqual(entry, value, budget)) : scalars.has(value)
}

const isStructure = (value: unknown): value is object => typeof value === 'object' && value !== null

function areEqual(a: unknown, b: unknown, budget: EvaluationBudget): boolean {
  budget.spend(UNITS_PER_LOOK)
  if (!isStructure(a) || !isStructure(b)) return a === b
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, index) => areEqual(item, b[index], budget))
  }
  const keys = Object.keys(a)
  const others = Object.keys(b).length
  budget.spend(keys.length * UNITS_PER_LOOK + others * UNITS_PER_MEMBER)
  if (keys.length !== others) return false
  return keys.every(
    (key) =>
      Object.hasOwn(b, key) && areEqual((a as AnySchemaObject)[key], (b as AnySchemaObject)[key], budget),
  )
}
