import { Type, type TInteger } from '@sinclair/typebox'

/** Thrown for settings that cannot be used; its message names each variable and what it should be. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** A setting that is a time in milliseconds. */
export const milliseconds = (defaultValue: number, description: string, minimum = 1): TInteger =>
  Type.Integer({ default: defaultValue, minimum, description })

/**
 * Reads a setting that is more than its schema says.
 *
 * @throws ConfigError with the setting's name before what `parse` says
 */
export function withName<T>(name: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new ConfigError(`${name}: ${(error as Error).message}`, { cause: error })
  }
}
