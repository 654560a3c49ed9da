import type { EventTypeDeclaration } from '../../../declaration.ts'
import { idForName } from '../../../platform/identifiers/ids.ts'
import type { DeclaredRooms } from './rooms.ts'

/** Built-in types have one version of their schema. */
export const GLOBAL_SCHEMA_VERSION = 1

/** A type that every app has. */
export interface GlobalType extends DeclaredRooms {
  /** It follows from the name, so it is the same everywhere. */
  id: string
  name: string
  description: string
  domain: string
  /** Payloads that do not match are flagged, never refused. */
  jsonSchema: object | null
}

/** The built-in types (SPEC sections 2, 5 and 6), and which names only the service itself uses. */
export interface GlobalTypes {
  byName: ReadonlyMap<string, GlobalType>
  /** Whether custom types may not have this name, and clients may not append it. */
  isReserved(name: string): boolean
  /** The beginnings of reserved names, in words. */
  reservedPrefixes: string
  /** Whether only the service itself appends events of a type: a reserved one, or one of `ownTypes`. */
  isOwn(name: string): boolean
  /** Built-in types of other names that, too, tell what only the service itself does. */
  ownTypes: readonly string[]
}

/** @param declared what the parts of the product declare */
export function createGlobalTypes({
  eventTypes,
  reservedPrefixes,
}: {
  eventTypes: readonly EventTypeDeclaration[]
  reservedPrefixes: readonly string[]
}): GlobalTypes {
  const isReserved = (name: string): boolean => reservedPrefixes.some((prefix) => name.startsWith(prefix))
  const ownTypes = eventTypes.filter((type) => type.isReserved).map(({ name }) => name)
  return {
    byName: new Map(eventTypes.map((type) => [type.name, toGlobalType(type)])),
    isReserved,
    reservedPrefixes: inWords(reservedPrefixes),
    isOwn: (name) => isReserved(name) || ownTypes.includes(name),
    ownTypes,
  }
}

const toGlobalType = (type: EventTypeDeclaration): GlobalType => ({
  id: idForName(type.name),
  name: type.name,
  description: type.description,
  domain: type.domain,
  jsonSchema: type.jsonSchema ?? null,
  topic: type.topic ?? null,
  rooms: type.rooms ?? [],
})

const inWords = (names: readonly string[]): string =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
