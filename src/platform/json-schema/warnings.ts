import { escapePointer, type Violation } from './json-schema.ts'

/** Keywords whose value is data. */
const DATA = new Set(['enum', 'const', 'default', 'examples'])
/** Keywords whose value has subschemas by names of any kind. */
const BY_NAME = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])

const NULLABLE =
  '`nullable` is a keyword of OpenAPI 3.0 and none of JSON Schema: null is taken here beside the `type`, but not by other validators. Write "type": ["string", "null"].'

/**
 * What is likely to mean something else than its writer thinks, in a schema that can be used.
 *
 * @returns with JSON pointers into the schema
 */
export function warningsOf(schema: unknown): Violation[] {
  const warnings: Violation[] = []

  function visit(value: unknown, pointer: string, isSchema: boolean): void {
    if (typeof value !== 'object' || value === null) return
    for (const [key, part] of Object.entries(value)) {
      const at = `${pointer}/${escapePointer(key)}`
      if (isSchema && key === 'nullable' && part === true) warnings.push({ pointer: at, detail: NULLABLE })
      if (isSchema && DATA.has(key)) continue
      visit(part, at, !(isSchema && BY_NAME.has(key)))
    }
  }

  visit(schema, '', true)
  return warnings
}
