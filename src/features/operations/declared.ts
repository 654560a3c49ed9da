import type { Declaration } from '../../declaration.ts'

export const declared = {
  tags: [
    {
      name: 'Operations',
      description: 'Whether the service is well, and this description of it; open to everyone.',
    },
  ],
} as const satisfies Declaration
