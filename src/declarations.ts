import type { Declaration } from './declaration.ts'
import { declared as apps } from './features/apps/declared.ts'
import { declared as deliveries } from './features/deliveries/declared.ts'
import { declared as entities } from './features/entities/declared.ts'
import { declared as events } from './features/events/declared.ts'
import { declared as graphql } from './features/graphql/declared.ts'
import { declared as identities } from './features/identities/declared.ts'
import { declared as messages } from './features/messages/declared.ts'
import { declared as observation } from './features/observation/declared.ts'
import { declared as operations } from './features/operations/declared.ts'
import { declared as subscriptions } from './features/subscriptions/declared.ts'
import { declared as platform } from './platform-declared.ts'
import { ConfigError } from './platform/settings.ts'

/**
 * What the parts of the core declare, in the order in which one reads about them. It is read before the rest of the
 * program is loaded, so a `declared.ts` imports nothing that takes long.
 */
export const declarations = [
  platform,
  events,
  subscriptions,
  deliveries,
  observation,
  entities,
  messages,
  identities,
  graphql,
  apps,
  operations,
] as const

type Gathered = 'scopes' | 'scopesOnRequest' | 'eventTypes' | 'reservedPrefixes' | 'sealedColumns' | 'tags'

/** What the core and the extensions declare, together. */
export type Declared = { readonly [Kind in Gathered]: NonNullable<Declaration[Kind]> }

/** What no two parts may declare both. */
const NAMES: Record<string, (part: Declaration) => readonly string[]> = {
  scope: ({ scopes = [] }) => scopes,
  setting: ({ settings = {} }) => Object.keys(settings),
  'event type': ({ eventTypes = [] }) => eventTypes.map(({ name }) => name),
  'reserved prefix': ({ reservedPrefixes = [] }) => reservedPrefixes,
  'sealed column': ({ sealedColumns = [] }) => sealedColumns.map(({ table, column }) => `${table}.${column}`),
  topic: ({ topics = {} }) => Object.values(topics),
  queue: ({ queues = {} }) => Object.values(queues),
  tag: ({ tags = [] }) => tags.map(({ name }) => name),
}

function refuseTwice(parts: readonly Declaration[]): void {
  for (const [kind, namesOf] of Object.entries(NAMES)) {
    const names = parts.flatMap(namesOf)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined)
      throw new ConfigError(`The ${kind} "${twice}" is declared twice: see EXTENSIONS.`)
  }
}

/**
 * @param extensions what is on beside the core
 * @throws ConfigError for what two of them declare both
 */
export function gather(extensions: readonly Declaration[]): Declared {
  const parts: readonly Declaration[] = [...declarations, ...extensions]
  refuseTwice(parts)
  const all = <Kind extends Gathered>(kind: Kind): NonNullable<Declaration[Kind]>[number][] =>
    parts.flatMap((part) => (part[kind] ?? []) as never[])
  return {
    scopes: all('scopes'),
    scopesOnRequest: all('scopesOnRequest'),
    eventTypes: all('eventTypes'),
    reservedPrefixes: all('reservedPrefixes'),
    sealedColumns: all('sealedColumns'),
    tags: all('tags'),
  }
}
