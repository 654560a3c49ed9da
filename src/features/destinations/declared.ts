import { Type } from '@sinclair/typebox'
import type { Declaration } from '../../declaration.ts'
import { parseMailbox, parseSmtpUrl } from '../../platform/mail/settings.ts'
import { ConfigError, withName } from '../../platform/settings.ts'

interface MailSettings {
  SMTP_URL?: string
  MAIL_FROM?: string
}

/** The mail server and the address that mail comes from; undefined when neither is set. */
function mailOf({ SMTP_URL: url, MAIL_FROM: from }: MailSettings): { url: string; from: string } | undefined {
  if (url !== undefined) withName('SMTP_URL', () => parseSmtpUrl(url))
  if (from !== undefined) withName('MAIL_FROM', () => parseMailbox(from))
  if (url === undefined && from === undefined) return undefined
  if (url === undefined || from === undefined) {
    const missing = url === undefined ? 'SMTP_URL' : 'MAIL_FROM'
    throw new ConfigError(`${missing}: set both SMTP_URL and MAIL_FROM, or neither.`)
  }
  return { url, from }
}

export const declared = {
  settings: {
    SMTP_URL: Type.Optional(
      Type.String({
        pattern: '^smtps?://',
        description:
          'The server that e-mails are given to: smtp:// (STARTTLS where it is offered; with a password it must be) or smtps://. `?requireTLS=true|false` decides otherwise; `?tls.rejectUnauthorized=false` takes any certificate. Unset: e-mail destinations fail.',
        examples: ['smtp://heliograph:secret@mail.example.com:587'],
      }),
    ),
    MAIL_FROM: Type.Optional(
      Type.String({
        description: 'The address that e-mails come from, alone or with a name. Needed with SMTP_URL.',
        examples: ['Heliograph <events@example.com>'],
      }),
    ),
  },
  deriveSettings: (settings: MailSettings) => ({ mail: mailOf(settings) }),
} as const satisfies Declaration
