import { Type } from '@sinclair/typebox'
import type { Declaration } from 'heliograph/extension'

const ROOM = 'outreach/inquiries'

export const declared = {
  name: 'inquiries',
  scopes: ['inquiries:read', 'inquiries:submit'],
  settings: {
    INQUIRIES_APP_ID: Type.Optional(
      Type.String({
        pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
        description:
          'The app that gets inquiries sent without a key. Unset with the embedded Postgres: the default app. Unset otherwise: an inquiry needs a key.',
      }),
    ),
    INQUIRIES_PER_MINUTE: Type.Integer({
      default: 10,
      minimum: 1,
      maximum: 100_000,
      description:
        'Inquiries that one address may send in a minute; an IPv6 network (/64) is one address. With REDIS_URL all processes count together, otherwise each by itself.',
    }),
  },
  eventTypes: [
    {
      name: 'inquiry.submitted',
      domain: 'outreach',
      description: 'Somebody sent the contact form.',
      topic: 'observation/outreach/inquiry/submitted',
      rooms: [ROOM, `${ROOM}/{payload.id}`],
      isReserved: true,
    },
  ],
  tags: [
    {
      name: 'Inquiries',
      description: 'What visitors send through the contact form of a website.',
    },
  ],
} as const satisfies Declaration & { name: string }
