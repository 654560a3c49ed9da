import { v5, v7 } from 'uuid'

/** Fixed namespace of the ids that are derived from names. Changing it would change those ids. */
const NAME_NAMESPACE = '6f0d3c3e-7d0b-4b52-9d51-3f6f1f0c9a51'

/** A new time-ordered UUIDv7: ids that one process makes sort in the order it made them. */
export const newId = (): string => v7()

/** The same UUIDv5 for the same name, in every installation. */
export const idForName = (name: string): string => v5(name, NAME_NAMESPACE)
