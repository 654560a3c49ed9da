import { Type } from '@sinclair/typebox'
import type { Declaration } from 'heliograph/extension'
import { mailOf } from './mail-settings.ts'

export const declared = {
  name: 'email',
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
  checkSettings: mailOf,
} as const satisfies Declaration & { name: string }
