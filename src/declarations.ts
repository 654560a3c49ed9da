import type { Declaration } from './declaration.ts'
import { declared as apps } from './features/apps/declared.ts'
import { declared as deliveries } from './features/deliveries/declared.ts'
import { declared as destinations } from './features/destinations/declared.ts'
import { declared as entities } from './features/entities/declared.ts'
import { declared as events } from './features/events/declared.ts'
import { declared as graphql } from './features/graphql/declared.ts'
import { declared as identities } from './features/identities/declared.ts'
import { declared as inquiries } from './features/inquiries/declared.ts'
import { declared as messages } from './features/messages/declared.ts'
import { declared as observation } from './features/observation/declared.ts'
import { declared as operations } from './features/operations/declared.ts'
import { declared as subscriptions } from './features/subscriptions/declared.ts'
import { declared as platform } from './platform-declared.ts'

/**
 * What the parts declare, in the order in which one reads about them. It is read before the rest of the program is
 * loaded, so a `declared.ts` imports nothing that takes long.
 */
export const declarations = [
  platform,
  events,
  subscriptions,
  deliveries,
  destinations,
  observation,
  entities,
  messages,
  identities,
  inquiries,
  graphql,
  apps,
  operations,
] as const

const all: readonly Declaration[] = declarations

type Gathered = 'scopes' | 'scopesOnRequest' | 'eventTypes' | 'reservedPrefixes' | 'sealedColumns' | 'tags'

/** All of one kind that the parts declare. */
const gather = <Kind extends Gathered>(kind: Kind): NonNullable<Declaration[Kind]>[number][] =>
  all.flatMap((each) => (each[kind] ?? []) as never[])

/** What the parts declare, together. */
export type Declared = { readonly [Kind in Gathered]: NonNullable<Declaration[Kind]> }

export const declared: Declared = {
  scopes: gather('scopes'),
  scopesOnRequest: gather('scopesOnRequest'),
  eventTypes: gather('eventTypes'),
  reservedPrefixes: gather('reservedPrefixes'),
  sealedColumns: gather('sealedColumns'),
  tags: gather('tags'),
}
