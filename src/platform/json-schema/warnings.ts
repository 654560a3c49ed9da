import { ExactNumber, isNumber, settled } from '../json/exact-numbers.ts'
import { escapePointer, type Violation } from './json-schema.ts'

/** Keywords whose value is data that payloads are compared with. */
const COMPARED = new Set(['enum', 'const'])
/** Keywords whose value says nothing of payloads. */
const NOTES = new Set(['default', 'examples'])
/** Keywords whose value has subschemas by names of any kind. */
const BY_NAME = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])

const NULLABLE =
  '`nullable` is a keyword of OpenAPI 3.0 and none of JSON Schema: null is taken here beside the `type`, but not by other validators. Write "type": ["string", "null"].'

const inexact = (number: ExactNumber): string =>
  `A schema has numbers as doubles: payloads are compared with ${Number(String(number))} here. Let such ids be strings, or compare them with a filter, which is exact.`

/**
 * What is likely to mean something else than its writer thinks, in a schema that can be used.
 *
 * @param schema as `parseExactly` or `parseAsWritten` gives it
 * @returns with JSON pointers into the schema
 */
export function warningsOf(schema: unknown): Violation[] {
  const warnings: Violation[] = []

  function visit(value: unknown, pointer: string, kind: Kind): void {
    if (isNumber(value)) {
      const number = settled(value)
      if (number instanceof ExactNumber) warnings.push({ pointer, detail: inexact(number) })
      return
    }
    if (typeof value !== 'object' || value === null) return
    for (const [key, part] of Object.entries(value)) {
      const at = `${pointer}/${escapePointer(key)}`
      if (kind === 'schema' && key === 'nullable' && part === true)
        warnings.push({ pointer: at, detail: NULLABLE })
      if (kind === 'schema' && NOTES.has(key)) continue
      visit(part, at, kindOf(key, kind))
    }
  }

  visit(schema, '', 'schema')
  return warnings
}

/** What a part of a schema is: a schema or a keyword's value, subschemas by their names, or data. */
type Kind = 'schema' | 'names' | 'data'

function kindOf(key: string, whole: Kind): Kind {
  if (whole !== 'schema') return whole === 'names' ? 'schema' : 'data'
  if (BY_NAME.has(key)) return 'names'
  return COMPARED.has(key) ? 'data' : 'schema'
}
