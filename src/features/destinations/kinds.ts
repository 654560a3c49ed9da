import { Type, type TUnsafe } from '@sinclair/typebox'
import { Problem } from '../../platform/http/problems.ts'
import {
  failure,
  type Destination,
  type DestinationKind,
  type Destinations,
  type DestinationServices,
  type DestinationSettings,
} from './destination.ts'

/** The kinds of destination that users may choose from. */
export interface DestinationKinds {
  /** The settings of any of them. (Not a union: with the discriminator errors are those of the kind that is named.) */
  form: TUnsafe<DestinationSettings>
  /** What is shown: subscriptions may have a kind that was there once, and is off now. */
  shown: TUnsafe<DestinationSettings>
  /** @throws Problem `conflict` for a kind that is off */
  of(type: string): DestinationKind
  /** All of them, ready to send. */
  connect(services: DestinationServices): Destinations
}

/** A kind with the settings of the environment that its extension declares. */
interface ConfiguredKind {
  kind: DestinationKind
  settings: Readonly<Record<string, unknown>>
}

const isOff = (type: string): string => `The destination "${type}" is off here: see PACKS and EXTENSIONS.`

/** @throws Error for two kinds of the same type */
export function createDestinationKinds(configured: readonly ConfiguredKind[]): DestinationKinds {
  const kinds = configured.map(({ kind }) => kind)
  const types = kinds.map(typeOf)
  const byType = new Map(kinds.map((kind) => [typeOf(kind), kind]))
  if (byType.size < kinds.length) throw new Error(`Two destinations have the same type: ${types.join(', ')}.`)
  const forms = kinds.map(({ settings }) => settings)
  const other = Type.Object(
    { type: Type.String({ not: { enum: types } }) },
    {
      additionalProperties: true,
      description: 'A kind that is off: nothing is sent there until it is on again.',
    },
  )
  return {
    form: Type.Unsafe<DestinationSettings>({
      type: 'object',
      required: ['type'],
      discriminator: { propertyName: 'type' },
      oneOf: forms,
    }),
    shown: Type.Unsafe<DestinationSettings>({ type: 'object', required: ['type'], oneOf: [...forms, other] }),
    of(type) {
      const kind = byType.get(type)
      if (!kind) throw new Problem('conflict', isOff(type))
      return kind
    },
    connect: (services) =>
      Object.fromEntries(
        configured.map(({ kind, settings }) => [typeOf(kind), kind.connect(services, settings)]),
      ),
  }
}

/** A kind is known by the literal of its `type`. */
const typeOf = ({ settings }: DestinationKind): string => settings.properties['type']?.const as string

/** The destination of a type; one that is off fails, so that what is owed is tried again. */
export const destinationOf = (destinations: Destinations, type: string): Destination =>
  destinations[type] ?? { send: async () => failure(isOff(type), { ownFault: true }) }
