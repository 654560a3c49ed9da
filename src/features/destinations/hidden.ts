import { escapePointer } from '../../platform/json-schema/json-schema.ts'
import { Problem } from '../../platform/http/problems.ts'
import type { DestinationSettings } from './destination.ts'

/** What is shown in place of a hidden value, and what a change gives to keep it. */
export const HIDDEN = '***'

/** Hidden settings by their names: a text, or the values of an object. */
export type HiddenSettings = Record<string, string | Record<string, string>>

/**
 * Splits settings into what may be shown and what is stored encrypted.
 *
 * @param names of the settings that are hidden
 * @param before the hidden settings so far; a value given as `***` keeps the one it has there
 * @throws Problem `invalid-destination` when there is none to keep
 */
export function hide(
  settings: DestinationSettings,
  names: readonly string[],
  before: HiddenSettings = {},
): { shown: DestinationSettings; hidden: HiddenSettings } {
  const hidden: HiddenSettings = {}
  const shown: DestinationSettings = { ...settings }
  for (const name of names) {
    const value = settings[name]
    if (typeof value === 'string') {
      hidden[name] = kept(value, before[name], [name])
      shown[name] = HIDDEN
    } else if (typeof value === 'object' && value !== null) {
      const own = Object.entries(value as Record<string, string>)
      const earlier = before[name]
      hidden[name] = Object.fromEntries(
        own.map(([key, text]) => [
          key,
          kept(text, typeof earlier === 'object' ? earlier[key] : undefined, [name, key]),
        ]),
      )
      shown[name] = Object.fromEntries(own.map(([key]) => [key, HIDDEN]))
    }
  }
  return { shown, hidden }
}

function kept(value: string, before: HiddenSettings[string] | undefined, path: readonly string[]): string {
  if (value !== HIDDEN) return value
  if (typeof before === 'string') return before
  const pointer = ['/destination', ...path.map(escapePointer)].join('/')
  throw new Problem('invalid-destination', `There is no value that ${HIDDEN} could stand for.`, [
    { pointer, detail: `must be the value itself: ${HIDDEN} keeps one that is there, for the same host` },
  ])
}

/** The settings as they were given. */
export const reveal = (shown: DestinationSettings, hidden: HiddenSettings): DestinationSettings => ({
  ...shown,
  ...hidden,
})
