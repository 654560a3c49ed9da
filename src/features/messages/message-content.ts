import { Type, type Static, type TSchema } from '@sinclair/typebox'

/** What a message that came in is. Media have their caption, if any, as text. */
export const MESSAGE_KINDS = [
  'text',
  'image',
  'audio',
  'video',
  'document',
  'sticker',
  'location',
  'contacts',
  'reaction',
  'button',
  'command',
  'order',
  'system',
  'unsupported',
] as const

export type MessageKind = (typeof MESSAGE_KINDS)[number]

const OrNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const TextOrNull = OrNull(Type.String())

/** What matters of some kinds, in one form over all platforms, each under the name of its kind. */
export const MESSAGE_PARTS = {
  location: Type.Object({
    latitude: Type.Number({ minimum: -90, maximum: 90 }),
    longitude: Type.Number({ minimum: -180, maximum: 180 }),
    name: TextOrNull,
    address: TextOrNull,
  }),
  contacts: Type.Array(
    Type.Object({
      name: TextOrNull,
      phones: Type.Array(Type.String()),
      emails: Type.Array(Type.String()),
    }),
  ),
  reaction: Type.Object({
    emoji: TextOrNull,
    message_id: Type.String({ minLength: 1, description: 'The platform’s id of the message it is about.' }),
    event_id: OrNull(Type.String({ description: 'The event of that message, when it is known here.' })),
    removed: Type.Boolean(),
  }),
  button: Type.Object({ id: TextOrNull, title: Type.String() }),
  command: Type.Object({ name: Type.String({ minLength: 1 }) }),
  system: Type.Object({
    type: Type.String({ description: 'The platform’s name of what happened.' }),
    external_id: Type.Union([Type.String(), Type.Null()], { description: 'The sender’s id from now on.' }),
    other_external_id: TextOrNull,
  }),
  unsupported: Type.Object({
    type: TextOrNull,
    error: OrNull(Type.Object({ code: TextOrNull, message: TextOrNull })),
  }),
}

type Parts = { [Name in keyof typeof MESSAGE_PARTS]: Static<(typeof MESSAGE_PARTS)[Name]> }

/** The parts of a message; the event of one that it is about is looked up later. */
export type MessageParts = Partial<Omit<Parts, 'reaction'>> & {
  reaction?: Omit<Parts['reaction'], 'event_id'>
}
