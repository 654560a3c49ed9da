import { asDouble, type MessageContent, type MessageKind } from 'heliograph/extension'

/** A message in WhatsApp's form: what it is stands under the name of its type. */
export interface WhatsAppContent {
  type?: string
  text?: { body: string }
  location?: { latitude: number; longitude: number; name?: string; address?: string }
  contacts?: {
    name?: { formatted_name?: string }
    phones?: { phone?: string; wa_id?: string }[]
    emails?: { email?: string }[]
  }[]
  /** A reaction that was taken back has no emoji. */
  reaction?: { message_id: string; emoji?: string }
  button?: { text: string; payload?: string }
  interactive?: {
    button_reply?: Choice
    list_reply?: Choice
    nfm_reply?: { name?: string; body?: string }
  }
  order?: { text?: string }
  system?: { type?: string; body?: string; wa_id?: string; new_wa_id?: string; user_id?: string }
  unsupported?: { type?: string }
  errors?: { code?: number; title?: string; message?: string }[]
}

interface Choice {
  id: string
  title: string
}

/** Types of messages that are media. */
export const MEDIA: ReadonlySet<unknown> = new Set<MessageKind>([
  'image',
  'audio',
  'video',
  'document',
  'sticker',
])

/** What a message of WhatsApp is: https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks */
export function readContent(message: WhatsAppContent): MessageContent {
  const { type, text, location, contacts, reaction, button, interactive, order, system } = message
  if (MEDIA.has(type)) {
    const media = (message as Record<string, { caption?: string } | undefined>)[type as string]
    return { kind: type as MessageKind, text: media?.caption ?? '' }
  }
  if (type === 'text' && text) return { kind: 'text', text: text.body }
  if (type === 'location' && location) {
    const { latitude, longitude, name = null, address = null } = location
    const place = { latitude: asDouble(latitude), longitude: asDouble(longitude), name, address }
    return { kind: 'location', text: '', parts: { location: place } }
  }
  if (type === 'contacts' && contacts) {
    const people = contacts.map(({ name, phones = [], emails = [] }) => ({
      name: name?.formatted_name ?? null,
      phones: phones.flatMap(({ phone, wa_id: id }) => phone ?? id ?? []),
      emails: emails.flatMap(({ email }) => email ?? []),
    }))
    return { kind: 'contacts', text: '', parts: { contacts: people } }
  }
  if (type === 'reaction' && reaction) {
    const { message_id, emoji } = reaction
    return {
      kind: 'reaction',
      text: '',
      parts: { reaction: { emoji: emoji || null, message_id, removed: !emoji } },
    }
  }
  if (type === 'button' && button) return choice(button.payload ?? null, button.text)
  if (type === 'interactive' && interactive) {
    const { button_reply: pressed, list_reply: chosen, nfm_reply: form } = interactive
    const reply = pressed ?? chosen
    if (reply) return choice(reply.id, reply.title)
    if (form) return choice(form.name ?? null, form.body ?? '')
  }
  if (type === 'order' && order) return { kind: 'order', text: order.text ?? '' }
  if (type === 'system' && system) {
    const { type: what = 'unknown', body = '', wa_id: number, new_wa_id: oldForm, user_id: userId } = system
    const happened = {
      type: what,
      external_id: number ?? oldForm ?? null,
      other_external_id: userId ?? null,
    }
    return { kind: 'system', text: body, parts: { system: happened } }
  }
  return unsupported(message)
}

const choice = (id: string | null, title: string): MessageContent => ({
  kind: 'button',
  text: title,
  parts: { button: { id, title } },
})

function unsupported({ type, unsupported: told, errors: [error] = [] }: WhatsAppContent): MessageContent {
  const why = error && {
    code: error.code === undefined ? null : String(error.code),
    message: error.message ?? error.title ?? null,
  }
  const what = told?.type ?? (type === 'unsupported' ? null : type) ?? null
  return { kind: 'unsupported', text: '', parts: { unsupported: { type: what, error: why ?? null } } }
}
