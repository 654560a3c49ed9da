import { Ajv, type Options } from 'ajv'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { Ajv2020 } from 'ajv/dist/2020.js'

/** A draft of JSON Schema. */
export interface Draft {
  /** Its meta-schema. */
  id: string
  create(options: Options): Ajv
}

const LATEST: Draft = {
  id: 'https://json-schema.org/draft/2020-12/schema',
  create: (options) => new Ajv2020(options),
}

const DRAFTS: readonly Draft[] = [
  LATEST,
  { id: 'https://json-schema.org/draft/2019-09/schema', create: (options) => new Ajv2019(options) },
  {
    id: 'http://json-schema.org/draft-07/schema',
    // Nothing beside a reference counts there (draft-07 core, section 8.3).
    create: (options) => new Ajv({ ...options, ignoreKeywordsWithRef: true }),
  },
]

/** What people write of one id: with either scheme, and with or without an empty fragment. */
const bare = (id: string): string => id.replace(/^https?:/, '').replace(/#$/, '')

/**
 * The draft that a schema is written in, as its `$schema` says; 2020-12 where it has none.
 *
 * @throws Error naming the draft when it is none of these
 */
export function draftOf(schema: object | boolean): Draft {
  const declared = typeof schema === 'object' ? (schema as { $schema?: unknown }).$schema : undefined
  if (declared === undefined) return LATEST
  const draft = DRAFTS.find(({ id }) => typeof declared === 'string' && bare(declared) === bare(id))
  if (draft) return draft
  throw new Error(
    `its $schema is ${JSON.stringify(declared).slice(0, 200)}; the drafts that are taken are 2020-12, 2019-09 and draft-07 (${DRAFTS.map(({ id }) => id).join(', ')})`,
  )
}
