import type { Declaration } from '../../declaration.ts'
import { oldSecretsContext, secretContext, settingsContext } from './secret-contexts.ts'

export const declared = {
  scopes: ['subscriptions:read', 'subscriptions:write'],
  eventTypes: [
    {
      name: 'system.subscription.failing',
      domain: 'system',
      description: 'The endpoint of a subscription fails again and again.',
    },
    { name: 'system.subscription.disabled', domain: 'system', description: 'A subscription was disabled.' },
    {
      name: 'system.subscription.recovered',
      domain: 'system',
      description: 'The endpoint of a subscription that failed works again.',
    },
  ],
  sealedColumns: [
    { table: 'subscriptions', column: 'sealed_secret', context: secretContext },
    { table: 'subscriptions', column: 'sealed_settings', context: settingsContext },
    { table: 'subscriptions', column: 'sealed_old_secrets', context: oldSecretsContext },
  ],
  tags: [
    {
      name: 'Subscriptions',
      description:
        'Who is told of which events, and how: patterns and a filter choose, a destination gets, and limits keep it from being overrun.',
    },
  ],
} as const satisfies Declaration
