import type { Declaration } from '../../declaration.ts'

export const declared = {
  tags: [
    {
      name: 'GraphQL',
      description:
        'The same events, entities and subscriptions as a graph, to be read and changed in one request.',
    },
  ],
} as const satisfies Declaration
