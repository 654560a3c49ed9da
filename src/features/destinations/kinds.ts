import { Type, type TUnsafe } from '@sinclair/typebox'
import type {
  DestinationKind,
  Destinations,
  DestinationServices,
  DestinationSettings,
} from './destination.ts'

/** The kinds of destination that users may choose from. */
export interface DestinationKinds {
  /** The settings of any of them. (Not a union: with the discriminator errors are those of the kind that is named.) */
  form: TUnsafe<DestinationSettings>
  /** @throws Error for a type that `form` does not take */
  of(type: string): DestinationKind
  /** All of them, ready to send. */
  connect(services: DestinationServices): Destinations
}

/** @throws Error for two kinds of the same type */
export function createDestinationKinds(kinds: readonly DestinationKind[]): DestinationKinds {
  const byType = new Map(kinds.map((kind) => [typeOf(kind), kind]))
  if (byType.size < kinds.length)
    throw new Error(`Two destinations have the same type: ${kinds.map(typeOf).join(', ')}.`)
  return {
    form: Type.Unsafe<DestinationSettings>({
      type: 'object',
      required: ['type'],
      discriminator: { propertyName: 'type' },
      oneOf: kinds.map(({ settings }) => settings),
    }),
    of(type) {
      const kind = byType.get(type)
      if (!kind) throw new Error(`This version has no destination "${type}".`)
      return kind
    },
    connect: (services) =>
      Object.fromEntries([...byType].map(([type, kind]) => [type, kind.connect(services)])),
  }
}

/** A kind is known by the literal of its `type`. */
const typeOf = ({ settings }: DestinationKind): string => settings.properties['type']?.const as string
