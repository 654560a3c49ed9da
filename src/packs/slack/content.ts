import {
  asDouble,
  type Incoming,
  type IncomingMessage,
  isObject,
  mediaKind,
  type MessageContent,
  nothing,
  timeAt,
} from 'heliograph/extension'
import { filesOf } from './files.ts'
import { readableText } from './text.ts'

/** Subtypes of messages that people write; the others tell of joins, topics and the like. */
const WRITTEN = new Set([undefined, '', 'file_share', 'thread_broadcast', 'me_message'])

/** Subtypes that tell of another message. */
const ABOUT_ANOTHER = new Set<string | undefined>(['message_changed', 'message_deleted', 'message_replied'])

interface Event {
  type?: string
  subtype?: string
  bot_id?: string
  channel?: string
  user?: string
  text?: string
  ts?: string
  event_ts?: string
  files?: { mimetype?: string }[]
  reaction?: string
  item?: { type?: string; channel?: string; ts?: string }
}

const took = (message: IncomingMessage): Incoming => ({ ...nothing(), messages: [message] })
const skip = (item: unknown, reason: string): Incoming => ({ ...nothing(), skipped: [{ item, reason }] })

/** What a request of the Events API says: https://docs.slack.dev/apis/events-api */
export function readEvent(
  body: Record<string, unknown>,
  now: number,
  botUserId: string | undefined,
): Incoming {
  if (body['type'] === 'url_verification') {
    const { challenge } = body
    const answer = { contentType: 'text/plain', body: typeof challenge === 'string' ? challenge : '' }
    return { ...nothing(), known: 1, answer }
  }
  if (body['type'] !== 'event_callback' || !isObject(body['event'])) {
    return skip(body, 'It is no event of Slack’s Events API.')
  }
  const event: Event = body['event']
  const { type, bot_id: botId, channel, user, ts, event_ts: eventTs } = event
  const isOwn = user === botUserId
  if (isOwn && type === 'message' && botId !== undefined) return { ...nothing(), known: 1 }
  const content = user !== undefined && !isOwn && botId === undefined ? contentOf(event) : undefined
  if (!content) return skip(body, 'It is nothing that a person said.')
  return took({
    ...content,
    // A reaction has no id, only the event that tells of it.
    externalMessageId: content.kind === 'reaction' ? (body['event_id'] as string) : messageId(channel, ts),
    from: user as string,
    sentAt: timeAt(Number(asDouble(ts ?? eventTs)) * 1000, now),
    attachments: filesOf(event.files),
    raw: event,
  })
}

function contentOf(event: Event): MessageContent | undefined {
  const { type, subtype, channel, ts, files, reaction, item } = event
  if (type === 'reaction_added' || type === 'reaction_removed') {
    if (item?.type !== 'message' || reaction === undefined) return undefined
    const about = {
      emoji: `:${reaction}:`,
      message_id: messageId(item.channel, item.ts),
      removed: type === 'reaction_removed',
    }
    return { kind: 'reaction', text: '', parts: { reaction: about } }
  }
  // An app that is told of messages and of mentions is told of the same message twice, under one id.
  if (type !== 'message' && type !== 'app_mention') return undefined
  if (ABOUT_ANOTHER.has(subtype) || !channel || !ts) return undefined
  const text = readableText(event.text ?? '')
  if (files?.length) return { kind: mediaKind(files[0]?.mimetype), text }
  if (WRITTEN.has(subtype)) return { kind: 'text', text }
  const happened = { type: String(subtype), external_id: null, other_external_id: null }
  return { kind: 'system', text, parts: { system: happened } }
}

/** A time stamp names a message in its channel only. */
export const messageId = (channel: string | undefined, ts: string | undefined): string => `${channel}:${ts}`

/** What a slash command says: https://docs.slack.dev/interactivity/implementing-slash-commands */
export function readCommand(form: Record<string, string>, now: number): Incoming {
  const {
    command,
    text = '',
    trigger_id: triggerId,
    user_id: userId,
    user_name: name,
    ssl_check: check,
  } = form
  if (check !== undefined) return { ...nothing(), known: 1 }
  if (command === undefined) return skip(form, 'It is no command and no interaction.')
  return took({
    kind: 'command',
    text: readableText(text),
    parts: { command: { name: command } },
    externalMessageId: triggerId as string,
    from: userId as string,
    name,
    sentAt: new Date(now),
    raw: form,
  })
}

interface Interaction {
  type?: string
  user?: { id?: string; username?: string; name?: string }
  trigger_id?: string
  callback_id?: string
  actions?: Action[]
  view?: { id?: string; callback_id?: string; title?: Words; submit?: Words | null }
}

interface Action {
  action_id?: string
  /** What a legacy attachment has in its place. */
  name?: string
  text?: Words
  value?: string
  selected_option?: { text?: Words; value?: string }
  [selected: string]: unknown
}

interface Words {
  text?: string
}

/** What somebody did with a button, a menu or a form: https://docs.slack.dev/interactivity/handling-user-interaction */
export function readInteraction(raw: Record<string, unknown>, now: number): Incoming {
  const { type, user, trigger_id: triggerId, callback_id: callbackId, actions, view } = raw as Interaction
  if (type === 'block_suggestion') {
    const answer = { contentType: 'application/json', body: '{"options":[]}' }
    return { ...skip(raw, 'It asks for options, and there are none here.'), answer }
  }
  const take = (content: MessageContent, id = triggerId): IncomingMessage => ({
    ...content,
    externalMessageId: id as string,
    from: user?.id as string,
    name: user?.username ?? user?.name,
    sentAt: new Date(now),
    raw,
  })
  if (actions?.length) {
    const messages = actions.map((action, index) =>
      take(pressed(action), index === 0 ? triggerId : `${triggerId}/${index}`),
    )
    return { ...nothing(), messages }
  }
  if (type === 'view_submission' && view) {
    return took(take(button(view.callback_id, (view.submit ?? view.title)?.text)))
  }
  if (type === 'view_closed' && view) {
    const happened = { type, external_id: null, other_external_id: null }
    return took(take({ kind: 'system', text: '', parts: { system: happened } }, `${view.id}/closed`))
  }
  if ((type === 'shortcut' || type === 'message_action') && callbackId) {
    return took(take({ kind: 'command', text: '', parts: { command: { name: callbackId } } }))
  }
  return skip(raw, 'It is no interaction that is known.')
}

function pressed({ action_id: actionId, name, text, value, selected_option: option, ...more }: Action) {
  const chosen = Object.entries(more).find(
    ([key, one]) => key.startsWith('selected_') && typeof one === 'string',
  )
  const picked = option?.value ?? value ?? (chosen?.[1] as string | undefined)
  const id = actionId ?? name
  return button(picked ?? id, text?.text ?? option?.text?.text ?? picked ?? id)
}

const button = (id: string | undefined, title = ''): MessageContent => ({
  kind: 'button',
  text: readableText(title),
  parts: { button: { id: id ?? null, title: readableText(title) } },
})
