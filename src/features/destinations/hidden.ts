import { escapePointer } from '../../platform/json-schema/json-schema.ts'
import { Problem } from '../../platform/http/problems.ts'
import type { DestinationSettings } from './destination.ts'

/** What is shown in place of a hidden value, and what a change gives to keep it. */
export const HIDDEN = '***'

/** Hidden settings by their names: a text, or the values of an object. */
export type HiddenSettings = Record<string, string | Record<string, string>>

/**
 * Puts hidden settings in the places of what stands for them.
 *
 * @param settings as they are given, where `***` keeps the value there is
 * @param names of the settings that are hidden
 * @param before the hidden settings so far
 * @throws Problem `invalid-destination` when there is none to keep
 */
export function fillIn(
  settings: DestinationSettings,
  names: readonly string[],
  before: HiddenSettings = {},
): DestinationSettings {
  const filled = { ...settings }
  for (const name of names) {
    const value = settings[name]
    const earlier = before[name]
    if (typeof value === 'string') filled[name] = kept(value, earlier, [name])
    else if (typeof value === 'object' && value !== null) {
      filled[name] = Object.fromEntries(
        Object.entries(value as Record<string, string>).map(([key, text]) => [
          key,
          kept(text, typeof earlier === 'object' ? memberOf(earlier, key) : undefined, [name, key]),
        ]),
      )
    }
  }
  return filled
}

/** The members are headers, whose names are one in any case. */
const memberOf = (earlier: Record<string, string>, key: string): string | undefined =>
  Object.entries(earlier).find(([name]) => name.toLowerCase() === key.toLowerCase())?.[1]

/**
 * Splits settings into what may be shown and what is stored encrypted.
 *
 * @param names of the settings that are hidden
 */
export function hide(
  settings: DestinationSettings,
  names: readonly string[],
): { shown: DestinationSettings; hidden: HiddenSettings } {
  const hidden: HiddenSettings = {}
  const shown: DestinationSettings = { ...settings }
  for (const name of names) {
    const value = settings[name] as HiddenSettings[string] | undefined
    if (value === undefined) continue
    hidden[name] = value
    shown[name] =
      typeof value === 'string' ? HIDDEN : Object.fromEntries(Object.keys(value).map((key) => [key, HIDDEN]))
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
