import type { Declaration } from '../../declaration.ts'
import { keyContext } from './signing-key-context.ts'

export const declared = {
  sealedColumns: [{ table: 'app_signing_keys', column: 'sealed_private_key', context: keyContext }],
  topics: {
    /** The id of an API key that was revoked. */
    revoked: 'key.revoked',
  },
  tags: [
    {
      name: 'Apps',
      description:
        'Tenants of the service and their API keys. The admin key makes them; each sees only what is its own.',
    },
    {
      name: 'Signing keys',
      description:
        'The key pairs that sign the webhooks of an app, and how receivers get their public parts.',
    },
  ],
} as const satisfies Declaration
