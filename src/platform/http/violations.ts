import type { ErrorObject } from 'ajv'
import { escapePointer, toViolation, type Violation } from '../json-schema/json-schema.ts'
import { constraintInWords } from './constraint-words.ts'
import { MAX_ERRORS } from './problems.ts'

/** What they say is said by the errors of their parts. */
const SUMMARIES = new Set(['if', 'propertyNames'])
/** Looking at all errors of a large body would take long. */
const MAX_EXAMINED = 4 * MAX_ERRORS

/**
 * The errors of a request in words, without what only repeats others: that no alternative fits, when what is
 * wrong with one of them is told, that it is not null, when it may be something else, and that a pattern does not
 * match, when the format has a name.
 */
export function toViolations(errors: readonly ErrorObject[]): Violation[] {
  const told = errors
    .filter((error) => !SUMMARIES.has(error.keyword) && !isTagMissing(error))
    .slice(0, MAX_EXAMINED)
  const named = new Set(told.filter(({ keyword }) => keyword === 'format').map(placeOf))
  const dropped = new Set(told.filter((error) => error.keyword === 'pattern' && named.has(placeOf(error))))
  const choices = new Map<ErrorObject, unknown[]>()
  for (const union of told) {
    if (union.keyword !== 'anyOf') continue
    const parts = told.filter((error) => isPartOf(error, union))
    const telling = parts.filter((error) => !isNullMissing(error, union))
    if (telling.length === 0) continue
    const isChoice = telling.every((error) => error.keyword === 'const' && isSamePlace(error, union))
    for (const error of isChoice ? parts : [union, ...parts]) {
      if (isChoice || !telling.includes(error)) dropped.add(error)
    }
    if (isChoice) {
      choices.set(
        union,
        telling.map(({ params }) => params['allowedValue'] as unknown),
      )
    }
  }
  return told
    .filter((error) => !dropped.has(error))
    .slice(0, MAX_ERRORS)
    .map((error) => inWords(error, choices.get(error)))
}

/** That it is required is told as well. */
const isTagMissing = ({ keyword, params }: ErrorObject): boolean =>
  keyword === 'discriminator' && params['tagValue'] === undefined

/** The value and the schema that it does not fit. */
const placeOf = ({ instancePath, schemaPath, propertyName = '', keyword }: ErrorObject): string =>
  [instancePath, propertyName, schemaPath.slice(0, -keyword.length)].join(' ')

const isSamePlace = (error: ErrorObject, union: ErrorObject): boolean =>
  error.instancePath === union.instancePath

const isPartOf = (error: ErrorObject, union: ErrorObject): boolean =>
  error.schemaPath.startsWith(`${union.schemaPath}/`) &&
  (isSamePlace(error, union) || error.instancePath.startsWith(`${union.instancePath}/`))

const isNullMissing = (error: ErrorObject, union: ErrorObject): boolean =>
  error.keyword === 'type' && error.params['type'] === 'null' && isSamePlace(error, union)

function inWords(error: ErrorObject, choice: unknown[] | undefined): Violation {
  const { keyword, params, propertyName, instancePath } = error
  if (keyword === 'discriminator') {
    const tag = String(params['tag'])
    return { pointer: `${instancePath}/${escapePointer(tag)}`, detail: choiceOfTags(error, tag) }
  }
  const allowed = keyword === 'enum' ? (params['allowedValues'] as unknown[]) : choice
  if (allowed) return { pointer: instancePath, detail: `must be one of ${allowed.map(String).join(', ')}` }
  const told = toViolation(error)
  const violation = { ...told, detail: constraintInWords(error) ?? told.detail }
  if (propertyName === undefined) return violation
  return {
    pointer: `${instancePath}/${escapePointer(propertyName)}`,
    detail: `is a name that cannot be used: ${violation.detail}`,
  }
}

interface Tagged {
  properties?: Record<string, { const?: string }>
}

/** The alternatives are known of an error that has its schema with it. */
function choiceOfTags({ parentSchema }: ErrorObject, tag: string): string {
  const alternatives = ((parentSchema?.['oneOf'] ?? []) as Tagged[]).flatMap(
    ({ properties }) => properties?.[tag]?.const ?? [],
  )
  return alternatives.length === 0 ? 'is not one that there is' : `must be one of ${alternatives.join(', ')}`
}
