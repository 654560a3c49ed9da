import { Type, type Static } from '@sinclair/typebox'
import {
  mediaKind,
  MESSAGE_KINDS,
  type MessageContent,
  type MessageKind,
  type MessageParts,
  UnreadableError,
  Url,
} from 'heliograph/extension'

const Short = (minLength = 0) => Type.String({ minLength, maxLength: 1000 })
const ShortOrNull = Type.Optional(Type.Union([Short(), Type.Null()]))

/** What a message to an `http` connection is: the parts of the log's form, of which what is null may be left out. */
export const HTTP_CONTENT = {
  text: Type.Optional(Type.String()),
  kind: Type.Optional(Type.Union(MESSAGE_KINDS.map((kind) => Type.Literal(kind)))),
  location: Type.Optional(
    Type.Object({
      latitude: Type.Number({ minimum: -90, maximum: 90 }),
      longitude: Type.Number({ minimum: -180, maximum: 180 }),
      name: ShortOrNull,
      address: ShortOrNull,
    }),
  ),
  contacts: Type.Optional(
    Type.Array(
      Type.Object({
        name: ShortOrNull,
        phones: Type.Optional(Type.Array(Short(1), { maxItems: 100 })),
        emails: Type.Optional(Type.Array(Short(1), { maxItems: 100 })),
      }),
      { minItems: 1, maxItems: 100 },
    ),
  ),
  reaction: Type.Optional(
    Type.Object({ message_id: Short(1), emoji: ShortOrNull, removed: Type.Optional(Type.Boolean()) }),
  ),
  button: Type.Optional(Type.Object({ id: ShortOrNull, title: Short() })),
  command: Type.Optional(Type.Object({ name: Short(1) })),
  system: Type.Optional(
    Type.Object({ type: Short(1), external_id: ShortOrNull, other_external_id: ShortOrNull }),
  ),
  attachments: Type.Optional(
    Type.Array(
      Type.Object({
        id: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
        url: Url(),
        name: Type.Optional(Short(1)),
        mime_type: Type.Optional(Short(1)),
        size_bytes: Type.Optional(Type.Integer({ minimum: 0 })),
        sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
      }),
      { maxItems: 100 },
    ),
  ),
}

const Content = Type.Object(HTTP_CONTENT)

/** Kinds that are nothing without their part. */
const WITH_PART = ['location', 'contacts', 'reaction', 'button', 'command', 'system'] as const

/**
 * Its kind is the one it tells, or that of the part or of the first attachment it has, or else `text`.
 *
 * @throws UnreadableError when what the kind needs is missing
 */
export function readContent(message: Static<typeof Content>): MessageContent {
  const [attachment] = message.attachments ?? []
  const kind: MessageKind =
    message.kind ??
    WITH_PART.find((part) => message[part] !== undefined) ??
    (attachment ? mediaKind(attachment.mime_type) : 'text')
  const needed = kind === 'text' ? 'text' : WITH_PART.find((part) => part === kind)
  if (needed !== undefined && message[needed] === undefined) {
    throw new UnreadableError(`A message of the kind "${kind}" needs "${needed}".`)
  }
  return { kind, text: message.text ?? message.button?.title ?? '', parts: partsOf(message) }
}

function partsOf(message: Static<typeof Content>): MessageParts {
  const { location, contacts, reaction, button, command, system } = message
  return {
    ...(location && { location: { name: null, address: null, ...location } }),
    ...(contacts && {
      contacts: contacts.map(({ name = null, phones = [], emails = [] }) => ({ name, phones, emails })),
    }),
    ...(reaction && { reaction: { emoji: null, removed: false, ...reaction } }),
    ...(button && { button: { id: null, ...button } }),
    ...(command && { command }),
    ...(system && { system: { external_id: null, other_external_id: null, ...system } }),
  }
}
