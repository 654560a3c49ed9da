import { Type } from '@sinclair/typebox'
import {
  type AttemptResult,
  badResult,
  destinationKind,
  failure,
  fitted,
  indented,
  type OwedEvent,
  Problem,
  type Target,
  type Transform,
  transformed,
} from 'heliograph/extension'
import { createMailer, type MailAnswer } from './mailer.ts'
import { ADDRESS_FORM, mailOf, type Mailbox, type MailSettings } from './mail-settings.ts'

const MAX_RECIPIENTS = 50
const MAX_SUBJECT_LENGTH = 200
const MAX_TEXT_LENGTH = 100_000
const TYPE = '{{type}}'

const NO_SERVER = failure('No mail server is set up. Set SMTP_URL and MAIL_FROM.', {
  final: true,
  ownFault: true,
})

interface Content {
  subject?: string
  text?: string
  html?: string
}

/** E-mail, through the mail server of the operator. */
export const email = destinationKind({
  settings: Type.Object(
    {
      type: Type.Literal('email'),
      to: Type.Array(Type.String({ maxLength: 254, pattern: ADDRESS_FORM, examples: ['ada@example.com'] }), {
        minItems: 1,
        maxItems: MAX_RECIPIENTS,
        uniqueItems: true,
        description: 'Who gets the e-mails. They see each other.',
      }),
      subject: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: MAX_SUBJECT_LENGTH,
          pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\ud800-\\udfff]*$',
          description: `Plain text; ${TYPE} stands for the type of the event. ${TYPE} unless given.`,
          examples: [`Shop: ${TYPE}`],
        }),
      ),
    },
    { additionalProperties: false },
  ),
  hidden: [],
  check(settings) {
    const other = settings.subject?.replaceAll(TYPE, '').match(/\{\{.*?(\}\}|$)/)?.[0]
    if (other === undefined) return settings
    throw new Problem('invalid-destination', `The subject may hold ${TYPE}, but not ${other}.`, [
      { pointer: '/destination/subject', detail: `must not hold ${other}` },
    ])
  },
  connect({ transform }, environment: MailSettings) {
    const mail = mailOf(environment)
    if (mail === undefined) return { send: async () => NO_SERVER }
    const { from } = mail
    const mailer = createMailer(mail.server, from)
    return {
      async send(event, target, { now, timeoutMs }) {
        const made = await contentOf(event, target, transform)
        if ('failed' in made) return made.failed
        const { subject = '', text, html } = made
        const answer = await mailer.send(
          {
            to: target.settings['to'] as string[],
            subject: oneLine(subject) || oneLine(defaultSubject(event, target)),
            text: text ?? (html === undefined ? defaultText(event) : undefined),
            html,
            messageId: messageId(event, from),
            date: new Date(now),
          },
          timeoutMs,
        )
        return toResult(answer)
      },
    }
  },
})

/** What the transformation says of the mail; nothing without one. */
async function contentOf(
  event: OwedEvent,
  { transformation }: Target,
  transform: Transform,
): Promise<Content | { failed: AttemptResult }> {
  if (transformation === null) return {}
  const made = await transformed(transform, transformation, event)
  if ('failed' in made || 'text' in made) return made
  for (const [name, value] of Object.entries(made.object)) {
    if (!['subject', 'text', 'html'].includes(name) || typeof value !== 'string') {
      return {
        failed: badResult('an object that is no e-mail: it may have subject, text and html, all texts.'),
      }
    }
  }
  return made.object
}

const defaultSubject = ({ type }: OwedEvent, { settings }: Target): string =>
  ((settings['subject'] as string | undefined) ?? TYPE).replaceAll(TYPE, () => type)

/** Line breaks would begin other headers. */
const oneLine = (subject: string): string =>
  fitted(subject.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim(), MAX_SUBJECT_LENGTH).replace('\n', ' ')

const defaultText = ({ type, payload, event_id: id, event_created_at: createdAt }: OwedEvent): string =>
  `${type}\n\n${fitted(indented(payload, MAX_TEXT_LENGTH), MAX_TEXT_LENGTH)}\n\nEvent ${id}, ${createdAt.toISOString()}\n`

/** The same for every attempt, so that mailboxes can tell a repeat; another one for every subscription. */
const messageId = (
  { event_id: eventId, subscription_id: subscriptionId }: OwedEvent,
  { address }: Mailbox,
): string => `<${eventId}.${subscriptionId}@${address.split('@')[1]}>`

const toResult = ({ sent, status, reply, error, permanent, refused }: MailAnswer): AttemptResult => ({
  succeeded: sent,
  responseStatus: status,
  responseHeaders: null,
  responseBody: reply,
  error,
  final: permanent,
  ownFault: !sent && !refused,
})
