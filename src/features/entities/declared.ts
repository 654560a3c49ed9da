import type { Declaration } from '../../declaration.ts'

export const declared = {
  scopes: ['entities:read', 'entities:write'],
  tags: [
    {
      name: 'Entities',
      description: 'Users, their accounts on platforms, and files: what the edges of events point to.',
    },
  ],
} as const satisfies Declaration
