import { existsSync } from 'node:fs'
import { Type, type Static, type TObject, type TProperties } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Declaration } from './declaration.ts'
import { declarations } from './declarations.ts'
import { ConfigError } from './platform/settings.ts'

type Union<D> = D extends { settings: infer Settings extends TProperties } ? Static<TObject<Settings>> : never
type Derived<D> = D extends { deriveSettings: (...settings: never[]) => infer Values } ? Values : never
/** All members of a union at once. */
type Together<U> = (U extends unknown ? (each: U) => void : never) extends (all: infer All) => void
  ? All
  : never
type Each = (typeof declarations)[number]

const all: readonly Declaration[] = declarations

/** Settings as the rest of the program sees them: checked, converted, defaults filled in. */
export type Config = Readonly<Together<Union<Each>> & Together<Derived<Each>>>

/**
 * Every setting of the core, as its parts declare them: the process environment is checked against this schema at
 * start.
 */
export const Environment: TObject = Type.Object(
  Object.assign({}, ...all.map(({ settings }) => settings)) as TProperties,
)

/** Settings for which an empty value is not the same as none. */
const EMPTY_SAYS_NONE = new Set(['OUTBOUND_ALLOW_CIDRS', 'ALLOWED_ORIGINS', 'PACKS'])

/** The environment of this process, with what a `.env` file in the working directory adds to it. */
export function readEnvironment(): NodeJS.ProcessEnv {
  if (existsSync('.env')) process.loadEnvFile('.env')
  return process.env
}

/**
 * Reads and checks the settings.
 *
 * @param environment variables by name, usually from `readEnvironment`; names that are not settings are ignored.
 *   An empty value counts as unset, except for OUTBOUND_ALLOW_CIDRS, ALLOWED_ORIGINS and PACKS, where it stands for nothing.
 * @throws ConfigError listing every setting that is wrong
 */
export function loadConfig(environment: Record<string, string | undefined>): Config {
  const settings = readSettings(Environment, environment)
  const derived = all.map(({ deriveSettings }) => deriveSettings?.(settings as never))
  return Object.assign({}, settings, ...derived) as Config
}

/**
 * Reads settings that an extension declares.
 *
 * @throws ConfigError listing every setting that is wrong
 */
export function loadSettings(
  declaration: Pick<Declaration, 'settings' | 'checkSettings'>,
  environment: Record<string, string | undefined>,
): Readonly<Record<string, unknown>> {
  const settings = readSettings(Type.Object(declaration.settings ?? {}), environment)
  try {
    declaration.checkSettings?.(settings as never)
  } catch (error) {
    throw new ConfigError((error as Error).message, { cause: error })
  }
  return settings
}

function readSettings(
  schema: TObject,
  environment: Record<string, string | undefined>,
): Record<string, unknown> {
  const given: Record<string, unknown> = {}
  for (const [name, { type }] of Object.entries(schema.properties)) {
    const value = environment[name]
    if (value === undefined || (value === '' && !EMPTY_SAYS_NONE.has(name))) continue
    given[name] = fromText(value, type)
  }
  const settings = Value.Default(schema, given) as Record<string, unknown>
  const problems = [...Value.Errors(schema, settings)].map(({ path, message }) => {
    const name = path.slice(1)
    return `${name}: ${message.toLowerCase()}. ${schema.properties[name]?.description ?? ''}`
  })
  if (problems.length > 0) throw new ConfigError(`Settings that cannot be used:\n  ${problems.join('\n  ')}`)
  return settings
}

/** Only what is plainly a number or a truth value becomes one; the schema refuses the rest. */
function fromText(value: string, type: string | undefined): unknown {
  if (type === 'integer' && /^-?\d+$/.test(value)) return Number(value)
  if (type === 'boolean' && /^(true|false)$/.test(value)) return value === 'true'
  return value
}
