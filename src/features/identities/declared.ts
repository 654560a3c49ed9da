import type { Declaration } from '../../declaration.ts'
import { ACTIVATION, CODE, MERGE } from './event-schemas.ts'

export const declared = {
  scopes: ['link-codes:read', 'link-codes:write'],
  eventTypes: [
    {
      name: 'link_code.generated',
      domain: 'link_code',
      description: 'A code that links two platform users was made.',
      jsonSchema: CODE,
    },
    {
      name: 'link_code.activation',
      domain: 'link_code',
      description: 'A link code was used.',
      jsonSchema: ACTIVATION,
    },
    {
      name: 'user.merged',
      domain: 'user',
      description: 'Two users turned out to be one.',
      jsonSchema: MERGE,
    },
  ],
  reservedPrefixes: ['user.', 'link_code.'],
  tags: [
    {
      name: 'Identities',
      description:
        'One person with several accounts: codes by which users prove that two of them are theirs, so that they become one.',
    },
  ],
} as const satisfies Declaration
